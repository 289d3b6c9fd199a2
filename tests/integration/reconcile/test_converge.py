"""A repository becomes a cluster: creation, change, removal, and silence when nothing changed."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.manifest import marks
from tests.conftest import Cluster
from tests.integration.reconcile.conftest import World
from tests.integration.reconcile.manifests import (
    CRD,
    CUSTOM_RESOURCE,
    DEPLOYMENT,
    config_map,
    config_map_json,
    secret,
)

pytestmark = pytest.mark.asyncio

EXAMPLES = Path(__file__).parents[3] / "examples" / "fleet"
FLEET = {str(p.relative_to(EXAMPLES)): p.read_text() for p in EXAMPLES.rglob("*.*")}
INVENTORY_KINDS = "applyset.kubernetes.io/contains-group-kinds"
INVENTORY_NAMESPACES = "applyset.kubernetes.io/additional-namespaces"


async def test_what_is_in_git_is_created_marked_and_recorded(world: World) -> None:
    world.commit({"a.yaml": config_map("a", x="1"), "deep/er/b.yml": DEPLOYMENT})
    status = await world.once()
    assert status.ready
    assert (status.discovered, status.applied, status.in_sync, status.ignored) == (2, 2, 2, 0)

    live = await world.get("configmap", "a")
    assert live is not None
    assert live["data"] == {"x": "1"}
    inventory = await world.get("configmap", f"{world.name}.shop")
    assert inventory is not None
    applyset = inventory["metadata"]["labels"]["applyset.kubernetes.io/id"]
    assert live["metadata"]["labels"] == {
        marks.APPLYSET_PART_OF: applyset,
        marks.AGENT: world.name,
    }
    owner = live["metadata"]["annotations"][marks.OWNER]
    assert owner == f"{world.namespace}/{world.name}.shop ConfigMap {world.namespace}/a"
    annotations = inventory["metadata"]["annotations"]
    assert annotations[INVENTORY_KINDS] == "ConfigMap,Deployment.apps"
    assert annotations[INVENTORY_NAMESPACES] == ""
    assert (await world.status())["commit"] == world.git.head()


async def test_a_second_run_sends_no_write_and_no_read_of_an_object_twice(world: World) -> None:
    world.commit(
        {"a.yaml": config_map("a", x="1"), "b.yaml": DEPLOYMENT, "s.yaml": secret("s", "p")}
    )
    assert (await world.once()).ready
    mark = world.control_plane.mark()
    assert (await world.once()).ready
    assert world.writes(mark) == []


async def test_a_commit_changes_adds_and_removes(world: World) -> None:
    world.commit(
        {"a.yaml": config_map("a", x="1"), "b.yaml": config_map("b"), "c.yaml": DEPLOYMENT}
    )
    await world.once()
    before = await world.get("deployment", "web")
    world.commit({"a.yaml": config_map("a", x="2"), "d.yaml": config_map("d")}, remove=("b.yaml",))
    mark = world.control_plane.mark()
    status = await world.once()
    assert status.ready
    changed = await world.get("configmap", "a")
    assert changed is not None
    assert changed["data"] == {"x": "2"}
    assert await world.get("configmap", "d") is not None
    assert await world.get("configmap", "b") is None
    assert await world.get("deployment", "web") == before
    deletes = [r for r in world.writes(mark) if r.verb == "delete"]
    assert [(r.resource, r.name) for r in deletes] == [("configmaps", "b")]


async def test_a_field_that_git_drops_is_dropped_and_one_it_never_had_stays(world: World) -> None:
    world.commit({"a.yaml": config_map("a", x="1", y="1")})
    await world.once()
    await world.do("patch", "configmap", "a", "-p", '{"data":{"z":"mine"}}')
    world.commit({"a.yaml": config_map("a", x="1")})
    await world.once()
    live = await world.get("configmap", "a")
    assert live is not None
    assert live["data"] == {"x": "1", "z": "mine"}


async def test_a_crd_and_its_custom_resource_converge_in_one_pass(
    world: World, cleanup: Callable[..., None]
) -> None:
    kind = f"gear{world.namespace.removeprefix('test-')}"
    cleanup("crd", f"{kind}.shop.example")
    files = {"a-cr.yaml": CUSTOM_RESOURCE, "z-crd.yaml": CRD}
    world.commit({path: text.replace("KIND", kind) for path, text in files.items()})
    status = await world.once()
    assert status.ready, status.problems
    live = await world.get(kind, "first")
    assert live is not None
    assert live["spec"] == {"sizes": [1, 2, 3]}


async def test_a_namespace_and_what_is_in_it_come_in_one_commit(
    world: World, cleanup: Callable[..., None]
) -> None:
    name = f"{world.namespace}-new"
    cleanup("namespace", name)
    namespace = f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n"
    inside = config_map("a").replace("NS", name)
    world.commit({"a.yaml": inside, "z.yaml": namespace})
    assert (await world.once()).ready
    inventory = await world.get("configmap", f"{world.name}.shop")
    assert inventory is not None
    assert inventory["metadata"]["annotations"][INVENTORY_NAMESPACES] == name


async def test_a_secrets_value_is_only_where_it_belongs(world: World) -> None:
    world.commit({"s.yaml": secret("s", "hunter2hunter2")})
    await world.once()
    live = await world.get("secret", "s")
    assert live is not None
    encoded = base64.b64encode(b"hunter2hunter2").decode()
    assert live.pop("data") == {"password": encoded}
    assert "hunter2" not in str(live)
    assert encoded not in str(live)
    stored = world.control_plane.stored(f"/registry/secrets/{world.namespace}/s")
    assert stored.count(b"hunter2hunter2") == 1, "in data, and nowhere else"
    assert encoded.encode() not in stored


async def test_an_object_that_is_there_already_is_adopted_with_what_others_put_on_it(
    world: World,
) -> None:
    await world.do("create", "configmap", "a", "--from-literal=x=old", "--from-literal=z=mine")
    world.commit({"a.yaml": config_map("a", x="1")})
    assert (await world.once()).ready
    live = await world.get("configmap", "a")
    assert live is not None
    assert live["data"] == {"x": "1", "z": "mine"}
    assert live["metadata"]["labels"][marks.AGENT] == world.name


async def test_adoption_takes_kubectls_last_applied_as_the_original(world: World) -> None:
    applied = config_map("a", x="1", gone="1").replace("NS", world.namespace)
    await world.do("apply", "-f", "-", stdin=applied)
    world.commit({"a.yaml": config_map("a", x="1")})
    await world.once()
    live = await world.get("configmap", "a")
    assert live is not None
    assert live["data"] == {"x": "1"}


async def test_json_lists_and_several_documents_count_one_by_one(world: World) -> None:
    several = "---\n".join(config_map(name) for name in ("a", "b"))
    items = [json.loads(config_map_json(name)) for name in ("c", "d")]
    as_list = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    world.commit({"ab.yaml": several, "cd.json": as_list, "README.md": "no: manifest"})
    status = await world.once()
    assert (status.discovered, status.ready) == (4, True)


async def test_a_sub_path_is_a_folder_and_no_prefix(world: World) -> None:
    world.track.append('sub-path = "foo"')
    world.commit({"foo/a.yaml": config_map("a"), "foobar/b.yaml": config_map("b")})
    assert (await world.once()).discovered == 1


async def test_status_is_stable_so_that_an_idle_pass_writes_nothing(world: World) -> None:
    world.commit({"a.yaml": config_map("a"), "broken.yaml": "a: [1"})
    first = await world.once()
    assert not first.ready
    mark = world.control_plane.mark()
    assert await world.once() == first
    assert world.writes(mark) == []


async def test_the_example_fleet_converges_and_a_second_run_writes_nothing(
    world: World, cluster: Cluster
) -> None:
    world.git.commit(FLEET)
    try:
        first = await world.once()
        assert first.ready, first.problems
        assert first.in_sync == first.discovered >= 55
        mark = world.control_plane.mark()
        assert (await world.once()).ready
        assert world.writes(mark) == [], "dry-runs count as well"
        objects = {r.resource for r in world.requests(mark) if r.verb == "get" and r.name}
        assert objects == {"configmaps"}, "only the inventory is read"
    finally:
        selector = f"-l={marks.AGENT}={world.name}"
        kinds = "crd,clusterrole,clusterrolebinding,priorityclass"
        await asyncio.to_thread(cluster.kubectl, "delete", kinds, selector, "--wait=false")
        listed = await world.do(
            "get", "namespace", selector, "-o", "jsonpath={.items[*].metadata.name}"
        )
        for name in listed.split():
            world.control_plane.remove_namespace(name)
