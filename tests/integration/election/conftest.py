"""A stage for replicas."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.controlplane.server import ControlPlane
from tests.gitservers.upstream import Upstream
from tests.integration.election.replicas import Stage


@pytest.fixture
def stage(namespace: str, control_plane: ControlPlane, tmp_path: Path) -> Stage:
    """Replicas of an agent with one track and one Lease, of 3 seconds."""
    return Stage(namespace, control_plane, Upstream(tmp_path / "upstream.git"), tmp_path)
