"""``suspend``, ``resume``, ``reconcile`` and ``status``: what a person asks, the agent does."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from typing import Any

import pytest

from agent.apply import signals
from tests.controlplane.audit import Request
from tests.eventually import eventually
from tests.integration.cli.program import lightkeeper
from tests.integration.reconcile.conftest import World, world
from tests.integration.reconcile.manifests import config_map

pytestmark = pytest.mark.asyncio

__all__ = ["world"]  # the fixture

FAR = "1h"  # no poll comes to help


async def value(world: World, name: str = "a") -> str:
    return str(((await world.get("configmap", name)) or {}).get("data", {}).get("k"))


async def becomes(world: World, wanted: str, name: str = "a") -> None:
    async def is_so() -> bool:
        return await value(world, name) == wanted

    await eventually(is_so, what=f"{name} did not become {wanted}")


async def suspended_in_status(world: World) -> None:
    async def is_so() -> bool:
        return bool((await world.status()).get("suspended"))

    await eventually(is_so, what="the agent did not take note")


def on_objects(world: World, requests: list[Request]) -> list[Request]:
    """Leave out what is about the agent's own ConfigMap, its Events and its watches."""
    return [
        r
        for r in requests
        if r.name != f"{world.name}.shop" and r.resource != "events" and r.verb not in ("watch",)
    ]


async def ready(world: World) -> None:
    async def is_so() -> bool:
        return bool((await world.status()).get("inSync"))

    await eventually(is_so)


async def test_a_suspended_track_fetches_repairs_applies_and_prunes_nothing(world: World) -> None:
    world.commit({"a.yaml": config_map("a", k="1"), "b.yaml": config_map("b", k="1")})
    async with world.running():
        await ready(world)
        assert (await lightkeeper(world, "suspend", "shop")).code == 0
        await suspended_in_status(world)
        mark = world.control_plane.mark()
        world.commit({"a.yaml": config_map("a", k="2")}, remove=("b.yaml",))
        await world.do("patch", "configmap", "b", "-p", '{"data":{"k":"drift"}}')
        await asyncio.sleep(2.5)  # two polls: that nothing happens has no event to wait for
        assert on_objects(world, world.requests(mark)) == []
        assert (await value(world, "a"), await value(world, "b")) == ("1", "drift")
        done = await lightkeeper(world, "resume", "shop")
        assert (done.code, done.stdout) == (0, "Track shop resumes.\n")
        await becomes(world, "2")
        await becomes(world, "None", "b")


async def test_a_resumed_track_repairs_at_once_without_a_poll(world: World) -> None:
    world.interval = FAR
    world.commit({"a.yaml": config_map("a", k="1")})
    await world.once()
    async with world.running():
        await ready(world)
        await lightkeeper(world, "suspend", "shop")
        await suspended_in_status(world)
        await world.do("patch", "configmap", "a", "-p", '{"data":{"k":"drift"}}')
        await lightkeeper(world, "resume", "shop")
        await becomes(world, "1")

        async def told() -> bool:
            return not (await world.status())["suspended"]

        await eventually(told)


async def test_a_suspension_holds_after_a_restart_from_the_first_moment(world: World) -> None:
    world.commit({"a.yaml": config_map("a", k="1")})
    await world.once()
    await lightkeeper(world, "suspend", "shop")
    world.commit({"a.yaml": config_map("a", k="2")})
    mark = world.control_plane.mark()
    status = await world.once()
    assert status.suspended
    assert status.in_sync == 1, "what was found last is forgotten"
    assert on_objects(world, world.requests(mark)) == []
    assert await value(world) == "1"


async def test_a_track_can_be_suspended_before_any_agent_has_seen_it(world: World) -> None:
    world.config()
    assert (await lightkeeper(world, "suspend", "shop")).code == 0
    world.commit({"a.yaml": config_map("a", k="1")})
    assert (await world.once()).suspended
    assert await world.get("configmap", "a") is None
    await lightkeeper(world, "resume", "shop")
    assert (await world.once()).ready


async def test_suspend_in_the_file_does_the_same_and_resume_says_so(world: World) -> None:
    world.track = ["suspend = true"]
    world.commit({"a.yaml": config_map("a", k="1")})
    assert (await world.once()).suspended == "the configuration (suspend = true)"
    assert await world.get("configmap", "a") is None
    done = await lightkeeper(world, "resume", "shop")
    assert (done.code, done.stdout) == (1, "")
    assert "the configuration says suspend = true" in done.stderr


async def test_kubectl_annotate_suspends_as_well(world: World) -> None:
    world.interval = FAR
    world.commit({"a.yaml": config_map("a", k="1")})
    async with world.running():
        await ready(world)
        await world.do(
            "annotate", "configmap", f"{world.name}.shop", f"{signals.SUSPENDED}=maintenance"
        )
        await suspended_in_status(world)
        assert (await world.status())["suspended"] == "maintenance"


async def test_a_running_pass_stops_at_the_next_object(world: World) -> None:
    world.commit({f"{n:03}.yaml": config_map(f"c{n:03}") for n in range(400)})
    path = f"/api/v1/namespaces/{world.namespace}/configmaps"
    ask = world.control_plane.client.json

    def live() -> int:
        return len(ask("GET", path)["items"])

    def suspend_midway() -> None:
        while live() < 10:
            pass
        annotations = {"metadata": {"annotations": {signals.SUSPENDED: "now"}}}
        own = f"{path}/{world.name}.shop"
        ask("PATCH", own, annotations, content_type="application/merge-patch+json")

    async with world.running():
        await asyncio.to_thread(suspend_midway)
        await suspended_in_status(world)
        count = await asyncio.to_thread(live)
        await asyncio.sleep(1)
        assert await asyncio.to_thread(live) == count
        assert count < 400, "the suspension came too late to say anything"


async def test_where_it_may_not_watch_it_reads_at_each_poll_and_says_so_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    user = f"blind-{world.namespace}"
    world.kubeconfig = world.control_plane.user(user)
    rules: list[dict[str, Any]] = [
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["*"]},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create", "patch"]},
    ]
    role = {"kind": "Role", "apiVersion": "rbac.authorization.k8s.io/v1",
            "metadata": {"name": "blind"}, "rules": rules}  # fmt: skip
    await world.do("create", "-f", "-", stdin=json.dumps(role))
    await world.do("create", "rolebinding", "blind", "--role=blind", f"--user={user}")
    world.settings = [f'namespace = "{world.namespace}"']
    world.commit({"a.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: NS}\n"})
    async with world.running():
        await ready(world)
        assert (await lightkeeper(world, "suspend", "shop")).code == 0
        await suspended_in_status(world)
        assert (await lightkeeper(world, "resume", "shop")).code == 0

        async def resumed() -> bool:
            return not (await world.status())["suspended"]

        await eventually(resumed)
    said = [r for r in caplog.records if "at the next poll only" in r.message]
    assert len(said) == 1


# --- reconcile ---------------------------------------------------------------------------------


async def test_reconcile_has_a_pass_made_now_and_prints_what_came_of_it(world: World) -> None:
    world.interval = FAR
    world.commit({"a.yaml": config_map("a", k="1")})
    async with world.running():
        await ready(world)
        world.commit({"a.yaml": config_map("a", k="2")})
        done = await lightkeeper(world, "reconcile", "shop", "-o", "json")
        assert done.code == 0, done
        [status] = done.json
        assert status["commit"] == world.git.head()
        assert status["lastHandledReconcileAt"]
        assert await value(world) == "2"


async def test_reconcile_ends_with_1_when_the_track_is_not_ready_afterwards(world: World) -> None:
    world.interval = FAR
    world.commit({"a.yaml": config_map("a", k="1")})
    async with world.running():
        await ready(world)
        world.commit({"b.yaml": "no: object\n"})
        done = await lightkeeper(world, "reconcile", "--all")
        assert done.code == 1, done
        assert "b.yaml" in done.stdout


async def test_reconcile_without_an_agent_says_so_after_the_timeout(world: World) -> None:
    world.commit({"a.yaml": config_map("a")})
    await world.once()
    done = await lightkeeper(world, "reconcile", "shop", "--timeout", "300ms")
    assert (done.code, done.stdout) == (1, "")
    assert "no agent has made a pass of track shop in time" in done.stderr
    mark = world.control_plane.mark()
    assert (await world.once()).last_handled_reconcile_at, "a request is kept until it is handled"
    assert world.requests(mark)


async def test_reconcile_of_a_suspended_track_says_how_to_go_on(world: World) -> None:
    world.commit({"a.yaml": config_map("a")})
    await world.once()
    await lightkeeper(world, "suspend", "shop")
    done = await lightkeeper(world, "reconcile", "shop")
    assert done.code == 1
    assert "lightkeeper resume shop" in done.stderr


@pytest.mark.parametrize("command", ["suspend", "resume", "reconcile"])
async def test_a_track_has_to_be_named_or_all_of_them(world: World, command: str) -> None:
    world.config()
    for arguments in ([], ["shop", "--all"]):
        done = await lightkeeper(world, command, *arguments)
        assert (done.code, done.stdout) == (2, "")
        assert "--all" in done.stderr


# --- status ------------------------------------------------------------------------------------


async def test_status_is_0_and_a_table_when_all_is_ready(world: World) -> None:
    world.commit({"a.yaml": config_map("a")})
    await world.once()
    done = await lightkeeper(world, "status")
    assert (done.code, done.stderr) == (0, "")
    header, row = done.stdout.splitlines()
    assert header.split() == ["TRACK", "READY", "REVISION", "SOURCE", "IN", "SYNC", "APPLIED",
                              "DISCOVERED", "HELD", "SUSPENDED", "AGE"]  # fmt: skip
    assert row.split()[:-1] == ["shop", "True", f"main@{world.git.head()[:12]}", "current",
                                "1", "1", "1", "-", "-"]  # fmt: skip
    assert "\x1b" not in done.stdout, "colours in a pipe"


async def test_status_is_1_and_says_what_is_wrong_when_one_is_not_ready(world: World) -> None:
    world.commit({"a.yaml": config_map("a"), "b.yaml": "no: object\n"})
    await world.once()
    done = await lightkeeper(world, "status", "shop")
    assert done.code == 1
    assert "\nshop:\n  b.yaml: not a Kubernetes object" in done.stdout


async def test_status_of_a_track_without_an_agent_says_so(world: World) -> None:
    world.config()
    done = await lightkeeper(world, "status")
    assert done.code == 1
    assert "no agent has made a pass of this track yet" in done.stdout


async def test_status_as_json_is_the_config_map_s_and_ready(world: World) -> None:
    world.commit({"a.yaml": config_map("a")})
    await world.once()
    await lightkeeper(world, "suspend", "shop")  # and no agent runs that could notice
    [status] = (await lightkeeper(world, "status", "-o", "json")).json
    assert set(status) == {
        "track", "repository", "revision", "commit", "verified", "source", "staleSince",
        "discovered", "applied", "ignored", "inSync", "held", "heldDigest", "heldObjects",
        "conditions", "problems", "notes", "suspended", "lastHandledReconcileAt", "retries",
        "ready",
    }  # fmt: skip
    assert status["ready"] is True
    assert status["suspended"].startswith("since 20")


async def test_status_shows_a_track_that_the_file_does_not_have_any_more(world: World) -> None:
    world.commit({"a.yaml": config_map("a")})
    await world.once()
    path = world.folder / "lightkeeper.toml"
    path.write_text(path.read_text().replace('"shop"', '"other"'))
    done = await lightkeeper(world, "status", "-o", "json")
    assert [status["track"] for status in done.json] == ["other", "shop"]


async def test_status_of_a_name_that_nobody_knows_is_bad_input(world: World) -> None:
    world.config()
    done = await lightkeeper(world, "status", "shpo")
    assert (done.code, done.stdout) == (2, "")
    assert "there is no track 'shpo'" in done.stderr


async def test_status_watches_until_it_is_interrupted(world: World) -> None:
    world.commit({"a.yaml": config_map("a")})
    await world.once()
    command = ["-m", "agent", "status", "-w", "-c", str(world.folder / "lightkeeper.toml")]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        stdout=asyncio.subprocess.PIPE,
        # Whoever runs the tests in the background has it ignored, and so would the child.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        assert b"READY" in await process.stdout.readline()
        assert b"True" in await process.stdout.readline()
        world.commit({"a.yaml": config_map("a"), "b.yaml": config_map("b")})
        await world.once()
        lines = [await process.stdout.readline() for _ in range(3)]
        assert lines[2].split()[4:7] == [b"2", b"2", b"2"]
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 130
