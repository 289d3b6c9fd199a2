"""Update strategies, takeover, and objects too large for an annotation, on the real API server."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from agent.apply import recreate, serverside
from agent.manifest import marks
from tests.integration.reconcile.conftest import World
from tests.integration.reconcile.manifests import config_map

pytestmark = pytest.mark.asyncio

STRATEGY = "lightkeeper.dev/update-strategy"


def with_strategy(manifest: str, strategy: str, name: str = STRATEGY) -> str:
    return manifest.replace(
        "namespace: NS}", f"namespace: NS, annotations: {{{name}: {strategy}}}}}", 1
    )


def service(port: int, ip: str = "None") -> str:
    return f"""\
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: NS}}
spec: {{clusterIP: {ip}, ports: [{{port: {port}}}]}}
"""


async def live(world: World, kind: str, name: str) -> dict[str, Any]:
    found = await world.get(kind, name)
    assert found is not None
    return found


@pytest.mark.parametrize("annotation", [STRATEGY, "faros.pusher.com/update-strategy"])
async def test_never_creates_and_from_then_on_keeps_its_hands_off(
    world: World, annotation: str
) -> None:
    world.commit({"a.yaml": with_strategy(config_map("a", x="1"), "never", annotation)})
    assert (await world.once()).ready
    await world.do("patch", "configmap", "a", "-p", '{"data":{"x":"edited"}}')
    world.commit({"a.yaml": with_strategy(config_map("a", x="2"), "never", annotation)})
    before = await live(world, "configmap", "a")
    status = await world.once()
    assert status.ready
    assert status.in_sync == 1
    assert await world.get("configmap", "a") == before


async def test_never_marks_what_was_there_before_without_remembering_its_content(
    world: World,
) -> None:
    await world.do("create", "configmap", "a", "--from-literal=x=old")
    world.commit(
        {"a.yaml": with_strategy(config_map("a", x="1"), "never"), "b.yaml": config_map("b")}
    )
    assert (await world.once()).ready
    found = await live(world, "configmap", "a")
    assert found["data"] == {"x": "old"}
    assert found["metadata"]["labels"][marks.AGENT] == world.name
    assert marks.LAST_APPLIED not in found["metadata"]["annotations"]
    world.commit({"a.yaml": config_map("a", x="1")})
    await world.once()
    assert (await live(world, "configmap", "a"))["data"] == {"x": "1"}
    world.commit({"b.yaml": config_map("b")}, remove=("a.yaml",))
    await world.once()
    assert await world.get("configmap", "a") is None


async def test_an_invalid_strategy_is_refused_before_the_object_exists(world: World) -> None:
    world.commit({"a.yaml": with_strategy(config_map("a"), "sometimes")})
    status = await world.once()
    assert await world.get("configmap", "a") is None
    [text] = status.problems.values()
    assert text.startswith("invalid update strategy: sometimes")


async def test_update_never_deletes_an_object_that_cannot_be_changed_in_place(world: World) -> None:
    world.commit({"web.yaml": service(80)})
    await world.once()
    before = await live(world, "service", "web")
    world.commit({"web.yaml": service(80, ip="10.96.77.77")})
    status = await world.once()
    assert not status.ready
    [text] = status.problems.values()
    assert "may not change once set" in text
    assert (await live(world, "service", "web"))["metadata"]["uid"] == before["metadata"]["uid"]


async def gone_soon(world: World, kind: str, name: str) -> None:
    """Do the garbage collector's part of a foreground deletion."""
    while True:
        found = await world.get(kind, name)
        if found and found["metadata"].get("deletionTimestamp"):
            patch = '{"metadata":{"finalizers":null}}'
            await world.do("patch", kind, name, "--type=merge", "-p", patch)
            return
        await asyncio.sleep(0.05)


async def test_recreate_changes_in_place_where_that_works(world: World) -> None:
    world.commit({"web.yaml": with_strategy(service(80), "recreate")})
    await world.once()
    before = await live(world, "service", "web")
    world.commit({"web.yaml": with_strategy(service(81), "recreate")})
    assert (await world.once()).ready
    after = await live(world, "service", "web")
    assert after["spec"]["ports"][0]["port"] == 81
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


async def test_recreate_replaces_what_the_server_cannot_change(world: World) -> None:
    world.commit({"web.yaml": with_strategy(service(80), "recreate")})
    await world.once()
    before = await live(world, "service", "web")
    world.commit({"web.yaml": with_strategy(service(80, ip="10.96.77.78"), "recreate")})
    collector = asyncio.create_task(gone_soon(world, "service", "web"))
    status = await world.once()
    await collector
    assert status.ready, status.problems
    after = await live(world, "service", "web")
    assert after["spec"]["clusterIP"] == "10.96.77.78"
    assert after["metadata"]["uid"] != before["metadata"]["uid"]


async def test_recreate_puts_the_original_back_when_the_new_one_is_refused(world: World) -> None:
    world.commit({"web.yaml": with_strategy(service(80), "recreate")})
    await world.once()
    before = await live(world, "service", "web")
    world.commit({"web.yaml": with_strategy(service(80, ip="10.99.99.99"), "recreate")})
    collector = asyncio.create_task(gone_soon(world, "service", "web"))
    status = await world.once()
    await collector
    assert not status.ready
    [text] = status.problems.values()
    assert "not in the valid range" in text
    after = await live(world, "service", "web")
    assert after["spec"] == before["spec"]
    assert after["metadata"]["labels"] == before["metadata"]["labels"]


async def test_recreate_that_waits_for_a_finalizer_gives_up_and_says_for_which(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recreate, "DEADLINE", 0.6)
    world.commit({"web.yaml": with_strategy(service(80), "recreate")})
    await world.once()
    world.commit({"web.yaml": with_strategy(service(80, ip="10.96.77.79"), "recreate")})
    status = await world.once()
    [text] = status.problems.values()
    assert "foregroundDeletion" in text


async def test_recreate_never_deletes_what_is_not_ours(world: World) -> None:
    manifest = service(80).replace("NS", world.namespace)
    await world.do("create", "-f", "-", stdin=manifest)
    before = await live(world, "service", "web")
    world.commit({"web.yaml": with_strategy(service(80, ip="10.96.77.80"), "recreate")})
    status = await world.once()
    [text] = status.problems.values()
    assert "not recreated: the object does not carry this track's marks" in text
    assert (await live(world, "service", "web"))["metadata"]["uid"] == before["metadata"]["uid"]


async def test_an_object_of_another_tool_is_left_alone_until_the_track_adopts_it(
    world: World,
) -> None:
    await world.do("create", "configmap", "a", "--from-literal=x=theirs")
    await world.do("label", "configmap", "a", "kustomize.toolkit.fluxcd.io/name=apps")
    world.commit({"a.yaml": config_map("a", x="1")})
    status = await world.once()
    assert list(status.problems.values()) == [
        "managed by Flux Kustomization 'apps' (kustomize.toolkit.fluxcd.io/name); "
        "set adopt = true on the track to take it over"
    ]
    assert (await live(world, "configmap", "a"))["data"] == {"x": "theirs"}
    world.track.append("adopt = true")
    assert (await world.once()).ready
    assert (await live(world, "configmap", "a"))["data"] == {"x": "1"}


async def test_adopt_takes_an_object_over_from_another_agent(world: World) -> None:
    world.commit({"a.yaml": config_map("a", x="1", gone="1")})
    await world.once()
    first, world.name = world.name, f"{world.name}x"
    world.track.append("adopt = true")
    world.commit({"a.yaml": config_map("a", x="2")})
    assert (await world.once()).ready
    found = await live(world, "configmap", "a")
    assert found["data"] == {"x": "2"}
    assert found["metadata"]["labels"][marks.AGENT] == world.name != first


async def test_a_service_with_a_port_of_its_own_is_adopted_although_the_port_is_taken(
    world: World,
) -> None:
    node_port = service(80, ip='"10.96.77.81"').replace("NS", world.namespace)
    await world.do("create", "-f", "-", stdin=node_port)
    world.commit({"web.yaml": service(80, ip='"10.96.77.81"')})
    status = await world.once()
    assert status.ready, status.problems
    found = await live(world, "service", "web")
    assert found["metadata"]["labels"][marks.AGENT] == world.name


# --- objects too large for the annotation --------------------------------------------------------


def large(name: str, **data: str) -> str:
    return config_map(name, filler="x" * 300_000, **data)


async def test_a_large_object_is_applied_server_side_and_the_status_says_so(world: World) -> None:
    world.commit({"a.yaml": large("a", x="1", y="1")})
    status = await world.once()
    assert status.ready
    assert list(status.problems.values()) == [serverside.REASON]
    found = await live(world, "configmap", "a")
    assert marks.LAST_APPLIED not in found["metadata"]["annotations"]
    mark = world.control_plane.mark()
    assert (await world.once()) == status
    assert world.writes(mark) == []


async def test_a_field_that_git_drops_from_a_large_object_goes_and_a_strangers_stays(
    world: World,
) -> None:
    world.commit({"a.yaml": large("a", x="1", y="1")})
    await world.once()
    await world.do("patch", "configmap", "a", "-p", '{"data":{"z":"mine"}}')
    world.commit({"a.yaml": large("a", x="2")})
    assert (await world.once()).ready
    found = await live(world, "configmap", "a")
    found["data"].pop("filler")
    assert found["data"] == {"x": "2", "z": "mine"}


async def test_an_object_may_grow_and_shrink_and_what_git_drops_goes_each_time(
    world: World,
) -> None:
    for manifest, wanted in [
        (config_map("a", a="1", b="1"), {"a": "1", "b": "1"}),
        (large("a", a="1", c="1"), {"a": "1", "c": "1"}),
        (large("a", a="1", d="1"), {"a": "1", "d": "1"}),
        (config_map("a", a="1", e="1"), {"a": "1", "e": "1"}),
        (config_map("a", a="1"), {"a": "1"}),
        (large("a", f="1"), {"f": "1"}),
        (config_map("a", f="2"), {"f": "2"}),
    ]:
        world.commit({"a.yaml": manifest})
        assert (await world.once()).ready
        found = await live(world, "configmap", "a")
        found["data"].pop("filler", None)
        assert found["data"] == wanted
        annotated = marks.LAST_APPLIED in found["metadata"]["annotations"]
        assert annotated is ("x" * 1000 not in manifest)
        mark = world.control_plane.mark()
        await world.once()
        assert world.writes(mark) == []


async def test_adopting_a_large_object_uses_kubectls_last_applied_once(world: World) -> None:
    small = json.loads(await world.do("create", "configmap", "a", "--dry-run=client", "-o", "json"))
    small["data"] = {"x": "1", "gone": "1"}
    await world.do("apply", "-f", "-", stdin=json.dumps(small))
    world.commit({"a.yaml": large("a", x="1")})
    assert (await world.once()).ready
    found = await live(world, "configmap", "a")
    assert set(found["data"]) == {"x", "filler"}
