"""Items 26 to 30: one object, from its creation to what is said of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from agent.manifest import marks
from agent.reconcile.reports.status import PARSED, UP_TO_DATE
from tests.acceptance.evidence import (
    collect_garbage,
    condition,
    events,
    identity,
    live,
    messages,
    owner,
    reached,
    reasons,
    verdict,
)
from tests.acceptance.manifests import (
    BROKEN,
    NGINX,
    cluster_role,
    cluster_role_binding,
)
from tests.eventually import eventually
from tests.integration.reconcile.conftest import World
from tests.integration.reconcile.manifests import config_map

pytestmark = [pytest.mark.integration, pytest.mark.asyncio]

STRATEGY = "faros.pusher.com/update-strategy"


def with_strategy(manifest: str, strategy: str) -> str:
    return manifest.replace("metadata: {", f"metadata: {{annotations: {{{STRATEGY}: {strategy}}}, ")


# --- 26 to 28: create, adopt, update --------------------------------------------------------------

KINDS = {
    "namespaced": ("configmap", "a", config_map("a")),
    "cluster-scoped": ("clusterrole", "NS-role", cluster_role("NS-role")),
}


@pytest.mark.parametrize(("kind", "name", "manifest"), KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("exists", [False, True], ids=["missing", "exists"])
async def test_item_26_an_object_is_created_or_adopted(
    world: World, cleanup: Callable[..., None], kind: str, name: str, manifest: str, exists: bool
) -> None:
    """A missing object is created, an existing one that nobody owns is adopted.

    Adopting adds owner and last-applied annotation and keeps what others put on the object; the
    owner is not an ownerReference but our marks.
    """
    own_name = name.replace("NS", world.namespace)
    if kind == "clusterrole":
        cleanup(kind, own_name)
    before = ""
    if exists:
        await world.do("create", "-f", "-", stdin=manifest.replace("NS", world.namespace))
        await world.do("label", kind, own_name, "team=blue")
        before, _ = await identity(world, kind, own_name)
    world.commit({"a.yaml": manifest})
    status = await world.once()
    assert (status.applied, status.in_sync) == (1, 1)
    metadata = (await live(world, kind, own_name))["metadata"]
    assert metadata["annotations"][marks.OWNER].startswith(f"{owner(world)} ")
    assert marks.LAST_APPLIED in metadata["annotations"]
    if exists:
        assert metadata["uid"] == before
        assert metadata["labels"]["team"] == "blue"


async def test_item_27_strategy_update_changes_in_place(world: World) -> None:
    """``update``, the default: the object is changed, and it is the same one (UID)."""
    world.commit({"a.yaml": with_strategy(config_map("a", x="1"), "update")})
    await world.once()
    uid, version = await identity(world, "configmap", "a")
    world.commit({"a.yaml": with_strategy(config_map("a", x="2"), "update")})
    assert (await world.once()).ready
    assert (await live(world, "configmap", "a"))["data"] == {"x": "2"}
    after = await identity(world, "configmap", "a")
    assert after[0] == uid
    assert after[1] != version


async def test_item_27_strategy_never_keeps_a_live_edit(world: World) -> None:
    """``never``: what somebody edited stays, as does the object; it counts as in sync.

    Faros writes the whole live object into the last-applied annotation at each pass; we write
    nothing at all.
    """
    world.commit({"a.yaml": with_strategy(config_map("a", x="1"), "never")})
    await world.once()
    await world.do("patch", "configmap", "a", "-p", '{"data":{"x":"edited"}}')
    before = await identity(world, "configmap", "a")
    world.commit({"a.yaml": with_strategy(config_map("a", x="2"), "never")})
    status = await world.once()
    assert (status.in_sync, status.ready) == (1, True)
    assert (await live(world, "configmap", "a"))["data"] == {"x": "edited"}
    assert await identity(world, "configmap", "a") == before


async def test_item_27_strategy_recreate_without_conflict_changes_in_place(
    world: World, cleanup: Callable[..., None]
) -> None:
    """``recreate``, and the server can make the change: in place, the same UID."""
    name = f"{world.namespace}-binding"
    cleanup("clusterrolebinding", name)
    world.commit({"b.yaml": cluster_role_binding(role="view", user="ada", strategy="recreate")})
    await world.once()
    uid, _ = await identity(world, "clusterrolebinding", name)
    world.commit({"b.yaml": cluster_role_binding(role="view", user="bob", strategy="recreate")})
    assert (await world.once()).ready
    after = await live(world, "clusterrolebinding", name)
    assert [subject["name"] for subject in after["subjects"]] == ["bob"]
    assert after["metadata"]["uid"] == uid


async def test_item_27_strategy_recreate_replaces_what_cannot_be_changed(
    world: World, cleanup: Callable[..., None]
) -> None:
    """A ClusterRoleBinding's roleRef cannot be changed: with ``recreate`` it is a new object."""
    name = f"{world.namespace}-binding"
    cleanup("clusterrolebinding", name)
    world.commit({"b.yaml": cluster_role_binding(role="view", user="ada", strategy="recreate")})
    await world.once()
    uid, _ = await identity(world, "clusterrolebinding", name)
    world.commit({"b.yaml": cluster_role_binding(role="edit", user="ada", strategy="recreate")})
    collector = asyncio.create_task(collect_garbage(world, "clusterrolebinding", name))
    status = await world.once()
    await collector
    assert status.ready, status.problems
    after = await live(world, "clusterrolebinding", name)
    assert after["roleRef"]["name"] == "edit"
    assert after["metadata"]["uid"] != uid


async def test_item_27_strategy_update_never_replaces_it(
    world: World, cleanup: Callable[..., None]
) -> None:
    """The same change without ``recreate``: UpdateFailed with the server's reason, same UID."""
    name = f"{world.namespace}-binding"
    cleanup("clusterrolebinding", name)
    world.commit({"b.yaml": cluster_role_binding(role="view", user="ada", strategy="update")})
    await world.once()
    before = await identity(world, "clusterrolebinding", name)
    world.commit({"b.yaml": cluster_role_binding(role="edit", user="ada", strategy="update")})
    [text] = (await world.once()).problems.values()
    assert "cannot change roleRef" in text
    assert await identity(world, "clusterrolebinding", name) == before
    [told] = await messages(world, "UpdateFailed")
    assert told.startswith(f"Failed to update child 'clusterrolebinding-{name}' (")


async def test_item_28_a_changed_manifest_updates_its_object(world: World) -> None:
    """What is new in git is applied to the object."""
    world.commit({"nginx.yaml": NGINX})
    await world.once()
    world.commit({"nginx.yaml": NGINX.replace("nginx:1.25", "nginx:1.26")})
    assert (await world.once()).ready
    assert await image(world) == "nginx:1.26"


async def test_item_28_a_change_that_means_nothing_touches_no_object(world: World) -> None:
    """Only metadata of Faros' own object changes: the child is not touched.

    What stands in its place is the manifest and the track's ConfigMap. A commit that changes
    comments, quotes and the order of keys, and a label on the ConfigMap, write to no object.
    """
    world.commit({"a.yaml": config_map("a", x="1", z="2")})
    await world.once()
    before = await identity(world, "configmap", "a")
    world.commit(
        {
            "moved/a.yml": "# moved\ndata: {'z': \"2\", x: '1'}\nkind: ConfigMap\napiVersion: v1\n"
            "metadata:\n  namespace: NS # here\n  name: a\n"
        },
        remove=("a.yaml",),
    )
    await world.do("label", "configmap", f"{world.name}.shop", "team=blue")
    mark = world.control_plane.mark()
    assert (await world.once()).ready
    assert await identity(world, "configmap", "a") == before
    assert [r for r in world.requests(mark) if r.name == "a"] == [], "not even looked at"


# --- 29 and 30: drift and status ------------------------------------------------------------------


async def image(world: World) -> str:
    spec = (await live(world, "deployment", "nginx"))["spec"]["template"]["spec"]
    [container] = spec["containers"]
    return str(container["image"])


async def test_item_29_a_deleted_object_is_made_again(world: World) -> None:
    """Deleted by hand: it comes back, as a new object."""
    commit = world.commit({"nginx.yaml": NGINX})
    async with world.running():
        await reached(world, commit)
        uid, _ = await identity(world, "deployment", "nginx")
        await world.do("delete", "deployment", "nginx")
        again = await eventually(lambda: world.get("deployment", "nginx"))
        assert again["metadata"]["uid"] != uid


EDITS = {
    "a field": '{"spec":{"template":{"spec":{"containers":[{"name":"nginx","image":"x:1"}]}}}}',
    "metadata": '{"metadata":{"labels":{"team":"other"}}}',
    "metadata removed": '{"metadata":{"labels":{"team":null}}}',
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
async def test_item_29_a_managed_field_is_put_back(world: World, edit: str) -> None:
    """An image that somebody changed is git's again, and so are labels (pending in Faros)."""
    commit = world.commit({"nginx.yaml": NGINX})
    async with world.running():
        await reached(world, commit)
        before = await live(world, "deployment", "nginx")
        await world.do("patch", "deployment", "nginx", "-p", edit)

        async def is_back() -> bool:
            now = await live(world, "deployment", "nginx")
            same = now["metadata"]["labels"] == before["metadata"]["labels"]
            return bool(same and now["spec"] == before["spec"])

        await eventually(is_back)


async def test_item_29_an_unmanaged_field_is_kept(world: World) -> None:
    """A label that somebody added to the pod template stays, while the image is put back."""
    commit = world.commit({"nginx.yaml": NGINX})
    async with world.running():
        await reached(world, commit)
        added = '{"spec":{"template":{"metadata":{"labels":{"added":"by-hand"}}}}}'
        await world.do("patch", "deployment", "nginx", "-p", added)
        await world.do("patch", "deployment", "nginx", "-p", EDITS["a field"])

        async def is_back() -> bool:
            return await image(world) == "nginx:1.25"

        await eventually(is_back)
    template = (await live(world, "deployment", "nginx"))["spec"]["template"]
    assert template["metadata"]["labels"] == {"app": "nginx", "added": "by-hand"}


async def test_item_30_success_is_true_with_its_reason_and_no_message(world: World) -> None:
    """Faros: True/ChildAppliedSuccess/"" for each object; for us a condition of the track.

    The event names what it is about: the track's ConfigMap, in the namespace of the state. (That
    events stay in the controller's namespace is pending in Faros.)
    """
    world.commit({"a.yaml": config_map("a")})
    status = await world.once()
    applied = condition(status, UP_TO_DATE)
    assert (applied.status, applied.reason, applied.message) == ("True", "ChildUpdateSuccess", "")
    assert (status.in_sync, status.problems) == (1, {})
    parent = await live(world, "configmap", f"{world.name}.shop")
    [created] = [e for e in await events(world) if e.reason == "CreateSuccessful"]
    assert created.about == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": f"{world.name}.shop",
        "namespace": world.namespace,
        "uid": parent["metadata"]["uid"],
    }


async def test_item_30_an_error_is_false_with_reason_and_message(world: World) -> None:
    """Faros: False, ErrorCreatingChild, the error. It is in the condition and beside the object.

    CreateFailed is sent; a second pass with the same error repeats nothing.
    """
    world.commit({"nginx.yaml": NGINX.replace("app: nginx}}\n  template", "app: x}}\n  template")})
    status = await world.once()
    key = f"Deployment.apps {world.namespace}/nginx"
    text = status.problems[key]
    assert "`selector` does not match template `labels`" in text
    assert text.endswith(" [nginx.yaml:1]")
    assert (status.applied, status.ignored, status.in_sync) == (0, 1, 0)
    assert verdict(status, UP_TO_DATE) == ("False", "ErrorUpdatingChildren")
    assert condition(status, UP_TO_DATE).message == f"{key}: {text}"
    told = [f"Failed to create child 'deployment-nginx' ({key}): {text}"]
    assert await messages(world, "CreateFailed") == told
    assert await world.once() == status
    assert await messages(world, "CreateFailed") == told


async def test_item_30_bad_data_is_false_with_the_parse_error(world: World) -> None:
    """Faros: False/ErrorUnmarshallingData and the event UnmarshalFailed, for each object.

    Here a file is read once, as a file, so bad data is ErrorParsingFiles with file and line; it is
    no object that could have an event.
    """
    world.commit({"a.yaml": BROKEN})
    status = await world.once()
    assert verdict(status, PARSED) == ("False", "ErrorParsingFiles")
    assert condition(status, PARSED).message.startswith("a.yaml:3: not YAML: ")
    assert await reasons(world) == ["CheckoutSuccessful"]
