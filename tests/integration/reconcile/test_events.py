"""What happens to a track is seen with ``kubectl describe`` of its ConfigMap, once each."""

from __future__ import annotations

import json

import pytest

from tests.eventually import eventually
from tests.integration.reconcile.conftest import World
from tests.integration.reconcile.manifests import DEPLOYMENT, config_map

pytestmark = pytest.mark.asyncio

REFUSED = """\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: NS}
spec: {ports: [{port: 99999}]}
"""


async def events(world: World, *reasons: str) -> list[str]:
    """Return ``TYPE REASON: MESSAGE`` of the track's Events, of these reasons or all, oldest first.

    ``NS`` stands for the namespace.
    """
    inventory = await world.get("configmap", f"{world.name}.shop") or {"metadata": {}}
    listed = await world.get("events") or {}  # kubectl prints nothing for an empty list
    own = [
        event
        for event in listed.get("items", [])
        if event["involvedObject"].get("uid", "none") == inventory["metadata"].get("uid")
        and (not reasons or event["reason"] in reasons)
    ]
    own.sort(key=lambda event: str(event["metadata"]["name"]))
    return [
        f"{e['type']} {e['reason']}: {e['message']}".replace(world.namespace, "NS") for e in own
    ]


async def test_a_first_pass_says_the_revision_and_what_it_created(world: World) -> None:
    world.commit({"a.yaml": config_map("a"), "b.yaml": DEPLOYMENT})
    await world.once()
    commit = world.git.head()[:12]
    checkout = f"Successfully checked out 'file://{world.git.path}' at 'HEAD' ({commit})"
    assert await events(world) == [
        f"Normal CheckoutSuccessful: {checkout}",
        "Normal CreateSuccessful: Created child 'configmap-a' (ConfigMap NS/a)",
        "Normal CreateSuccessful: Created child 'deployment-web' (Deployment.apps NS/web)",
    ]


async def test_a_change_and_a_removal_are_said_and_an_idle_pass_says_nothing(world: World) -> None:
    world.commit({"a.yaml": config_map("a", x="1"), "b.yaml": config_map("b")})
    await world.once()
    before = await events(world)
    world.commit({"a.yaml": config_map("a", x="2")}, remove=("b.yaml",))
    await world.once()
    checkout, *changes = [event for event in await events(world) if event not in before]
    assert checkout.startswith("Normal CheckoutSuccessful: ")
    assert changes == [
        "Normal UpdateSuccessful: Updated child 'configmap-a' (ConfigMap NS/a)",
        "Normal PruneSuccessful: Deleted child 'configmap-b' (ConfigMap NS/b)",
    ]
    mark = world.control_plane.mark()
    await world.once()
    assert world.writes(mark) == []


async def test_drift_that_is_put_back_is_said_so(world: World) -> None:
    world.commit({"a.yaml": config_map("a", x="1"), "b.yaml": config_map("b")})
    async with world.running():
        await eventually(lambda: events(world, "CreateSuccessful"))
        await eventually(world.status)
        await world.do("patch", "configmap", "a", "-p", '{"data":{"x":"2"}}')
        assert await eventually(lambda: events(world, "UpdateSuccessful")) == [
            "Normal UpdateSuccessful: Updated child 'configmap-a' (ConfigMap NS/a): drift put back"
        ]
        await world.do("delete", "configmap", "b")

        async def created_again() -> bool:
            return any("drift put back" in e for e in await events(world, "CreateSuccessful"))

        await eventually(created_again)


async def test_a_source_that_cannot_be_fetched_is_said_once_and_so_is_its_return(
    world: World,
) -> None:
    world.commit({"a.yaml": config_map("a")})
    await world.once()
    away = world.git.path.rename(world.folder / "away")
    for _ in range(2):  # two processes: the second knows from the status what the first has said
        assert (await world.once()).source == "stale"
    checkouts = await events(world, "CheckoutSuccessful", "CheckoutFailed")
    assert len(checkouts) == 2
    assert checkouts[1].startswith(
        f"Warning CheckoutFailed: Failed to checkout 'file://{world.git.path}' at 'HEAD': "
    )
    away.rename(world.git.path)
    await world.once()
    assert len(await events(world, "CheckoutSuccessful")) == 2


async def test_a_source_that_never_worked_is_said_although_there_was_no_config_map_yet(
    world: World,
) -> None:
    world.track.append('reference = "nope"')
    world.commit({"a.yaml": config_map("a")})
    await world.once()
    [event] = await events(world)
    assert event.startswith("Warning CheckoutFailed: ")
    assert "unable to resolve reference 'nope'" in event


async def test_a_failure_is_said_once_for_each_text_across_restarts(world: World) -> None:
    world.commit({"a.yaml": REFUSED, "b.yaml": "apiVersion: x/v1\nkind: Gone\nmetadata: {name: a}"})
    for _ in range(2):
        assert not (await world.once()).ready
    service, unknown = sorted(await events(world, "CreateFailed"), reverse=True)
    assert service.startswith(
        "Warning CreateFailed: Failed to create child 'service-web' (Service NS/web): "
    )
    assert "[a.yaml:1]" in service
    assert "Failed to create child 'gone-a' (Gone.x a): no matches for kind" in unknown
    good = REFUSED.replace("99999", "80")
    world.commit({"a.yaml": good}, remove=("b.yaml",))
    assert (await world.once()).ready
    world.commit({"a.yaml": REFUSED})
    assert not (await world.once()).ready
    [failed] = await events(world, "UpdateFailed")
    assert "Failed to update child 'service-web' (Service NS/web): " in failed


async def test_an_object_of_somebody_else_is_said_once(world: World) -> None:
    world.commit({"a.yaml": config_map("a")})
    await world.once()
    first, world.name = world.name, world.name + "x"
    for _ in range(2):
        await world.once()
    assert await events(world, "ControllerMismatch") == [
        "Warning ControllerMismatch: Child 'configmap-a' (ConfigMap NS/a) is owned by another "
        f"controller: owned by track NS/{first}.shop"
    ]


async def test_an_object_that_the_configuration_excludes_is_no_event(world: World) -> None:
    world.settings.append('ignore-resources = ["configmaps./v1"]')
    world.commit({"a.yaml": config_map("a")})
    await world.once()
    assert [e.split(":")[0] for e in await events(world)] == ["Normal CheckoutSuccessful"]


async def test_held_deletions_are_said_once_with_the_command_that_lets_them_happen(
    world: World,
) -> None:
    world.commit({f"{n}.yaml": config_map(f"c{n}") for n in range(12)})
    await world.once()
    world.commit({}, remove=tuple(f"{n}.yaml" for n in range(1, 12)))
    for _ in range(2):
        status = await world.once()
    assert await events(world, "PruneHeld") == [
        "Warning PruneHeld: Held 11 deletions: it would delete 11 of 12 objects, more than "
        "prune-limit 50 %; to let it happen: lightkeeper approve shop --plan " + status.held_digest
    ]


async def restrict(world: World, *verbs: str, events_too: bool = True) -> None:
    """Let the agent do only this with ConfigMaps in its namespace."""
    user = f"user-{world.namespace}"
    world.kubeconfig = world.control_plane.user(user)
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": verbs}]
    if events_too:
        rules.append({"apiGroups": [""], "resources": ["events"], "verbs": ("create", "patch")})
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "agent"},
        "rules": rules,
    }
    await world.do("apply", "-f", "-", stdin=json.dumps(role))
    await world.do("create", "rolebinding", "agent", "--role=agent", f"--user={user}")
    world.settings.append(f'namespace = "{world.namespace}"')


async def test_a_deletion_that_is_refused_is_said_once(world: World) -> None:
    await restrict(world, "get", "list", "watch", "create", "patch")
    world.commit({"a.yaml": config_map("a"), "b.yaml": config_map("b")})
    await world.once()
    world.commit({}, remove=("b.yaml",))
    for _ in range(2):
        await world.once()
    [event] = await events(world, "CleanupFailed")
    assert event.startswith(
        "Warning CleanupFailed: Failed to clean-up leftover resources: ConfigMap NS/b: "
    )
    assert "403 Forbidden" in event


async def test_without_the_right_to_write_events_all_the_rest_works(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await restrict(world, "get", "list", "watch", "create", "patch", events_too=False)
    world.commit({f"{n}.yaml": config_map(f"c{n}") for n in range(5)})
    assert (await world.once()).ready
    said = [r for r in caplog.records if r.getMessage() == "events cannot be written"]
    assert len(said) == 1
