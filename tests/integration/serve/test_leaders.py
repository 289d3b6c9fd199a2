"""Two replicas: who leads shows what it does, who stands by is ready and shows that it does not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.eventually import eventually
from tests.integration.reconcile.conftest import World
from tests.integration.serve.conftest import MANIFEST, Door

pytestmark = [pytest.mark.asyncio, pytest.mark.integration]

ELECTION = [
    "[leader-election]",
    "enabled = true",
    'lease-duration = "3s"',
    'renew-deadline = "2s"',
    'retry-period = "500ms"',
]


async def leads(door: Door) -> bool:
    status = f'leader_election_master_status{{name="{door.world.name}-leader"}} '
    page = (await door.metrics("/metrics")).text
    assert f"{status}1.0" in page or f"{status}0.0" in page
    return f"{status}1.0" in page


async def pages_with_tracks(door: Door) -> int:
    """Count the pages, of two, that show the track."""
    page = (await door.metrics("/metrics")).text
    listed = json.loads((await door.metrics("/status")).text)
    return ('{track="shop"}' in page) + ([status["track"] for status in listed] == ["shop"])


async def shows_tracks(door: Door) -> bool:
    return await pages_with_tracks(door) == 2


async def test_a_standby_is_ready_and_shows_no_tracks_until_it_leads(
    door: Door, world: World, tmp_path: Path
) -> None:
    world.settings += ELECTION
    world.commit({"web.yaml": MANIFEST})
    folder = tmp_path / "second"
    folder.mkdir()
    second = Door(replace(world, folder=folder))
    async with second.world.running():
        await eventually(second.is_ready, within=60)
        async with world.running():  # waits: the other one leads
            await eventually(door.is_ready, within=60)
            assert (await leads(second), await leads(door)) == (True, False)
            assert await eventually(lambda: shows_tracks(second), within=60)
            assert await pages_with_tracks(door) == 0
            assert (await door.health("/healthz")).status == 200
    async with world.running():
        await eventually(lambda: leads(door), within=60)
        assert await eventually(lambda: shows_tracks(door), within=60)
        await eventually(door.is_ready, within=60)
