"""The probes say whether the agent is alive, and whether the cluster was compared with git."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from types import SimpleNamespace

import pytest

from agent.reconcile import health
from tests.eventually import eventually
from tests.gitservers.broken import listener
from tests.integration.serve.conftest import MANIFEST, Answer, Door

pytestmark = [pytest.mark.asyncio, pytest.mark.integration]


async def test_an_agent_that_has_done_its_first_pass_is_alive_and_ready(door: Door) -> None:
    door.world.commit({"web.yaml": MANIFEST})
    async with door.world.running():
        await eventually(door.is_ready, within=60, what="readiness")
        assert await door.world.get("configmap", "web")
        alive, ready = await door.health("/healthz"), await door.health("/readyz")
    assert (alive.status, alive.text, ready.text) == (200, "ok\n", "ok\n")


async def test_without_a_source_the_agent_is_alive_and_not_ready_until_it_has_one(
    door: Door,
) -> None:
    door.world.track.append('reference = "later"')
    door.world.commit({"web.yaml": MANIFEST})
    async with door.world.running():

        async def unreadable() -> bool:
            return "track shop: the source is unreadable" in (await door.health("/readyz")).text

        await eventually(unreadable, within=60)
        assert (await door.health("/readyz")).status == 503
        assert (await door.health("/healthz")).status == 200
        door.world.git.set_branch("later", door.world.git.head())
        await eventually(door.is_ready, within=60, what="readiness")


async def test_before_the_first_pass_the_agent_is_alive_and_not_ready(door: Door) -> None:
    async with listener(trickle=False) as port:
        door.world.repository = f"http://127.0.0.1:{port}/r"
        async with door.world.running():

            async def waits() -> bool:
                ready = await door.health("/readyz")
                assert ready.status == 503
                return ready.text == "track shop: the first pass is not done\n"

            await eventually(waits)
            assert (await door.health("/healthz")).status == 200


async def test_a_long_fetch_is_alive_and_a_loop_that_hangs_is_not(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    door.world.settings.append('fetch-timeout = "1h"')
    async with listener(trickle=False) as port:
        door.world.repository = f"http://127.0.0.1:{port}/r"
        async with door.world.running():
            assert (await door.health("/readyz")).status == 503

            async def after(seconds: float) -> Answer:
                later = SimpleNamespace(monotonic=lambda: time.monotonic() + seconds)
                monkeypatch.setattr(health, "time", later)
                return await door.health("/healthz")

            assert (await after(3000)).status == 200
            hanging = await after(3600 + health.HANGS + 60)
            assert hanging.status == 503
            assert "track shop gave no sign for" in hanging.text


async def test_an_api_server_that_is_away_makes_the_agent_unready_not_dead(door: Door) -> None:
    door.world.commit({"web.yaml": MANIFEST})
    async with door.world.running():
        await eventually(door.is_ready, within=60)
        await asyncio.to_thread(door.world.control_plane.kill_apiserver)

        async def unready() -> bool:
            return not await door.is_ready()

        await eventually(unready, within=60)
        assert (await door.health("/healthz")).status == 200
        await asyncio.to_thread(door.world.control_plane.restart_apiserver)
        await eventually(door.is_ready, within=60)


async def test_metrics_and_probes_do_not_share_a_port(door: Door) -> None:
    door.world.commit({"web.yaml": MANIFEST})
    async with door.world.running():
        await eventually(door.is_ready, within=60)
        elsewhere = [await door.health(path) for path in ("/metrics", "/status")]
        elsewhere += [await door.metrics(path) for path in ("/healthz", "/readyz")]
    assert [answer.status for answer in elsewhere] == [404] * 4


async def test_the_status_page_says_what_the_config_map_says(door: Door) -> None:
    door.world.commit({"web.yaml": MANIFEST})
    async with door.world.running():
        await eventually(door.is_ready, within=60)
        page = await door.metrics("/status")
        assert page.headers["Content-Type"].startswith("application/json")
        assert json.loads(page.text) == [await door.world.status()]


async def healthcheck(door: Door, *arguments: str) -> tuple[int, str]:
    """Run the command as a probe does; return its exit code and what it says."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agent", "healthcheck"),
        *("-c", str(door.world.folder / "lightkeeper.toml"), *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def test_the_command_asks_the_running_agent(door: Door) -> None:
    door.world.commit({"web.yaml": MANIFEST})
    async with door.world.running():
        await eventually(door.is_ready, within=60)
        assert await healthcheck(door) == (0, "ok\n")
        assert await healthcheck(door, "--ready") == (0, "ok\n")
    code, said = await healthcheck(door)
    assert code == 1
    assert f"http://127.0.0.1:{door.health_port}/healthz: no answer: " in said


async def test_the_command_tells_what_is_not_ready(door: Door) -> None:
    door.world.commit({"web.yaml": MANIFEST})
    door.world.track.append('reference = "none"')
    async with door.world.running():
        await door.health("/readyz")
        assert await healthcheck(door) == (0, "ok\n")
        code, said = await healthcheck(door, "--ready")
    assert code == 1
    assert said.startswith("track shop: ")


async def test_the_command_needs_a_port_to_ask(door: Door) -> None:
    door.world.config()
    code, said = await healthcheck(door, "--health-bind-address", "0")
    assert code == 2
    assert "agent.health-bind-address: " in said


async def test_the_command_does_not_wait_for_ever(door: Door) -> None:
    async with listener(trickle=False) as port:
        door.world.health_address = f"127.0.0.1:{port}"
        door.world.config()
        code, said = await healthcheck(door)
    assert code == 1
    assert "timed out" in said


async def test_a_port_in_use_is_told_at_the_start(door: Door) -> None:
    async with listener(trickle=False) as port:
        door.world.health_address = f"127.0.0.1:{port}"
        with pytest.raises(ExceptionGroup) as raised:
            async with door.world.running():
                pass
    [error] = raised.value.exceptions
    while isinstance(error, ExceptionGroup):
        [error] = error.exceptions
    assert str(error).startswith(f"health-bind-address 127.0.0.1:{port}: cannot listen there: "), (
        error
    )
