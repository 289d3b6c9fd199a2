"""``lightkeeper rbac``: with what it prints the agent works, and with one verb less it does not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.eventually import eventually
from tests.integration.cli.program import lightkeeper
from tests.integration.reconcile.conftest import World, cleanup, world
from tests.integration.reconcile.manifests import CRD, CUSTOM_RESOURCE, DEPLOYMENT, config_map

pytestmark = pytest.mark.asyncio

__all__ = ["cleanup", "world"]  # the fixtures

ACCOUNT = "runner"


async def printed(world: World, *arguments: str) -> list[dict[str, Any]]:
    done = await lightkeeper(world, "rbac", "--service-account", ACCOUNT, "-o", "json", *arguments)
    assert (done.code, done.stderr) == (0, "")
    items: list[dict[str, Any]] = done.json["items"]
    return items


async def grant(world: World, roles: list[dict[str, Any]]) -> None:
    """Apply the roles, and be nobody but the service account they are bound to from now on."""
    body = {"apiVersion": "v1", "kind": "List", "items": roles}
    await world.do("apply", "-f", "-", stdin=json.dumps(body))
    world.kubeconfig = world.control_plane.user(
        f"system:serviceaccount:{world.namespace}:{ACCOUNT}",
        groups=("system:serviceaccounts", "system:authenticated"),
    )


def without(roles: list[dict[str, Any]], verb: str, resource: str) -> list[dict[str, Any]]:
    """Take one verb on one resource out of the first role that has it."""
    for role in roles:
        for rule in role.get("rules", ()):
            if resource in rule["resources"] and verb in rule["verbs"]:
                rule["verbs"].remove(verb)
                role["rules"] = [rule for rule in role["rules"] if rule["verbs"]]
                return roles
    raise AssertionError(f"no role has {verb} on {resource}")


async def works(world: World) -> bool:
    """Create, change, and delete; tell whether each pass was good."""
    world.commit({"a.yaml": DEPLOYMENT, "b.yaml": config_map("b")})
    if not (await world.once()).ready:
        return False
    world.commit({"a.yaml": DEPLOYMENT.replace("1.25", "1.26")}, remove=("b.yaml",))
    if not (await world.once()).ready:
        return False
    world.commit({"b.yaml": config_map("b")}, remove=("a.yaml",))
    return (await world.once()).ready


def role_names(world: World, cleanup: Callable[..., None]) -> None:
    cleanup("clusterrole", world.name)
    cleanup("clusterrolebinding", world.name)


async def test_with_what_it_prints_the_agent_works(
    world: World, cleanup: Callable[..., None]
) -> None:
    role_names(world, cleanup)
    world.commit({"a.yaml": DEPLOYMENT, "b.yaml": config_map("b")})
    world.config()
    await grant(world, await printed(world))
    assert await works(world)
    world.commit({"b.yaml": config_map("b", k="1")})
    async with world.running():

        async def is_there() -> bool:
            return bool((await world.status()).get("commit") == world.git.head())

        await eventually(is_there)
        await world.do("delete", "configmap", "b")

        async def is_back() -> bool:
            return await world.get("configmap", "b") is not None

        await eventually(is_back, what="drift is not noticed")


@pytest.mark.parametrize("verb", ["get", "list", "create", "patch", "delete"])
async def test_with_one_verb_less_it_does_not(
    world: World, verb: str, cleanup: Callable[..., None]
) -> None:
    role_names(world, cleanup)
    world.commit({"a.yaml": DEPLOYMENT, "b.yaml": config_map("b")})
    world.config()
    await grant(world, without(await printed(world), verb, "deployments"))
    assert not await works(world)


async def test_without_watch_drift_is_not_noticed_and_the_log_says_so(
    world: World, cleanup: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    role_names(world, cleanup)
    world.commit({"a.yaml": DEPLOYMENT})
    world.config()
    await grant(world, without(await printed(world), "watch", "deployments"))

    def told() -> bool:
        return any(
            r.message == "cannot watch, retrying" and "deployments" in str(r.__dict__)
            for r in caplog.records
        )

    async with world.running():
        await eventually(told)


@pytest.mark.parametrize("verb", ["get", "create", "patch"])
async def test_without_its_own_config_maps_it_does_not(
    world: World, verb: str, cleanup: Callable[..., None]
) -> None:
    role_names(world, cleanup)
    world.commit({"a.yaml": DEPLOYMENT})
    world.config()
    await grant(world, without(await printed(world), verb, "configmaps"))
    await world.once()
    world.commit({"a.yaml": DEPLOYMENT.replace("1.25", "1.26")})
    status = await world.once()
    assert (await world.status()).get("commit") != status.commit or not status.ready


async def test_an_agent_of_one_namespace_needs_roles_only(world: World) -> None:
    world.settings = [f'namespace = "{world.namespace}"']
    world.commit({"a.yaml": DEPLOYMENT, "b.yaml": config_map("b")})
    world.config()
    roles = await printed(world)
    assert {role["kind"] for role in roles} == {"Role", "RoleBinding"}
    await grant(world, roles)
    assert await works(world)


def elected(world: World) -> None:
    times = ('lease-duration = "6s"', 'renew-deadline = "4s"', 'retry-period = "500ms"')
    world.track = ["[leader-election]", "enabled = true", *times]
    world.commit({"b.yaml": config_map("b")})
    world.config()


async def test_a_candidate_leads_with_what_it_prints(
    world: World, cleanup: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    role_names(world, cleanup)
    elected(world)
    await grant(world, await printed(world))

    async def applied() -> bool:
        return await world.get("configmap", "b") is not None

    async with world.running():
        await eventually(applied, within=20)
    assert not [r for r in caplog.records if "leases" in str(r.__dict__)]


@pytest.mark.parametrize("verb", ["get", "create", "update"])
async def test_with_one_verb_less_on_its_lease_it_does_not_lead_for_long(
    world: World, verb: str, cleanup: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    role_names(world, cleanup)
    elected(world)
    await grant(world, without(await printed(world), verb, "leases"))

    def refused() -> bool:
        return any(r.message in ("no Lease, no work", "no longer leading") for r in caplog.records)

    async with world.running():
        await eventually(refused, within=30)


async def test_kinds_that_a_crd_in_git_makes_are_in_it(
    world: World, cleanup: Callable[..., None]
) -> None:
    role_names(world, cleanup)
    kind = f"k{world.namespace.removeprefix('test-')}"
    cleanup("crd", f"{kind}.shop.example")
    files = {
        "crd.yaml": CRD.replace("KIND", kind),
        "cr.yaml": CUSTOM_RESOURCE.replace("KIND", kind),
    }
    world.commit(files)
    world.config()
    await grant(world, await printed(world))
    assert (await world.once()).ready


async def test_delete_is_only_asked_for_where_something_may_be_deleted(world: World) -> None:
    world.track = ["prune = false"]
    recreated = config_map("b").replace(
        "namespace: NS}", "namespace: NS, annotations: {lightkeeper.dev/update-strategy: recreate}}"
    )
    world.commit({"a.yaml": DEPLOYMENT, "b.yaml": recreated})
    world.config()
    [role, *_] = await printed(world)
    deletable = {
        r for rule in role["rules"] if "delete" in rule["verbs"] for r in rule["resources"]
    }
    assert deletable == {"configmaps"}


async def test_what_was_applied_before_is_in_it_so_that_it_can_be_pruned(world: World) -> None:
    world.commit({"a.yaml": DEPLOYMENT, "b.yaml": config_map("b")})
    await world.once()
    world.commit({}, remove=("a.yaml",))
    [role, *_] = await printed(world)
    assert "deployments" in {r for rule in role["rules"] for r in rule["resources"]}


async def test_kinds_can_be_added(world: World) -> None:
    world.commit({"b.yaml": config_map("b")})
    world.config()
    [role, *_] = await printed(world, "--kinds", "svc,Ingress.networking.k8s.io")
    names = {(g, r) for rule in role["rules"] for g in rule["apiGroups"] for r in rule["resources"]}
    assert names == {("", "configmaps"), ("", "services"), ("networking.k8s.io", "ingresses")}


async def test_ignored_kinds_are_not_in_it(world: World) -> None:
    world.settings = ['ignore-resources = ["deployments.apps/v1"]']
    world.commit({"a.yaml": DEPLOYMENT, "b.yaml": config_map("b")})
    world.config()
    [role, *_] = await printed(world)
    assert "deployments" not in json.dumps(role)


async def test_roles_in_git_come_with_a_word_on_escalation(world: World) -> None:
    role = (
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: r, namespace: NS}"
    )
    world.commit({"a.yaml": f"{role}\nrules: []\n"})
    world.config()
    done = await lightkeeper(world, "rbac")
    assert done.code == 0
    assert done.stdout.startswith("# The repositories hold RBAC objects.")
    assert "escalate" in done.stdout
    applied = await asyncio.to_thread(
        world.kubectl, "apply", "--dry-run=server", "-f", "-", stdin=done.stdout
    )
    assert "clusterrole.rbac.authorization.k8s.io" in applied.stdout


async def test_what_could_not_be_looked_at_is_told(world: World) -> None:
    world.commit({"a.yaml": config_map("a"), "b.yaml": CUSTOM_RESOURCE.replace("KIND", "Nothing")})
    world.config()
    done = await lightkeeper(world, "rbac")
    assert done.code == 1
    assert "b.yaml:1: the server has no shop.example/v1 Nothing" in done.stderr
    assert "configmaps" in done.stdout


async def test_it_writes_nothing(world: World) -> None:
    world.commit({"a.yaml": config_map("a")})
    world.config()
    mark = world.control_plane.mark()
    await printed(world)
    assert world.writes(mark) == []
