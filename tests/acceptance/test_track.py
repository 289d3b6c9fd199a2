"""Items 11 to 19: a pass over a track, from its files to counters, conditions and Events."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agent.manifest import marks
from agent.reconcile.reports.status import COLLECTED, FETCHED, PARSED, UP_TO_DATE, TrackStatus
from tests.acceptance.evidence import (
    condition,
    events,
    identity,
    live,
    messages,
    owner,
    reasons,
    verdict,
)
from tests.acceptance.manifests import BROKEN, DAEMON_SET, cluster_role, namespace
from tests.acceptance.scopes import BOTH_KINDS, set_scope
from tests.integration.reconcile.conftest import World
from tests.integration.reconcile.manifests import DEPLOYMENT, config_map

pytestmark = [pytest.mark.integration, pytest.mark.asyncio]


def counters(status: TrackStatus) -> tuple[int, int, int]:
    """Applied, discovered, ignored: the order of the list."""
    return status.applied, status.discovered, status.ignored


@pytest.mark.parametrize("scope", BOTH_KINDS)
async def test_item_11_every_object_of_a_repository_is_made_and_owned(
    world: World, scope: str
) -> None:
    """Two objects: both are there, owned, with last-applied; no error; counters 2/2/0.

    Faros has an object of its own for each, with an ownerReference; here the marks on the object
    itself name its owner, so that the cluster's garbage collector cannot punish us.
    """
    set_scope(world, scope)
    world.commit({"a.yaml": config_map("a"), "web.yaml": DEPLOYMENT})
    status = await world.once()
    assert counters(status) == (2, 2, 0)
    assert (status.in_sync, status.problems) == (2, {})
    assert {c.status for c in status.conditions} == {"True"}
    for kind, name in (("ConfigMap", "a"), ("Deployment.apps", "web")):
        metadata = (await live(world, kind, name))["metadata"]
        key = f"{kind} {world.namespace}/{name}"
        assert metadata["annotations"][marks.OWNER] == f"{owner(world)} {key}"
        assert metadata["labels"][marks.AGENT] == world.name
        assert marks.LAST_APPLIED in metadata["annotations"]
        assert "ownerReferences" not in metadata


@pytest.mark.parametrize("scope", BOTH_KINDS)
async def test_item_11_a_first_pass_tells_the_checkout_and_each_creation(
    world: World, scope: str
) -> None:
    """Faros' four events are CheckoutStarted, CheckoutSuccessful, CreateStarted, CreateSuccessful.

    The two that something started are left out: they say nothing that their successors do not.
    The message begins as in Faros; the whole key follows, since kind and name can be ambiguous.
    """
    set_scope(world, scope)
    commit = world.commit({"a.yaml": config_map("a"), "web.yaml": DEPLOYMENT})
    await world.once()
    where = world.namespace
    assert sorted((e.type, e.reason, e.message) for e in await events(world)) == [
        (
            "Normal",
            "CheckoutSuccessful",
            f"Successfully checked out 'file://{world.git.path}' at 'HEAD' ({commit[:12]})",
        ),
        ("Normal", "CreateSuccessful", f"Created child 'configmap-a' (ConfigMap {where}/a)"),
        (
            "Normal",
            "CreateSuccessful",
            f"Created child 'deployment-web' (Deployment.apps {where}/web)",
        ),
    ]


async def test_item_12_every_document_of_a_file_becomes_an_object(world: World) -> None:
    """A DaemonSet and a ConfigMap in one file; Faros calls them daemonset-fluentd and so on."""
    world.commit({"fluentd.yaml": f"{DAEMON_SET}---\n{config_map('fluentd-config')}"})
    assert counters(await world.once()) == (2, 2, 0)
    assert await world.get("daemonset", "fluentd") is not None
    assert await world.get("configmap", "fluentd-config") is not None
    assert [m.split()[2] for m in await messages(world, "CreateSuccessful")] == [
        "'configmap-fluentd-config'",
        "'daemonset-fluentd'",
    ]


def repository_of_12() -> dict[str, str]:
    """5 objects of the namespace, 3 of another one, 4 cluster-scoped, and a file that is broken."""
    inside = {f"{n}.yaml": config_map(f"c{n}") for n in range(5)}
    outside = {f"other/{n}.yaml": config_map(f"o{n}").replace("NS", "NS-o") for n in range(3)}
    wide = {f"wide/{n}.yaml": cluster_role(f"NS-{n}") for n in range(3)}
    wide["wide/namespace.yaml"] = namespace("NS-o")
    return {**inside, **outside, **wide, "invalid_file.yaml": BROKEN}


async def test_item_13_what_is_out_of_scope_or_invalid_counts_as_ignored(world: World) -> None:
    """One invalid file and 7 of 12 objects out of scope: ignored = 8, and all 8 are listed.

    Faros ends the text with a newline and lists errors of objects without any; ours says why in
    each line, and in which line of the file.
    """
    set_scope(world, "NS")
    world.commit(repository_of_12())
    status = await world.once()
    assert counters(status) == (5, 12, 8)
    assert len(status.problems) == status.ignored
    here, other = world.namespace, f"{world.namespace}-o"
    wide = f"a track with scope `{here}` cannot manage a cluster-scoped resource"
    elsewhere = f"namespace `{other}` is not managed by this track"
    assert status.problems.pop("invalid_file.yaml").startswith("not YAML: ")
    assert status.problems == {
        **{f"ClusterRole.rbac.authorization.k8s.io {here}-{n}": wide for n in range(3)},
        f"Namespace {other}": wide,
        **{f"ConfigMap {other}/o{n}": elsewhere for n in range(3)},
    }


async def test_item_13_for_a_track_of_the_cluster_only_the_invalid_file_is_ignored(
    world: World, cleanup: Callable[..., None]
) -> None:
    """The same repository under a ClusterGitTrack: ignored = 1, the invalid file."""
    for number in range(3):
        cleanup("clusterrole", f"{world.namespace}-{number}")
    world.commit(repository_of_12())
    try:
        status = await world.once()
    finally:
        world.control_plane.remove_namespace(f"{world.namespace}-o")
    assert counters(status) == (12, 12, 1)
    assert list(status.problems) == ["invalid_file.yaml"]


async def test_item_14_a_document_that_becomes_invalid_deletes_nothing(world: World) -> None:
    """A file of two objects, of which one turns invalid: both stay, and the parse error is said.

    Faros then shows ChildrenGarbageCollected as True, although it skipped it; we say Unknown.
    """
    world.commit({"a.yaml": f"{config_map('a')}---\n{config_map('b')}"})
    await world.once()
    before = await identity(world, "configmap", "b")
    world.commit({"a.yaml": f"{config_map('a')}---\n{BROKEN}"})
    status = await world.once()
    assert verdict(status, PARSED) == ("False", "ErrorParsingFiles")
    assert verdict(status, COLLECTED) == ("Unknown", "StatusUnknown")
    assert await identity(world, "configmap", "b") == before
    assert await world.get("configmap", "a") is not None


async def test_item_15_a_cluster_scoped_object_is_ignored_by_a_track_of_a_namespace(
    world: World,
) -> None:
    """Faros: "a GitTrack cannot manage a cluster-scoped resource"; ours names the scope."""
    set_scope(world, "NS")
    world.commit({"role.yaml": cluster_role("NS-role")})
    status = await world.once()
    name = f"{world.namespace}-role"
    assert counters(status) == (0, 1, 1)
    assert status.problems == {
        f"ClusterRole.rbac.authorization.k8s.io {name}": f"a track with scope `{world.namespace}` "
        "cannot manage a cluster-scoped resource"
    }
    assert status.ready, "ignored is no error"
    assert await world.get("clusterrole", name) is None


async def test_item_15_a_cluster_scoped_object_is_made_by_a_track_of_the_cluster(
    world: World, cleanup: Callable[..., None]
) -> None:
    """A ClusterGitTrack manages it."""
    name = f"{world.namespace}-role"
    cleanup("clusterrole", name)
    world.commit({"role.yaml": cluster_role("NS-role")})
    assert counters(await world.once()) == (1, 1, 0)
    annotations = (await live(world, "clusterrole", name))["metadata"]["annotations"]
    key = f"ClusterRole.rbac.authorization.k8s.io {name}"
    assert annotations[marks.OWNER] == f"{owner(world)} {key}"


async def test_item_16_objects_of_another_namespace_are_not_made(world: World) -> None:
    """Three objects of another namespace under sub-path ``foo``: counters 0/3/3, and the reason.

    The other namespace exists, so that only the rule keeps them away.
    """
    other = f"{world.namespace}-o"
    set_scope(world, "NS")
    world.track.append('sub-path = "foo"')
    world.commit({f"foo/{n}.yaml": config_map(n).replace("NS", "NS-o") for n in "abc"})
    world.control_plane.create_namespace(other)
    try:
        status = await world.once()
        listed = await world.do("get", "configmap", "-n", other, "-o", "name")
    finally:
        world.control_plane.remove_namespace(other)
    assert counters(status) == (0, 3, 3)
    reason = f"namespace `{other}` is not managed by this track"
    assert status.problems == {f"ConfigMap {other}/{n}": reason for n in "abc"}
    assert listed == ""


async def test_item_17_a_cluster_only_track_ignores_namespaced_objects(
    world: World, cleanup: Callable[..., None]
) -> None:
    """Faros' ExcludeNamespaced: "namespaced resources cannot be managed by ClusterGitTrack"."""
    cleanup("clusterrole", f"{world.namespace}-role")
    set_scope(world, "cluster-only")
    world.commit({"a.yaml": config_map("a"), "role.yaml": cluster_role("NS-role")})
    status = await world.once()
    assert counters(status) == (1, 2, 1)
    assert status.problems == {
        f"ConfigMap {world.namespace}/a": "namespaced resources cannot be managed by a track with "
        "scope `cluster-only`"
    }
    assert await world.get("configmap", "a") is None
    assert await world.get("clusterrole", f"{world.namespace}-role") is not None


@pytest.mark.parametrize(
    ("line", "error"),
    [
        pytest.param(
            'reference = "nope"', "unable to resolve reference 'nope': no tag", id="reference"
        ),
        pytest.param('sub-path = "nope"', "no files for sub-path 'nope' in commit", id="sub-path"),
    ],
)
async def test_item_18_a_bad_reference_or_sub_path_touches_no_object(
    world: World, cleanup: Callable[..., None], line: str, error: str
) -> None:
    """The error, ErrorFetchingFiles, a CheckoutFailed event, and all that exists is left as it is.

    Faros then shows the steps it never reached as True and sets every counter to zero; here they
    are Unknown and the counters are those of the objects that still exist.
    """
    cleanup("clusterrole", f"{world.namespace}-role")
    world.commit({"a.yaml": config_map("a"), "role.yaml": cluster_role("NS-role")})
    good = await world.once()
    everything = (("configmap", "a"), ("clusterrole", f"{world.namespace}-role"))
    before = [await identity(world, *what) for what in everything]

    world.track.append(line)
    status = await world.once()
    assert verdict(status, FETCHED) == ("False", "ErrorFetchingFiles")
    assert condition(status, FETCHED).message.startswith(f"file://{world.git.path}: {error}")
    for unreached in (PARSED, UP_TO_DATE, COLLECTED):
        assert verdict(status, unreached) == ("Unknown", "StatusUnknown")
    assert counters(status) == counters(good) == (2, 2, 0)
    [told] = [event for event in await events(world) if event.reason == "CheckoutFailed"]
    assert told.type == "Warning"
    reference = "nope" if "reference" in line else "HEAD"
    where = f"'file://{world.git.path}' at '{reference}'"
    assert told.message.startswith(f"Failed to checkout {where}: {error}")
    assert [await identity(world, *what) for what in everything] == before


async def test_item_19_a_commit_that_adds_an_object_creates_it_alone(world: World) -> None:
    """A new file: its object is created, the others' resourceVersion does not move."""
    world.commit({"a.yaml": config_map("a"), "b.yaml": config_map("b")})
    await world.once()
    before = [await identity(world, "configmap", name) for name in "ab"]
    world.commit({"c.yaml": config_map("c")})
    assert counters(await world.once()) == (3, 3, 0)
    assert await world.get("configmap", "c") is not None
    assert [await identity(world, "configmap", name) for name in "ab"] == before


async def test_item_19_a_commit_that_removes_an_object_deletes_that_one_alone(
    world: World,
) -> None:
    """A file is removed: its object is deleted, and no other.

    Faros leaves the deletion to the cluster's garbage collector and says nothing of it; we delete
    it ourselves and say PruneSuccessful.
    """
    world.commit({f"{name}.yaml": config_map(name) for name in "abc"})
    await world.once()
    before = [await identity(world, "configmap", name) for name in "ac"]
    world.commit({}, remove=("b.yaml",))
    mark = world.control_plane.mark()
    assert counters(await world.once()) == (2, 2, 0)
    assert await world.get("configmap", "b") is None
    assert [await identity(world, "configmap", name) for name in "ac"] == before
    deleted = [(r.resource, r.name) for r in world.writes(mark) if r.verb == "delete"]
    assert deleted == [("configmaps", "b")]
    key = f"ConfigMap {world.namespace}/b"
    assert await messages(world, "PruneSuccessful") == [f"Deleted child 'configmap-b' ({key})"]


async def test_item_19_a_commit_that_changes_an_object_updates_that_one_alone(
    world: World,
) -> None:
    """A file changes: its object does, the others' resourceVersion does not.

    UpdateSuccessful is sent, once, and no UpdateFailed.
    """
    world.commit({f"{name}.yaml": config_map(name, x="1") for name in "abc"})
    await world.once()
    before = [await identity(world, "configmap", name) for name in "abc"]
    world.commit({"b.yaml": config_map("b", x="2")})
    assert counters(await world.once()) == (3, 3, 0)
    after = [await identity(world, "configmap", name) for name in "abc"]
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False, True]
    assert before[1][0] == after[1][0], "changed in place"
    assert (await live(world, "configmap", "b"))["data"] == {"x": "2"}
    key = f"ConfigMap {world.namespace}/b"
    assert await messages(world, "UpdateSuccessful") == [f"Updated child 'configmap-b' ({key})"]
    assert "UpdateFailed" not in await reasons(world)
