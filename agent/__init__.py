"""Lightkeeper: a standalone GitOps agent for Kubernetes. One process, one binary, no CRDs.

The folders follow a reconcile from the outside in, and imports go one way::

    cli -> app -> {reconcile, serve} -> apply -> {plan, kube, source} -> {manifest, config}
        -> aio -> the modules here that are no folder, but for app

Each package's docstring says its duty, what it may import and what it promises; together they
are the architecture document.
"""

__version__ = "0.1.0"
