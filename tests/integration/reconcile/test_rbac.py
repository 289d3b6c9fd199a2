"""A namespaced Role is enough for a namespaced agent: no ClusterRole, no cluster-wide request."""

from __future__ import annotations

import json

import pytest

from tests.eventually import eventually
from tests.integration.reconcile.conftest import World
from tests.integration.reconcile.manifests import DEPLOYMENT, config_map, secret

pytestmark = pytest.mark.asyncio

VERBS = ["get", "list", "watch", "create", "patch", "delete"]


EVENTS = {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]}


async def restrict(world: World, *resources: tuple[str, str]) -> None:
    """Let the agent be a user with rights in the test's namespace only."""
    user = f"user-{world.namespace}"
    world.kubeconfig = world.control_plane.user(user)
    rules = [{"apiGroups": [g], "resources": [r], "verbs": VERBS} for g, r in resources]
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "agent"},
        "rules": [
            *rules,
            {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]},
        ],
    }
    await world.do("apply", "-f", "-", stdin=json.dumps(role))
    await world.do("create", "rolebinding", "agent", "--role=agent", f"--user={user}")
    world.settings.append(f'namespace = "{world.namespace}"')


async def test_a_namespaced_agent_needs_no_right_outside_its_namespace(world: World) -> None:
    await restrict(world, ("", "configmaps"), ("", "secrets"), ("apps", "deployments"))
    world.commit(
        {"a.yaml": config_map("a", x="1"), "s.yaml": secret("s", "p"), "w.yaml": DEPLOYMENT}
    )
    mark = world.control_plane.mark()
    async with world.running():
        await eventually(lambda: world.get("deployment", "web"))
        await world.do("patch", "configmap", "a", "-p", '{"data":{"x":"edited"}}')

        async def repaired() -> bool:
            live = await world.get("configmap", "a")
            return bool(live and live["data"] == {"x": "1"})

        await eventually(repaired)
        world.commit({}, remove=("s.yaml",))

        async def pruned() -> bool:
            return await world.get("secret", "s") is None

        await eventually(pruned)
    requests = world.requests(mark)
    outside = {(r.verb, r.uri) for r in requests if r.resource and r.namespace != world.namespace}
    assert outside == set(), "a request for a resource outside of the namespace"
    assert [r for r in requests if r.code in (401, 403)] == [], "a right that is missing"


async def test_what_lies_outside_the_namespace_is_ignored_with_the_reason(world: World) -> None:
    await restrict(world, ("", "configmaps"))
    namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: not-ours}\n"
    elsewhere = config_map("b").replace("NS", "elsewhere")
    world.commit({"a.yaml": config_map("a"), "b.yaml": elsewhere, "n.yaml": namespace})
    status = await world.once()
    assert status.ready
    assert status.problems == {
        "ConfigMap elsewhere/b": "namespace `elsewhere` is not managed by this agent",
        "Namespace not-ours": f"a track with scope `{world.namespace}` cannot manage a "
        "cluster-scoped resource",
    }


async def test_a_kind_that_may_not_be_watched_fails_alone_and_the_rest_is_repaired(
    world: World,
) -> None:
    await restrict(world, ("", "configmaps"))
    world.commit({"a.yaml": config_map("a", x="1"), "w.yaml": DEPLOYMENT})
    async with world.running():
        await eventually(lambda: world.get("configmap", "a"))
        await world.do("delete", "configmap", "a")
        await eventually(lambda: world.get("configmap", "a"))

        async def said() -> bool:
            problems = (await world.status()).get("problems", {})
            return any("403 Forbidden" in text for text in problems.values())

        await eventually(said)
