"""The binary keeps a cluster, and whatever ends it, it ends whole and begins anew."""

from __future__ import annotations

import os
import signal
from contextlib import AbstractContextManager

import aiohttp
import pytest

from tests.e2e.cluster import becomes, goes, status_has
from tests.e2e.program import PATIENCE, Binary, Running
from tests.eventually import eventually
from tests.gitservers.https import HttpsServer
from tests.gitservers.ports import free_port
from tests.gitservers.upstream import Upstream
from tests.integration.reconcile.conftest import World
from tests.integration.reconcile.manifests import config_map

pytestmark = pytest.mark.asyncio


def start(binary: Binary, world: World, config: str) -> AbstractContextManager[Running]:
    """Run the agent on two objects."""
    world.config()
    world.commit({"a.yaml": config_map("a", k="1"), "b.yaml": config_map("b", k="1")})
    return binary.running("run", config, log=world.folder / "log")


async def edit(world: World, name: str) -> None:
    await world.do("patch", "configmap", name, "-p", '{"data":{"k":"edited"}}')


async def ended(binary: Binary) -> None:
    """Wait until no process of the binary runs."""
    await eventually(
        lambda: all(p.state == "Z" for p in binary.processes()),
        within=PATIENCE,
        what="every process ends",
    )


async def test_it_converges_repairs_follows_and_ends_with_0(
    binary: Binary, world: World, config: str
) -> None:
    with start(binary, world, config) as running:
        await becomes(world, "a", k="1")
        assert running.inner(), "the check for processes that stay sees none"
        assert binary.unpacked(), "the check for folders that stay sees none"
        await edit(world, "a")
        await becomes(world, "a", k="1")
        world.commit({"a.yaml": config_map("a", k="2")}, remove=("b.yaml",))
        await becomes(world, "a", k="2")
        await goes(world, "b")
        assert running.end() == 0
        assert binary.processes() == []
        assert binary.unpacked() == []


async def test_held_deletions_wait_for_their_approval(
    binary: Binary, world: World, config: str
) -> None:
    names = [f"many-{number}" for number in range(10)]
    world.commit({f"{name}.yaml": config_map(name) for name in names})
    with start(binary, world, config):
        await eventually(lambda: world.get("configmap", names[-1]), within=PATIENCE)
        await becomes(world, "a", k="1")
        world.commit({}, remove=tuple(f"{name}.yaml" for name in names))
        await status_has(world, "heldDigest")
        assert await world.get("configmap", names[0])
        done = binary("approve", "shop", "--yes", config)
        assert done.code == 0, done
        for name in names:
            await goes(world, name)
        await becomes(world, "a", k="1")


@pytest.mark.parametrize("hint", [None, signal.SIGHUP], ids=["on disk", "SIGHUP"])
async def test_a_changed_configuration_takes_effect(
    binary: Binary, world: World, config: str, hint: signal.Signals | None
) -> None:
    with start(binary, world, config) as running:
        await becomes(world, "a", k="1")
        world.track = ['sub-path = "more"']
        world.commit({"more/a.yaml": config_map("a", k="2"), "more/b.yaml": config_map("b", k="2")})
        world.config()
        if hint is not None:
            running.process.send_signal(hint)
        await becomes(world, "a", k="2")
        assert running.process.poll() is None


async def test_without_its_outer_process_it_leaves_and_writes_nothing_more(
    binary: Binary, world: World, config: str
) -> None:
    with start(binary, world, config) as running:
        await becomes(world, "a", k="1")
        await eventually(running.workers, within=PATIENCE, what="there is a git worker")
        running.kill_outer()
        await ended(binary)
        assert binary.unpacked() == [], "the inner process removes what the outer one cannot"
        mark = world.control_plane.mark()
        await edit(world, "a")
        world.commit({"a.yaml": config_map("a", k="2")})
        assert world.requests(mark) == []
    with binary.running("run", config, log=world.folder / "log"):
        await becomes(world, "a", k="2")


async def test_killed_whole_it_recovers_and_the_next_start_sweeps(
    binary: Binary, world: World, config: str
) -> None:
    with start(binary, world, config) as running:
        await becomes(world, "a", k="1")
        running.kill_group()
        await ended(binary)
    [left] = binary.unpacked()
    os.utime(left, (0, 0))  # what is younger than a minute may be somebody's who is just starting
    await edit(world, "a")
    with binary.running("run", config, log=world.folder / "log"):
        await becomes(world, "a", k="1")
        assert left not in binary.unpacked()


async def test_with_git_away_it_starts_repairs_and_prunes_nothing(
    binary: Binary,
    world: World,
    config: str,
    https_server: HttpsServer,
    upstream: Upstream,
) -> None:
    world.git = upstream
    world.repository = https_server.url(upstream.path, "anonymous")
    world.track = [f'ca = {{ file = "{https_server.authority.ca}" }}']
    with start(binary, world, config):
        await becomes(world, "a", k="1")
        await becomes(world, "b", k="1")
    https_server.stop()
    try:
        world.commit({"a.yaml": config_map("a", k="2")}, remove=("b.yaml",))
        await edit(world, "a")
        with binary.running("run", config, log=world.folder / "log"):
            await becomes(world, "a", k="1")
            await status_has(world, "staleSince")
            assert await world.get("configmap", "b")
            https_server.start()
            await becomes(world, "a", k="2")
            await goes(world, "b")
    finally:
        if not https_server.running:
            https_server.start()


async def test_probes_metrics_and_status_answer(binary: Binary, world: World, config: str) -> None:
    world.metrics_address = f"127.0.0.1:{free_port()}"
    world.health_address = f"127.0.0.1:{free_port()}"
    world.config()
    assert binary("healthcheck", config).code == 1
    with start(binary, world, config):
        await becomes(world, "a", k="1")
        await eventually(
            lambda: binary("healthcheck", "--ready", config).code == 0, within=PATIENCE
        )
        assert binary("healthcheck", config).code == 0
        metrics = await fetched(f"http://{world.metrics_address}/metrics")
        assert "# TYPE" in metrics
        assert "shop" in await fetched(f"http://{world.metrics_address}/status")


async def fetched(url: str) -> str:
    """Return what is at a URL."""
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert answer.status == 200
        return await answer.text()
