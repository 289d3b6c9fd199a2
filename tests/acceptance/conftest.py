"""The fixtures of the integration tests, under their own names."""

from __future__ import annotations

from tests.integration.kube.conftest import client
from tests.integration.reconcile.conftest import cleanup, world
from tests.integration.source.conftest import (
    fetcher,
    https,
    https_server,
    local,
    remote,
    served,
    ssh,
    ssh_server,
    state_dir,
    track,
    upstream,
)

__all__ = [
    "cleanup",
    "client",
    "fetcher",
    "https",
    "https_server",
    "local",
    "remote",
    "served",
    "ssh",
    "ssh_server",
    "state_dir",
    "track",
    "upstream",
    "world",
]
