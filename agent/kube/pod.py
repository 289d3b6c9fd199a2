"""What the machine says of us: the namespace of our pod and its name. Makes no request."""

from __future__ import annotations

import socket
from pathlib import Path

_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def namespace() -> str:
    """Return the namespace of the pod we run in, "default" outside of one. Reads a file."""
    try:
        return _NAMESPACE.read_text().strip() or "default"
    except OSError:
        return "default"


def name() -> str:
    """Return the name of the pod we run in, which is its host name; outside, the machine's."""
    return socket.gethostname()
