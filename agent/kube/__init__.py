"""The only package that talks to an API server.

Duty: authentication, requests, discovery, list and watch, Events, Leases.
May import: ``manifest``, ``config`` and below.
Promises: objects are plain dicts end to end; every request has a deadline; every failure is one of
the errors of ``kube.errors``; a watch survives bookmarks, 410 Gone, silence and cut connections;
the store keeps a small record an object, never its body; with leader election no write leaves
without a Lease that is certainly held (``fence``).
"""
