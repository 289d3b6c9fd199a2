"""Items 20 to 25: which objects are a track's own, and which changes concern it."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from agent import app
from agent.manifest import marks
from agent.reconcile.reports.status import UP_TO_DATE, TrackStatus
from tests.acceptance.evidence import events, identity, live, messages, owner, reached, verdict
from tests.acceptance.manifests import NGINX, cluster_role, role
from tests.acceptance.scopes import scope_line, set_scope
from tests.eventually import eventually
from tests.integration.reconcile.conftest import World
from tests.integration.reconcile.manifests import config_map

pytestmark = [pytest.mark.integration, pytest.mark.asyncio]


# --- 20: names ------------------------------------------------------------------------------------


async def test_item_20_a_name_with_a_colon_is_an_objects_own(
    world: World, cleanup: Callable[..., None]
) -> None:
    """Faros names its own objects after the child and writes "-" for ":".

    There are no such objects here and identity is the real name, so ``system:x`` and ``system-x``
    are two objects of one track, namespaced and cluster-scoped, where in Faros they collide. The
    one is pruned without the other. Only the message of an event still has Faros' spelling.
    """
    wide = f"{world.namespace}:x", f"{world.namespace}-x"
    for name in wide:
        cleanup("clusterrole", name)
    colons = ("role", "system:x"), ("clusterrole", wide[0])
    dashes = ("role", "system-x"), ("clusterrole", wide[1])
    world.commit(
        {
            "colons.yaml": f"{role('system:x')}---\n{cluster_role(wide[0])}",
            "dashes.yaml": f"{role('system-x')}---\n{cluster_role(wide[1])}",
        }
    )
    status = await world.once()
    assert (status.applied, status.ready) == (4, True), status.problems
    [said] = [m for m in await messages(world, "CreateSuccessful") if "/system:x)" in m]
    key = f"Role.rbac.authorization.k8s.io {world.namespace}/system:x"
    assert said == f"Created child 'role-system-x' ({key})"

    before = [await identity(world, *what) for what in dashes]
    world.commit({}, remove=("colons.yaml",))
    assert (await world.once()).ready
    assert [await world.get(*what) for what in colons] == [None, None]
    assert [await identity(world, *what) for what in dashes] == before


# --- 21: somebody else's --------------------------------------------------------------------------

SCOPES_OF_TWO = [
    pytest.param("NS", "NS", id="two of the namespace"),
    pytest.param("cluster", "cluster", id="two of the cluster"),
    pytest.param("NS", "cluster", id="cluster after namespace"),
    pytest.param("cluster", "NS", id="namespace after cluster"),
]


def two_tracks(world: World, first: str, second: str) -> None:
    """Let the one agent have a second track beside ``shop``, each with a folder of its own."""
    world.track += ['sub-path = "one"', scope_line(world, first)]
    world.track += ["[[track]]", 'name = "second"', f'repository = "file://{world.git.path}"']
    world.track += ['interval = "1s"', 'sub-path = "two"', scope_line(world, second)]


async def passes(world: World) -> dict[str, TrackStatus]:
    return {status.track: status for status in await app.run_once(world.config(), {})}


@pytest.mark.parametrize(("first", "second"), SCOPES_OF_TWO)
async def test_item_21_an_object_of_another_track_is_left_alone(
    world: World, first: str, second: str
) -> None:
    """Pending in Faros, whose namespaced and cluster tracks steal objects from each other for ever.

    The first owner keeps it. The other track says so, as ignored and not as an error (Faros' tests
    expect "child is already owned by a KIND: NAME"), and sends ControllerMismatch, once.
    """
    two_tracks(world, first, second)
    world.commit({"one/a.yaml": config_map("a", x="1"), "two/b.yaml": config_map("b")})
    await passes(world)
    before = await identity(world, "configmap", "a")
    world.commit({"two/a.yaml": config_map("a", x="2")})
    for _ in range(2):
        status = (await passes(world))["second"]
        assert status.ready
        assert (status.applied, status.ignored) == (1, 1)
        key, reason = f"ConfigMap {world.namespace}/a", f"owned by track {owner(world)}"
        assert status.problems == {key: reason}
        assert await identity(world, "configmap", "a") == before
    told = [e for e in await events(world, track="second") if e.reason == "ControllerMismatch"]
    assert [(e.type, e.message) for e in told] == [
        ("Warning", f"Child 'configmap-a' ({key}) is owned by another controller: {reason}")
    ]


async def test_item_21_an_object_that_its_owner_drops_goes_to_the_next(world: World) -> None:
    """The first track drops it: it is deleted, and the second makes its own at its next pass."""
    two_tracks(world, "NS", "NS")
    world.commit({"one/a.yaml": config_map("a", x="1"), "one/b.yaml": config_map("b")})
    world.commit({"two/c.yaml": config_map("c")})
    await passes(world)
    first = await live(world, "configmap", "a")
    world.commit({"two/a.yaml": config_map("a", x="2")})
    await passes(world)
    world.commit({}, remove=("one/a.yaml",))
    await passes(world)
    statuses = await passes(world)
    assert all(status.ready and not status.problems for status in statuses.values())
    second = await live(world, "configmap", "a")
    assert second["data"] == {"x": "2"}
    assert second["metadata"]["uid"] != first["metadata"]["uid"]
    key = f"ConfigMap {world.namespace}/a"
    annotations = second["metadata"]["annotations"]
    assert annotations[marks.OWNER] == f"{owner(world, track='second')} {key}"


async def test_item_21_an_object_of_another_agent_is_left_alone_and_not_pruned(
    world: World, cleanup: Callable[..., None]
) -> None:
    """Several instances on one cluster (Faros' issue 63): the marks name the instance too.

    The loser does not prune it either when git drops it.
    """
    name = f"{world.namespace}-role"
    cleanup("clusterrole", name)
    world.commit({"a.yaml": config_map("a"), "role.yaml": cluster_role("NS-role")})
    await world.once()
    before = [await identity(world, "configmap", "a"), await identity(world, "clusterrole", name)]
    first, world.name = owner(world), f"{world.name}x"
    world.commit({"role.yaml": cluster_role("NS-role", verb="list"), "b.yaml": config_map("b")})
    status = await world.once()
    reason = f"owned by track {first}"
    assert status.problems == {
        f"ClusterRole.rbac.authorization.k8s.io {name}": reason,
        f"ConfigMap {world.namespace}/a": reason,
    }
    world.commit({}, remove=("a.yaml", "role.yaml"))
    assert (await world.once()).ready
    after = [await identity(world, "configmap", "a"), await identity(world, "clusterrole", name)]
    assert after == before


# --- 22 and 24: what is ignored, what is owned ----------------------------------------------------


async def test_item_22_an_ignored_kind_is_counted_with_its_reason(world: World) -> None:
    """``deployments.apps/v1`` is ignored by flag: counted, with Faros' text, and no error.

    Faros lists it under ``default/deployment-nginx``; our key has the group, which tells two kinds
    of one name apart.
    """
    world.settings.append('ignore-resources = ["deployments.apps/v1"]')
    world.commit({"nginx.yaml": NGINX})
    status = await world.once()
    assert (status.discovered, status.applied, status.ignored) == (1, 0, 1)
    assert status.problems == {
        f"Deployment.apps {world.namespace}/nginx": "resource `deployments.apps/v1` ignored "
        "globally by flag"
    }
    assert verdict(status, UP_TO_DATE) == ("True", "ChildUpdateSuccess")
    assert await world.get("deployment", "nginx") is None


async def test_item_22_only_the_exact_version_is_ignored(world: World) -> None:
    """Kept from Faros: another version of the kind is another resource."""
    world.settings.append('ignore-resources = ["deployments.apps/v1beta1"]')
    world.commit({"nginx.yaml": NGINX})
    assert (await world.once()).applied == 1


async def test_item_24_only_objects_with_our_marks_are_ours(
    world: World, cleanup: Callable[..., None]
) -> None:
    """Of all objects only the 5 owned ones are listed, by their names, and none cluster-scoped.

    The list shows when git drops everything: the deletion of all that is owned is held, and the
    status names it. A stranger's object, a copy with our marks, one of another agent, and an
    object of git that is out of scope are not in it.
    """
    wide, agent = f"{world.namespace}-role", world.name
    cleanup("clusterrole", wide)
    world.name = f"{agent}x"
    world.commit({"theirs.yaml": config_map("theirs")})
    await world.once()
    world.name = agent
    set_scope(world, "NS")
    await world.do("create", "configmap", "stranger")
    await world.do("create", "-f", "-", stdin=cluster_role(wide))
    ours = {f"{n}.yaml": config_map(f"c{n}") for n in range(4)} | {"role.yaml": role("r")}
    world.commit({**ours, "wide.yaml": cluster_role(wide)}, remove=("theirs.yaml",))
    assert (await world.once()).applied == 5
    await copy(world, "c0", "copy")

    world.commit({"0.yaml": "# all gone\n"}, remove=tuple(ours.keys() - {"0.yaml"}))
    status = await world.once()
    assert status.held_objects == [
        *(f"ConfigMap {world.namespace}/c{n}" for n in range(4)),
        f"Role.rbac.authorization.k8s.io {world.namespace}/r",
    ]
    assert not status.ready
    assert await world.get("configmap", "c0") is not None, "held, not deleted"


async def copy(world: World, name: str, new: str) -> None:
    """Copy a ConfigMap with all its marks, as a reflector or a person does."""
    original: dict[str, Any] = await live(world, "configmap", name)
    kept = {field: original["metadata"][field] for field in ("labels", "annotations")}
    original["metadata"] = {"name": new, **kept}
    await world.do("create", "-f", "-", stdin=json.dumps(original))


# --- 25: which changes concern a track ------------------------------------------------------------

GATES = {
    "cluster": ([], 'scope = "cluster"', {"configmap", "clusterrole"}),
    "cluster-only": ([], 'scope = "cluster-only"', {"clusterrole"}),
    "a namespace": ([], 'scope = "NS"', {"configmap"}),
    "another namespace": ([], 'scope = "kube-system"', set()),
    "an agent of a namespace": (['namespace = "NS"'], "", {"configmap"}),
}

EDIT = '{"metadata":{"labels":{"team":"edited"}}}'


def labelled(manifest: str) -> str:
    return manifest.replace("metadata: {", "metadata: {labels: {team: git}, ")


@pytest.mark.parametrize(("settings", "track", "concerned"), GATES.values(), ids=GATES)
async def test_item_25_only_changes_within_the_scope_concern_a_track(
    world: World,
    cleanup: Callable[..., None],
    settings: list[str],
    track: str,
    concerned: set[str],
) -> None:
    """Faros: track and child events pass or not, by its two mode flags and ``--namespace``.

    Here the scope of the track and the namespace of the agent decide. Both objects are the track's
    from before it was narrowed; drift is put back in the one and not even looked at in the other.
    """
    names = {"configmap": "a", "clusterrole": f"{world.namespace}-role"}
    cleanup("clusterrole", names["clusterrole"])
    world.commit(
        {"a.yaml": labelled(config_map("a")), "role.yaml": labelled(cluster_role("NS-role"))}
    )
    await world.once()
    world.settings += [line.replace("NS", world.namespace) for line in settings]
    world.track.append(track.replace("NS", world.namespace))
    async with world.running():
        await reached(world, world.commit({"README.md": "narrowed"}))
        mark = world.control_plane.mark()
        for kind in sorted(names, key=lambda kind: kind in concerned):
            await world.do("patch", kind, names[kind], "--type=merge", "-p", EDIT)
        for kind in concerned:
            await eventually(partial(is_put_back, world, kind, names[kind]))
        await reached(world, world.commit({"README.md": "a second later"}))
    requests = world.requests(mark)
    assert {r.resource.removesuffix("s") for r in requests if r.name in names.values()} == concerned
    for kind in names.keys() - concerned:
        labels = (await live(world, kind, names[kind]))["metadata"]["labels"]
        assert labels["team"] == "edited"


async def is_put_back(world: World, kind: str, name: str) -> bool:
    return bool((await live(world, kind, name))["metadata"]["labels"]["team"] == "git")
