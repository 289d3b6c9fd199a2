"""What git dropped is deleted, and nothing else ever is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from agent.manifest import marks
from tests.controlplane import access
from tests.eventually import eventually
from tests.faults.proxy import Fault, FaultProxy
from tests.gitservers.upstream import Upstream
from tests.integration.reconcile.conftest import World
from tests.integration.reconcile.manifests import DEPLOYMENT, config_map, secret

pytestmark = pytest.mark.asyncio


def many(count: int) -> dict[str, str]:
    return {f"{number}.yaml": config_map(f"c{number}") for number in range(count)}


async def count(world: World) -> int:
    selector = f"{marks.AGENT}={world.name},{marks.APPLYSET_PART_OF}"
    done = await world.do("get", "configmap", "-l", selector, "-o", "name")
    return len(done.split())


async def test_too_many_deletions_at_once_are_held_while_the_rest_is_applied(world: World) -> None:
    world.commit(many(12))
    assert (await world.once()).ready
    world.commit(
        {"0.yaml": config_map("c0", x="new")}, remove=tuple(f"{n}.yaml" for n in range(1, 12))
    )
    status = await world.once()
    assert not status.ready
    assert status.held == "it would delete 11 of 12 objects, more than prune-limit 50 %"
    assert await count(world) == 12
    live = await world.get("configmap", "c0")
    assert live is not None
    assert live["data"] == {"x": "new"}


async def test_an_approval_of_the_held_plan_releases_it(world: World) -> None:
    world.commit(many(12))
    await world.once()
    world.commit({}, remove=tuple(f"{n}.yaml" for n in range(1, 12)))
    held = await world.once()
    await world.do(
        "annotate",
        "configmap",
        f"{world.name}.shop",
        f"lightkeeper.dev/approved={held.held_digest}",
    )
    assert (await world.once()).ready
    assert await count(world) == 1


async def test_an_approval_of_another_plan_releases_nothing(world: World) -> None:
    world.commit(many(12))
    await world.once()
    world.commit({}, remove=tuple(f"{n}.yaml" for n in range(1, 11)))
    held = await world.once()
    await world.do(
        "annotate",
        "configmap",
        f"{world.name}.shop",
        f"lightkeeper.dev/approved={held.held_digest}",
    )
    world.commit({}, remove=("11.yaml",))
    assert not (await world.once()).ready
    assert await count(world) == 12


async def test_a_copy_that_carries_our_marks_is_not_pruned(world: World) -> None:
    world.commit(many(3))
    await world.once()
    copy = await world.get("configmap", "c0")
    assert copy is not None
    copy["metadata"] = {
        "name": "copy",
        "labels": copy["metadata"]["labels"],
        "annotations": copy["metadata"]["annotations"],
    }
    await world.do("create", "-f", "-", stdin=json.dumps(copy))
    world.commit({}, remove=("2.yaml",))
    assert (await world.once()).ready
    assert await world.get("configmap", "copy") is not None
    assert await world.get("configmap", "c2") is None


async def test_an_object_of_another_track_is_left_alone_and_said_so(world: World) -> None:
    world.commit({"a.yaml": config_map("a", x="1")})
    await world.once()
    first, world.name = world.name, world.name + "x"
    world.commit({"a.yaml": config_map("a", x="2"), "b.yaml": config_map("b")})
    status = await world.once()
    assert status.ready
    assert list(status.problems.values()) == [f"owned by track {world.namespace}/{first}.shop"]
    live = await world.get("configmap", "a")
    assert live is not None
    assert live["data"] == {"x": "1"}
    world.commit({}, remove=("a.yaml",))
    assert (await world.once()).ready
    assert await world.get("configmap", "a") is not None


async def test_prune_false_keeps_everything(world: World) -> None:
    world.track.append("prune = false")
    world.commit(many(3))
    await world.once()
    world.commit({}, remove=("2.yaml",))
    assert (await world.once()).ready
    assert await count(world) == 3


async def test_a_kind_that_git_no_longer_has_is_still_pruned_after_a_restart(world: World) -> None:
    role = (
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\n"
        "metadata: {name: r, namespace: NS}\nrules: []\n"
    )
    world.commit({**many(3), "role.yaml": role})
    await world.once()
    world.commit({}, remove=("role.yaml",))
    status = await world.once()
    assert status.ready
    assert await world.get("role", "r") is None
    inventory = await world.get("configmap", f"{world.name}.shop")
    assert inventory is not None
    kinds = inventory["metadata"]["annotations"]["applyset.kubernetes.io/contains-group-kinds"]
    assert kinds == "ConfigMap"


async def test_a_moved_api_group_is_an_update_and_never_a_deletion(world: World) -> None:
    ingress = (
        "apiVersion: %s/v1beta1\nkind: Ingress\nmetadata: {name: web, namespace: NS}\n"
        "spec: {defaultBackend: {serviceName: web, servicePort: 80}}\n"
    ).replace("defaultBackend", "backend")
    world.commit({**many(3), "web.yaml": ingress % "extensions"})
    await world.once()
    before = await world.get("ingress.v1beta1.networking.k8s.io", "web")
    world.commit({"web.yaml": ingress % "networking.k8s.io"})
    status = await world.once()
    assert status.ready, status
    after = await world.get("ingress.v1beta1.networking.k8s.io", "web")
    assert before is not None
    assert after is not None
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


async def test_an_object_that_changed_since_it_was_judged_is_judged_again(world: World) -> None:
    world.commit(many(3))
    await world.once()
    world.commit({}, remove=("2.yaml",))

    async def touch() -> None:
        for number in range(20):
            await world.do("annotate", "configmap", "c2", f"n={number}", "--overwrite")

    toucher = asyncio.create_task(touch())
    await world.once()
    toucher.cancel()
    await asyncio.gather(toucher, return_exceptions=True)
    assert await world.get("configmap", "c2") is None


async def test_an_inventory_that_is_somebody_elses_is_refused_clearly(world: World) -> None:
    await world.do("create", "configmap", f"{world.name}.shop", "--from-literal=x=1")
    world.commit({"a.yaml": config_map("a")})
    status = await world.once()
    assert "exists and is not the inventory of track" in status.problems["pass"]
    assert await world.get("configmap", "a") is None


INGRESS = (
    "apiVersion: GROUP/v1beta1\nkind: Ingress\nmetadata: {name: web, namespace: NS}\n"
    "spec: {rules: [{host: HOST}], backend: {serviceName: web, servicePort: 80}}\n"
)


@pytest.mark.parametrize(
    "broken", [("networking.k8s.io", "-bad-"), ("no.such.group.example", "a.example")], ids=str
)
async def test_an_object_that_moves_group_and_fails_is_not_taken_for_a_leftover(
    world: World, broken: tuple[str, str]
) -> None:
    first = INGRESS.replace("GROUP", "extensions").replace("HOST", "a.example")
    world.commit({**many(3), "web.yaml": first})
    assert (await world.once()).ready
    group, host = broken
    world.commit({"web.yaml": INGRESS.replace("GROUP", group).replace("HOST", host)})
    assert not (await world.once()).ready
    assert await world.get("ingress", "web") is not None


async def test_two_installations_with_the_same_names_leave_each_other_alone(world: World) -> None:
    other = f"{world.namespace}-other"
    world.control_plane.create_namespace(other)
    try:
        world.commit(many(4))
        assert (await world.once()).ready
        world.git = Upstream(world.folder / "second.git")
        world.folder = world.folder / "second"
        world.folder.mkdir()
        world.settings.append(f'state-namespace = "{other}"')
        world.own_state_namespace = False
        world.commit({"x.yaml": config_map("x"), "0.yaml": config_map("c0", x="second")})
        status = await world.once()
        assert list(status.problems.values()) == [
            f"owned by track {world.namespace}/{world.name}.shop"
        ]
        for number in range(4):
            live = await world.get("configmap", f"c{number}")
            assert live is not None
            assert "data" not in live or live["data"] is None
    finally:
        world.control_plane.remove_namespace(other)


async def test_a_namespace_on_a_cluster_scoped_object_is_no_danger_when_discovery_fails(
    world: World, cleanup: Callable[..., None]
) -> None:
    name = f"role-{world.namespace}"
    cleanup("clusterrole", name)
    role = (
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\n"
        f"metadata: {{name: {name}, namespace: NS}}\nrules: []\n"
    )
    world.commit({**many(3), "role.yaml": role})
    assert (await world.once()).ready
    async with FaultProxy(
        world.control_plane.url, ca=world.control_plane.ca, token=world.control_plane.admin_token
    ) as proxy:
        world.kubeconfig = access.write_kubeconfig(
            world.folder / "proxy.kubeconfig",
            url=proxy.url,
            ca=world.control_plane.ca,
            user={"token": "none"},
        )
        proxy.plant(Fault(path="/apis/rbac.authorization.k8s.io/v1", status=503, times=2))
        await world.once()
    assert await world.get("clusterrole", name) is not None


async def test_ignoring_never_deletes_even_what_git_drops_later(world: World) -> None:
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: NS}\n"
    world.commit({**many(3), "s.yaml": secret})
    assert (await world.once()).ready
    world.settings.append('ignore-resources = ["secrets./v1"]')
    world.commit({}, remove=("s.yaml",))
    status = await world.once()
    assert await world.get("secret", "s") is not None
    assert list(status.problems.values()) == [
        "no longer in git, and not deleted: resource `secrets./v1` ignored globally by flag"
    ]


async def test_a_deleted_inventory_does_not_forget_what_git_drops_next(world: World) -> None:
    role = (
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\n"
        "metadata: {name: r, namespace: NS}\nrules: []\n"
    )
    world.commit({**many(3), "role.yaml": role})
    assert (await world.once()).ready
    await world.do("delete", "configmap", f"{world.name}.shop")
    world.commit({}, remove=("role.yaml",))
    assert (await world.once()).ready
    assert await world.get("role", "r") is None


async def test_a_redirect_is_no_success(world: World) -> None:
    world.commit(many(3))
    assert (await world.once()).ready
    world.commit({}, remove=("2.yaml",))
    async with FaultProxy(
        world.control_plane.url, ca=world.control_plane.ca, token=world.control_plane.admin_token
    ) as proxy:
        world.kubeconfig = access.write_kubeconfig(
            world.folder / "proxy.kubeconfig",
            url=proxy.url,
            ca=world.control_plane.ca,
            user={"token": "none"},
        )
        proxy.plant(Fault(method="DELETE", path="configmaps/c2", status=302))
        assert not (await world.once()).ready
        assert (await world.once()).ready
    assert await world.get("configmap", "c2") is None


async def test_what_a_pass_made_before_it_was_cut_short_is_not_forgotten(world: World) -> None:
    deployment = DEPLOYMENT.replace("name: web", "name: slow")
    world.commit(many(3))
    async with FaultProxy(
        world.control_plane.url, ca=world.control_plane.ca, token=world.control_plane.admin_token
    ) as proxy:
        world.kubeconfig = access.write_kubeconfig(
            world.folder / "proxy.kubeconfig",
            url=proxy.url,
            ca=world.control_plane.ca,
            user={"token": "none"},
        )
        async with world.running():
            await eventually(status_is_written(world), within=60)
            slow = proxy.plant(Fault(method="POST", path="/deployments", delay=2))
            world.commit({"s.yaml": secret("s", "p"), "slow.yaml": deployment})
            await eventually(lambda: slow.times == 0, within=60)
    # The pass was ended in its stage of deployments: it had made the secret.
    world.kubeconfig = None
    assert await world.get("secret", "s") is not None
    world.commit({}, remove=("s.yaml", "slow.yaml"))
    assert (await world.once()).ready
    assert await world.get("secret", "s") is None


def status_is_written(world: World) -> Callable[[], Awaitable[bool]]:
    async def written() -> bool:
        return bool((await world.status()).get("conditions"))

    return written
