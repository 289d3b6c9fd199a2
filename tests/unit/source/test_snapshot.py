"""Only a source that answered may make an object's absence mean anything."""

from __future__ import annotations

import pytest

from agent.source.snapshot import Snapshot, Trust


@pytest.mark.parametrize("trust", Trust)
def test_only_new_and_unchanged_may_prune(trust: Trust) -> None:
    assert Snapshot(trust).may_prune is (trust in {Trust.NEW, Trust.UNCHANGED})
