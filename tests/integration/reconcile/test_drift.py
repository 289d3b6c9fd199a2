"""The running agent puts drift back, keeps what git never mentioned, and survives outages."""

from __future__ import annotations

import asyncio
import json
import shutil
from typing import Any

import pytest

from agent.apply.desired import Desired
from agent.apply.requests import Requests
from agent.manifest import marks
from agent.manifest.keys import JSONObject
from tests.controlplane.rest import MERGE_PATCH
from tests.eventually import eventually
from tests.integration.reconcile.conftest import World
from tests.integration.reconcile.manifests import DEPLOYMENT, config_map, secret

pytestmark = pytest.mark.asyncio


async def data(world: World, name: str) -> Any:
    live = await world.get("configmap", name)
    return live["data"] if live else None


UPDATE = [("patch", "All", 200), ("patch", "", 200)]
REPAIR = [("patch", "", 200)]


def costs(world: World, since: int, name: str) -> list[tuple[str, str, int | None]]:
    """What the agent asked about one object: verb, dry-run or not, answer."""
    requests = [r for r in world.requests(since) if r.name == name]
    return [(r.verb, r.query.get("dryRun", ""), r.code) for r in requests]


def _images(deployment: dict[str, Any]) -> list[str]:
    return [c["image"] for c in deployment["spec"]["template"]["spec"]["containers"]]


async def in_step(world: World) -> None:
    """Wait until the first pass is recorded as good."""

    async def ready() -> bool:
        status = await world.status()
        conditions = status.get("conditions") or [{}]
        return all(condition.get("status") == "True" for condition in conditions)

    await eventually(ready, within=30, what="a first good pass")


async def test_a_managed_field_is_put_back(world: World) -> None:
    world.commit({"a.yaml": config_map("a", x="1")})
    async with world.running():
        await in_step(world)
        await world.do("patch", "configmap", "a", "-p", '{"data":{"x":"edited"}}')

        async def repaired() -> bool:
            return bool(await data(world, "a") == {"x": "1"})

        await eventually(repaired)


@pytest.mark.parametrize("edits", [1, 5], ids=["once", "as often as it is read"])
async def test_an_edit_in_the_midst_of_a_commits_update_is_put_back(
    world: World, monkeypatch: pytest.MonkeyPatch, edits: int
) -> None:
    """It is in the answer to our write, and must not be taken for what git says."""
    path = f"/api/v1/namespaces/{world.namespace}/configmaps/a"
    read, remaining = Requests.live, iter(range(edits))

    async def live_then_edited(self: Requests, desired: Desired) -> JSONObject | None:
        found = await read(self, desired)
        if found and (number := next(remaining, None)) is not None:
            body = {"data": {"z": f"edited {number}"}}
            world.control_plane.client.json("PATCH", path, body, content_type=MERGE_PATCH)
        return found

    world.commit({"a.yaml": config_map("a", x="1", z="1")})
    async with world.running():
        await in_step(world)
        monkeypatch.setattr(Requests, "live", live_then_edited)
        world.commit({"a.yaml": config_map("a", x="2", z="1")})

        async def repaired() -> bool:
            return bool(await data(world, "a") == {"x": "2", "z": "1"})

        await eventually(repaired)
    assert next(remaining, None) is None


async def test_a_deletion_in_the_midst_of_an_update_is_no_failure(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = f"/api/v1/namespaces/{world.namespace}/configmaps/a"
    read, deleted = Requests.live, asyncio.Event()

    async def live_then_deleted(self: Requests, desired: Desired) -> JSONObject | None:
        found = await read(self, desired)
        if found and not deleted.is_set():
            deleted.set()
            world.control_plane.client.json("DELETE", path)
        return found

    world.commit({"a.yaml": config_map("a", x="1")})
    async with world.running():
        await in_step(world)
        caplog.clear()
        monkeypatch.setattr(Requests, "live", live_then_deleted)
        world.commit({"a.yaml": config_map("a", x="2")})

        async def applied() -> bool:
            return bool(await data(world, "a") == {"x": "2"})

        await eventually(applied)
        await in_step(world)
    assert deleted.is_set()
    assert [r.getMessage() for r in caplog.records if r.levelname != "INFO"] == []


async def test_what_the_server_writes_in_its_own_way_is_patched_in_vain_only_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """It writes 1000m as 1, so that a merge always finds something to say, and changes nothing."""
    own_way = f"{DEPLOYMENT}        resources: {{requests: {{cpu: 1000m}}}}\n"
    world.commit({"web.yaml": own_way})
    async with world.running():
        await in_step(world)
        mark = world.control_plane.mark()
        caplog.clear()

        async def labelled(team: str, *, requests: int) -> None:
            await world.do("label", "deployment", "web", f"team={team}", "--overwrite")
            edited = await world.get("deployment", "web")
            await eventually(lambda: len(costs(world, mark, "web")) == requests)
            assert await world.get("deployment", "web") == edited

        await labelled("red", requests=1)
        await labelled("green", requests=2)
        await labelled("blue", requests=3)
        assert costs(world, mark, "web") == [*REPAIR, *UPDATE[:1], *UPDATE[:1]]
        assert [r for r in caplog.records if "update" in r.getMessage()] == []
        await world.do("set", "image", "deployment/web", "*=edited:1")
        await eventually(lambda: costs(world, mark, "web")[3:] == UPDATE)


async def test_a_tracks_own_config_map_is_put_back_as_it_was(world: World) -> None:
    """Not only at the next full pass: status, Events and the commands live on it."""
    world.commit({"a.yaml": config_map("a"), "b.yaml": config_map("b")})
    name = f"{world.name}.shop"
    async with world.running():
        await in_step(world)
        before = await world.get("configmap", name)
        told = await world.status()
        await world.do("delete", "configmap", name)
        await in_step(world)
        after = await world.get("configmap", name)
        assert before is not None
        assert after is not None
        for part in ("annotations", "labels"):
            assert after["metadata"][part] == before["metadata"][part]
        assert _without_times(await world.status()) == _without_times(told)


async def test_an_unmanaged_field_is_kept_without_a_request(world: World) -> None:
    world.commit({"web.yaml": DEPLOYMENT})
    async with world.running():
        await in_step(world)
        first = await world.get("deployment", "web")
        mark = world.control_plane.mark()
        await world.do("scale", "deployment", "web", "--replicas=5")
        await world.do("label", "deployment", "web", "team=blue")
        await world.do("set", "image", "deployment/web", "*=edited:1")

        async def repaired() -> bool:
            live = await world.get("deployment", "web")
            return bool(live and first and _images(live) == _images(first))

        await eventually(repaired)
        live = await world.get("deployment", "web")
        assert live is not None
        assert live["spec"]["replicas"] == 5
        assert live["metadata"]["labels"]["team"] == "blue"
        assert costs(world, mark, "web") == REPAIR


async def test_a_repair_is_one_request(world: World) -> None:
    names = [f"c{number}" for number in range(20)]
    world.commit({f"{name}.yaml": config_map(name, x="1") for name in names})
    async with world.running():
        await in_step(world)
        mark = world.control_plane.mark()
        rest = world.control_plane.client
        edit = {"data": {"x": "edited"}}
        for name in names:
            path = f"/api/v1/namespaces/{world.namespace}/configmaps/{name}"
            await asyncio.to_thread(rest.json, "PATCH", path, edit, content_type=MERGE_PATCH)

        async def repaired() -> bool:
            return [await data(world, name) for name in names] == [{"x": "1"}] * len(names)

        await eventually(repaired)
        assert {name: costs(world, mark, name) for name in names} == dict.fromkeys(names, REPAIR)


async def test_what_a_restarted_agent_finds_edited_is_read_and_patched(world: World) -> None:
    world.commit({"a.yaml": config_map("a", x="1")})
    await world.once()
    await world.do("patch", "configmap", "a", "-p", '{"data":{"x":"edited"}}')
    mark = world.control_plane.mark()
    await world.once()
    assert costs(world, mark, "a") == [("get", "", 200), *REPAIR]
    assert await data(world, "a") == {"x": "1"}


async def test_a_refused_repair_ends_as_a_refused_dry_run_and_is_rehearsed_from_then_on(
    world: World,
) -> None:
    world.commit({"a.yaml": config_map("a", x="1")})
    async with world.running():
        await in_step(world)
        mark = world.control_plane.mark()
        frozen = '{"data":{"x":"edited"},"immutable":true}'
        await world.do("patch", "configmap", "a", "-p", frozen)
        rehearsed = [("get", "", 200), ("patch", "All", 422)]
        await eventually(lambda: len(costs(world, mark, "a")) >= 5, within=30)
        asked = costs(world, mark, "a")
        assert asked[:5] == [("patch", "", 422), *rehearsed, *rehearsed]

        async def told() -> bool:
            conditions = json.dumps((await world.status()).get("conditions"))
            return "field is immutable when `immutable` is set" in conditions

        await eventually(told)
        await world.do("delete", "configmap", "a")
        await in_step(world)
        assert await data(world, "a") == {"x": "1"}


async def test_a_deleted_object_comes_back_and_a_stripped_mark_too(world: World) -> None:
    world.commit({"a.yaml": config_map("a"), "s.yaml": secret("s", "p")})
    async with world.running():
        await in_step(world)
        first = await world.get("secret", "s")
        await world.do("delete", "secret", "s")
        again = await eventually(lambda: world.get("secret", "s"))
        assert first is not None
        assert again["metadata"]["uid"] != first["metadata"]["uid"]
        await world.do("label", "configmap", "a", f"{marks.AGENT}-")

        async def marked() -> bool:
            live = await world.get("configmap", "a")
            return bool(live and live["metadata"]["labels"].get(marks.AGENT) == world.name)

        await eventually(marked)


async def test_a_change_of_status_alone_costs_nothing(world: World) -> None:
    world.commit({"web.yaml": DEPLOYMENT})
    async with world.running():
        await in_step(world)
        mark = world.control_plane.mark()
        live = await world.get("deployment", "web")
        assert live is not None
        live["status"] = {"replicas": 1, "observedGeneration": 1}
        path = f"/apis/apps/v1/namespaces/{world.namespace}/deployments/web/status"
        await asyncio.to_thread(world.control_plane.client.json, "PUT", path, live)
        await asyncio.sleep(1.0)
        assert [r for r in world.requests(mark) if r.resource == "deployments"] == []


async def test_the_agents_own_writes_cause_no_further_request(world: World) -> None:
    world.commit({"a.yaml": config_map("a", x="1")})
    async with world.running():
        await in_step(world)
        mark = world.control_plane.mark()
        world.commit({"a.yaml": config_map("a", x="2")})

        async def applied() -> bool:
            return bool(await data(world, "a") == {"x": "2"})

        await eventually(applied)
        await asyncio.sleep(1.5)
        touched = [
            (r.verb, r.query.get("dryRun", "")) for r in world.requests(mark) if r.name == "a"
        ]
        assert touched == [("get", ""), ("patch", "All"), ("patch", "")]


async def test_a_commit_costs_the_objects_of_the_files_it_touched(world: World) -> None:
    files = {f"f{n}.yaml": [f"c{n}{letter}" for letter in "abc"] for n in range(10)}

    def written(path: str, value: str) -> str:
        return "---\n".join(config_map(name, x=value) for name in files[path])

    world.commit({path: written(path, "1") for path in files})
    async with world.running():
        await in_step(world)
        mark = world.control_plane.mark()
        world.commit({"f3.yaml": written("f3.yaml", "2")})

        async def applied() -> bool:
            commit = world.git.head()
            return bool((await world.status()).get("commit") == commit)

        await eventually(applied, within=30)
        looks = [("get", "", 200), *UPDATE]
        asked = {n: costs(world, mark, n) for names in files.values() for n in names}
        assert {n: found for n, found in asked.items() if found} == dict.fromkeys(
            files["f3.yaml"], looks
        )
        assert {r.verb for r in world.requests(mark)} <= {"get", "patch", "create"}


async def test_a_failing_object_is_retried_alone_until_it_works(world: World) -> None:
    elsewhere = f"{world.namespace}-later"
    later = config_map("a").replace("NS", elsewhere)
    world.commit({"a.yaml": later, "b.yaml": config_map("b")})
    try:
        async with world.running():
            await eventually(lambda: world.get("configmap", "b"))
            await asyncio.to_thread(world.control_plane.create_namespace, elsewhere)

            async def there() -> str:
                return await world.do(
                    "get", "configmap", "a", "-n", elsewhere, "-o", "name", "--ignore-not-found"
                )

            await eventually(there, within=30)
            await in_step(world)
    finally:
        world.control_plane.remove_namespace(elsewhere)


async def test_with_git_away_drift_is_still_put_back_and_nothing_is_pruned(world: World) -> None:
    world.commit({"a.yaml": config_map("a", x="1"), "b.yaml": config_map("b")})
    await world.once()
    shutil.move(world.git.path, f"{world.git.path}.away")
    async with world.running():
        await world.do("patch", "configmap", "a", "-p", '{"data":{"x":"edited"}}')

        async def repaired() -> bool:
            return bool(await data(world, "a") == {"x": "1"})

        await eventually(repaired)

        async def stale() -> bool:
            return (await world.status()).get("source") == "stale"

        await eventually(stale)
    assert await world.get("configmap", "b") is not None


async def test_the_agent_outlives_the_api_server(world: World) -> None:
    world.commit({"a.yaml": config_map("a", x="1")})
    async with world.running():
        await in_step(world)
        await asyncio.to_thread(world.control_plane.kill_apiserver)
        world.commit({"a.yaml": config_map("a", x="2")})
        await asyncio.sleep(2)
        await asyncio.to_thread(world.control_plane.restart_apiserver)

        async def applied() -> bool:
            return bool(await data(world, "a") == {"x": "2"})

        await eventually(applied, within=60)
        await world.do("delete", "configmap", "a")
        await eventually(lambda: world.get("configmap", "a"), within=40)


def _without_times(status: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in status.items() if not name.endswith(("At", "Time"))}
