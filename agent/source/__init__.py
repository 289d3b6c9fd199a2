"""The only package that talks to git: produces a Snapshot(revision, tree, trust).

Duty: keep a bare mirror a repository under the state directory, notice that a reference moved,
fetch, and read files from the commit's tree.
May import: ``manifest``, ``config`` and below.
Promises: host keys and certificates are verified; every network call has a deadline that holds
(the worker that makes it is killed); no checkout, no symlink, no path outside ``sub-path``; no
credential in an error, a log line or on disk; only a new or unchanged snapshot may prune.

``git`` decides; ``fetcher`` and ``pool`` make network calls in ``worker`` processes (``protocol``);
``mirror`` and ``tree`` read the disk; ``url``, ``resolve``, ``snapshot`` and ``credentials`` are
values; ``libgit`` is the one door to pygit2.
"""
