"""Items 31 and 32: which objects may be touched, and how their changes are seen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from agent.config.errors import ConfigError
from agent.kube.client import Client
from agent.kube.discovery import Discovery
from agent.kube.informers import Informers
from agent.kube.resource import Resource
from agent.manifest import marks
from agent.manifest.keys import GroupVersionKind
from agent.plan.ownership import Record, project
from tests.acceptance.evidence import identity, live, reached
from tests.acceptance.manifests import cluster_role
from tests.eventually import eventually
from tests.integration.reconcile.conftest import World
from tests.integration.reconcile.manifests import config_map

pytestmark = [pytest.mark.integration, pytest.mark.asyncio]

MODES = {
    "the whole cluster": ([], [], {"here", "elsewhere", "wide"}),
    "cluster-scoped objects only": ([], ['scope = "cluster-only"'], {"wide"}),
    "one namespace": ([], ['scope = "NS"'], {"here"}),
    "another namespace": ([], ['scope = "NS-o"'], {"elsewhere"}),
    "an agent of one namespace": (['namespace = "NS"'], [], {"here"}),
}


@pytest.mark.parametrize(("settings", "track", "touched"), MODES.values(), ids=MODES)
async def test_item_31_scope_and_namespace_decide_what_is_touched(
    world: World,
    cleanup: Callable[..., None],
    settings: list[str],
    track: list[str],
    touched: set[str],
) -> None:
    """Faros' modes: which objects of which tracks are left untouched.

    Cluster-scoped ones when cluster tracks are disabled, namespaced ones in ExcludeNamespaced,
    those of another namespace under ``--namespace``. The scope of the track and the namespace of
    the agent say the same here. What is not touched is not asked for either.
    """
    other, wide = f"{world.namespace}-o", f"{world.namespace}-wide"
    cleanup("clusterrole", wide)
    world.settings += [line.replace("NS", world.namespace) for line in settings]
    world.track += [line.replace("NS", world.namespace) for line in track]
    world.commit(
        {
            "a.yaml": config_map("here"),
            "b.yaml": config_map("elsewhere").replace("NS", "NS-o"),
            "c.yaml": cluster_role("NS-wide"),
        }
    )
    world.control_plane.create_namespace(other)
    mark = world.control_plane.mark()
    try:
        status = await world.once()
    finally:
        world.control_plane.remove_namespace(other)
    assert (status.applied, status.ignored) == (len(touched), 3 - len(touched))
    named = {r.name for r in world.requests(mark)}
    assert {name for name in ("here", "elsewhere") if name in named} == touched - {"wide"}
    assert (wide in named) == ("wide" in touched)


async def test_item_31_a_scope_beyond_the_agents_namespace_is_refused(world: World) -> None:
    """Faros: "Cannot run with namespace ... and clustergittrack-mode enabled", and exits with 0."""
    world.settings.append(f'namespace = "{world.namespace}"')
    world.track.append('scope = "cluster"')
    with pytest.raises(ConfigError, match="outside of what the agent is restricted to") as caught:
        world.config()
    assert caught.value.exit_code == 2


Seen = list[tuple[Record | None, Record | None]]


@asynccontextmanager
async def watching(client: Client, world: World) -> AsyncIterator[tuple[Informers[Record], Seen]]:
    """Informers for marked objects of the test's namespace, and what they say."""
    seen: Seen = []
    async with asyncio.TaskGroup() as tasks:
        informers: Informers[Record] = Informers(
            client=client,
            tasks=tasks,
            project=lambda obj, resource: project(obj, has_status=resource.has_status),
            on_change=lambda _, old, new, body: seen.append((old, new)),
            on_gone=lambda _: None,
            selector=f"{marks.AGENT}={world.name}",
            namespace=world.namespace,
        )
        yield informers, seen
        informers.stop()


def changes_of(name: str, seen: Seen) -> list[str]:
    """Name the changes of one object in the order in which they were handed on."""
    words = {(False, True): "added", (True, True): "updated", (True, False): "deleted"}
    about = [(old, new) for old, new in seen if name in {r.key.name for r in (old, new) if r}]
    return [words[old is not None, new is not None] for old, new in about]


async def config_maps(client: Client) -> Resource:
    found = await Discovery(client).resolve(GroupVersionKind("", "v1", "ConfigMap"))
    assert found is not None
    return found


async def test_item_32_a_kind_is_watched_once(client: Client, world: World) -> None:
    """The informer of a kind is made once; asking for it again does nothing."""
    resource = await config_maps(client)
    mark = world.control_plane.mark()
    async with watching(client, world) as (informers, _):
        both = [await informers.ensure(resource), await informers.ensure(resource)]
        assert both[0] is both[1]
        assert list(informers) == [both[0]]
        assert both[0].synced
    asked = [
        r for r in world.requests(mark)
        if r.verb == "list" and world.name in r.uri and r.resource == "configmaps"
    ]  # fmt: skip
    assert len(asked) == 1


async def test_item_32_a_modification_arrives_as_do_additions_and_deletions(
    client: Client, world: World
) -> None:
    """Add, update and delete are handed on, each with what was there before and what is now.

    Faros ignores events whose object is nil; a handler here is told of differences alone, so there
    is always one of the two.
    """
    resource = await config_maps(client)
    world.commit({"a.yaml": config_map("a", x="1")})
    async with watching(client, world) as (informers, seen):
        await informers.ensure(resource)

        await world.once()
        await eventually(lambda: changes_of("a", seen) == ["added"])
        await world.do("patch", "configmap", "a", "-p", '{"data":{"x":"2"}}')
        await eventually(lambda: changes_of("a", seen) == ["added", "updated"])
        await world.do("delete", "configmap", "a")
        await eventually(lambda: changes_of("a", seen) == ["added", "updated", "deleted"])


async def test_item_32_only_the_object_that_is_marked_by_name_concerns_its_track(
    world: World,
) -> None:
    """Faros enqueues an owner only for ownerReferences with controller=true, of either scope.

    Here the annotation names the object it stands on. A copy carries our labels, so the watch sees
    it, but nothing is asked about it, and it is left as it is, even when it is edited.
    """
    commit = world.commit({"a.yaml": config_map("a", x="1")})
    async with world.running():
        await reached(world, commit)
        mark = world.control_plane.mark()
        original = await live(world, "configmap", "a")
        labels = [f"{name}={value}" for name, value in original["metadata"]["labels"].items()]
        await world.do("create", "configmap", "copy", "--from-literal=x=1")
        await world.do("label", "configmap", "copy", *labels)
        mark_of_a = original["metadata"]["annotations"][marks.OWNER]
        await world.do("annotate", "configmap", "copy", f"{marks.OWNER}={mark_of_a}")
        await world.do("patch", "configmap", "copy", "-p", '{"data":{"x":"2"}}')
        before = await identity(world, "configmap", "copy")
        await world.do("patch", "configmap", "a", "-p", '{"data":{"x":"2"}}')

        async def is_back() -> bool:
            return bool((await live(world, "configmap", "a"))["data"] == {"x": "1"})

        await eventually(is_back)
        await reached(world, world.commit({"b.yaml": config_map("b")}))
    assert {r.name for r in world.requests(mark)} & {"a", "b", "copy"} == {"a", "b"}
    assert await identity(world, "configmap", "copy") == before
