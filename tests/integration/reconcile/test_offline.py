"""Git away: the agent starts and repairs from disk, says since when, and prunes nothing new."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.eventually import eventually
from tests.gitservers.https import HttpsServer
from tests.gitservers.upstream import Upstream
from tests.integration.reconcile.conftest import World
from tests.integration.reconcile.manifests import config_map
from tests.integration.reconcile.test_drift import data, in_step
from tests.integration.reconcile.test_local_sources import becomes, source_becomes

pytestmark = pytest.mark.asyncio


@pytest.fixture
def server(world: World, tmp_path: Path) -> Iterator[HttpsServer]:
    """A git server on which the world's repository is."""
    (tmp_path / "https").mkdir()
    server = HttpsServer(tmp_path / "https", tmp_path)
    world.git = Upstream(tmp_path / "served.git")
    world.repository = server.url(world.git.path)
    world.track.append(f'ca = {{ file = "{server.authority.ca}" }}')
    server.start()
    yield server
    server.stop()


async def test_a_restart_without_git_repairs_from_disk_and_prunes_nothing(
    world: World, server: HttpsServer
) -> None:
    world.commit({"a.yaml": config_map("a", x="1"), "b.yaml": config_map("b", x="1")})
    async with world.running():
        await in_step(world)
    answered = datetime.now(UTC)
    await asyncio.to_thread(server.stop)
    world.commit({"a.yaml": config_map("a", x="2")}, remove=("b.yaml",))
    await world.do("patch", "configmap", "a", "-p", '{"data":{"x":"edited"}}')
    await world.do("delete", "configmap", "b")
    async with world.running():
        await becomes(world, "a", {"x": "1"})
        await becomes(world, "b", {"x": "1"})
        status = await source_becomes(world, "stale")
        since = datetime.fromisoformat(status["staleSince"])
        assert abs((answered - since).total_seconds()) < 10
        await world.do("patch", "configmap", "b", "-p", '{"data":{"x":"edited"}}')
        await becomes(world, "b", {"x": "1"})
        await asyncio.to_thread(server.start)
        status = await source_becomes(world, "current")
        assert status["staleSince"] == ""
        await becomes(world, "a", {"x": "2"})
        await becomes(world, "b", None)


async def test_a_stale_source_is_written_once_and_not_at_each_poll(
    world: World, server: HttpsServer
) -> None:
    world.commit({"a.yaml": config_map("a", x="1")})
    async with world.running():
        await in_step(world)
        await asyncio.to_thread(server.stop)
        await source_becomes(world, "stale")
        mark = world.control_plane.mark()
        before = await world.status()
        await asyncio.sleep(4)  # several polls
        assert [r for r in world.writes(mark) if r.resource == "configmaps"] == []
        assert await world.status() == before


async def test_one_pass_says_how_old_a_stale_source_is(world: World, server: HttpsServer) -> None:
    world.commit({"a.yaml": config_map("a", x="1")})
    assert (await world.once()).ready
    await asyncio.to_thread(server.stop)
    world.config()
    command = [sys.executable, "-m", "agent", "run", "--once",
               "--config", str(world.folder / "lightkeeper.toml")]  # fmt: skip
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    status = await world.status()
    assert f"stale: the source last answered at {status['staleSince']}, " in done.stderr
    assert "s ago; nothing is pruned until it answers again" in done.stderr


async def test_a_mirror_that_broke_is_rebuilt_while_the_agent_runs(
    world: World, server: HttpsServer, tmp_path: Path
) -> None:
    world.commit({"a.yaml": config_map("a", x="1"), "b.yaml": config_map("b", x="1")})
    async with world.running():
        await in_step(world)
        for pack in (tmp_path / "state" / "repositories").rglob("*.pack"):
            pack.chmod(0o644)
            pack.write_bytes(b"")
        world.commit({"a.yaml": config_map("a", x="2")})
        await becomes(world, "a", {"x": "2"})
        assert await data(world, "b") == {"x": "1"}

        async def ready() -> bool:
            status = await world.status()
            return all(condition["status"] == "True" for condition in status["conditions"])

        await eventually(ready, within=30)
