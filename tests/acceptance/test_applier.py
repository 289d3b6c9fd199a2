"""Items 33 to 35: the applier alone, against the API server."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agent.apply.applier import Applier
from agent.apply.desired import Desired, Resolver
from agent.apply.requests import Requests
from agent.apply.schemas import Schemas
from agent.kube.client import Client
from agent.kube.discovery import Discovery
from agent.manifest.keys import JSONObject
from agent.manifest.load import load_file
from agent.plan.change import Action
from agent.plan.merge import JSON_MERGE_PATCH, Patch
from agent.plan.ownership import Owner, applyset_id, project
from agent.reconcile.reports.status import UP_TO_DATE
from tests.acceptance.evidence import identity, messages, verdict
from tests.acceptance.manifests import NGINX
from tests.eventually import eventually
from tests.integration.reconcile.conftest import World
from tests.integration.reconcile.manifests import CRD, CUSTOM_RESOURCE, config_map

pytestmark = [pytest.mark.integration, pytest.mark.asyncio]

NEWER = NGINX.replace("nginx:1.25", "nginx:1.26")


@pytest.fixture
def requests(client: Client) -> Requests:
    return Requests(client, server_dry_run=True)


@pytest.fixture
def applier(requests: Requests, namespace: str) -> Applier:
    owner = Owner(
        agent="agent",
        track="track",
        namespace=namespace,
        applyset=applyset_id(name="agent.track", namespace=namespace),
    )
    return Applier(requests, owner=owner, digest_key=b"k" * 32)


async def desired(client: Client, namespace: str, text: str) -> Desired:
    """Resolve a manifest as a pass does."""
    [manifest] = load_file(text.replace("NS", namespace).encode(), file="nginx.yaml").manifests
    found = await Resolver(Discovery(client), Schemas(client)).resolve(manifest)
    assert found is not None
    return found


async def on_server(requests: Requests, wanted: Desired) -> JSONObject:
    found = await requests.live(wanted)
    assert found is not None
    return found


def image(obj: JSONObject) -> str:
    return str(obj["spec"]["template"]["spec"]["containers"][0]["image"])


async def test_item_33_what_is_known_of_a_created_object_is_what_the_server_has(
    client: Client, requests: Requests, applier: Applier, namespace: str
) -> None:
    """Create: it exists, the local copy is the server's, with defaults and apiVersion and kind.

    We keep a record in place of the object. Its digest is over all fields, defaults included, so
    equal records mean that the server's answer was taken in, not what was sent.
    """
    wanted = await desired(client, namespace, NGINX)
    assert await requests.live(wanted) is None
    outcome = await applier.apply(wanted)
    assert (outcome.action, outcome.error) == (Action.CREATE, "")
    server = await on_server(requests, wanted)
    assert (server["apiVersion"], server["kind"]) == ("apps/v1", "Deployment")
    assert server["spec"]["replicas"] == 1, "defaulted"
    assert outcome.live == project(server, has_status=True)
    again = await applier.apply(wanted)
    assert (again.action, again.live) == (Action.UNCHANGED, outcome.live)


async def test_item_33_a_creation_is_one_request_without_dry_run(world: World) -> None:
    """Faros can dry-run a creation: nothing persisted, defaults filled in.

    There is nothing to compare the answer with, so we send none: a creation is one POST.
    """
    world.commit({"a.yaml": NGINX})
    mark = world.control_plane.mark()
    assert (await world.once()).ready
    about = [r for r in world.writes(mark) if r.resource == "deployments"]
    assert [(r.verb, "dryRun" in r.query) for r in about] == [("create", False)]


async def test_item_34_what_is_known_of_an_updated_object_is_what_the_server_has(
    client: Client, requests: Requests, applier: Applier, namespace: str
) -> None:
    """Update: the image is changed, and the local copy is the server's."""
    created = await applier.apply(await desired(client, namespace, NGINX))
    wanted = await desired(client, namespace, NEWER)
    updated = await applier.apply(wanted)
    assert (updated.action, updated.error) == (Action.UPDATE, "")
    server = await on_server(requests, wanted)
    assert image(server) == "nginx:1.26"
    assert updated.live == project(server, has_status=True)
    assert created.live is not None
    assert created.live.uid == server["metadata"]["uid"]
    assert created.live.digest != updated.live.digest


async def test_item_34_a_dry_run_returns_the_change_and_makes_none(
    client: Client, requests: Requests, applier: Applier, namespace: str
) -> None:
    """Dry-run update: the returned object has the new image, the server's object has not."""
    wanted = await desired(client, namespace, NGINX)
    await applier.apply(wanted)
    before = await on_server(requests, wanted)
    containers = [{"name": "nginx", "image": "nginx:1.26"}]
    body = {"spec": {"template": {"spec": {"containers": containers}}}}
    returned = await requests.patch(wanted, Patch(JSON_MERGE_PATCH, body), dry_run=True)
    assert image(returned) == "nginx:1.26"
    assert await on_server(requests, wanted) == before


async def test_item_34_an_update_is_tried_before_it_is_made(world: World) -> None:
    """The agent's own update: a dry-run, then the same patch for real; as in Faros a flag.

    With ``server-dry-run = false`` there is the patch alone.
    """
    world.commit({"nginx.yaml": NGINX})
    await world.once()
    for line, text, expected in (
        ("", NEWER, [("patch", "All"), ("patch", "")]),
        ("server-dry-run = false", NGINX, [("patch", "")]),
    ):
        world.settings.append(line)
        world.commit({"nginx.yaml": text})
        mark = world.control_plane.mark()
        assert (await world.once()).ready
        about = [r for r in world.writes(mark) if r.resource == "deployments"]
        assert [(r.verb, r.query.get("dryRun", "")) for r in about] == expected


async def test_item_35_an_unknown_kind_is_an_error_until_its_crd_is_there(
    world: World, cleanup: Callable[..., None]
) -> None:
    """Faros: "unable to get current resource: no matches for kind ...", exactly.

    It finds the kind once the CRD exists only with a new applier, that is after a restart; the
    running agent finds it by itself. The object beside it is not kept waiting.
    """
    kind = f"gear{world.namespace.removeprefix('test-')}"
    cleanup("crd", f"{kind}.shop.example")
    world.commit({"a.yaml": config_map("a"), "b.yaml": CUSTOM_RESOURCE.replace("KIND", kind)})
    status = await world.once()
    key = f"{kind}.shop.example {world.namespace}/first"
    text = (
        f'no matches for kind "{kind}" in version "shop.example/v1": the server does not have it; '
        "install its CRD or correct apiVersion and kind [b.yaml:1]"
    )
    assert status.problems == {key: text}
    assert (status.discovered, status.applied, status.ignored) == (2, 1, 1)
    assert verdict(status, UP_TO_DATE) == ("False", "ErrorUpdatingChildren")
    [told] = await messages(world, "CreateFailed")
    assert told == f"Failed to create child '{kind}-first' ({key}): {text}"

    before = await identity(world, "configmap", "a")
    async with world.running():
        await world.do("apply", "-f", "-", stdin=CRD.replace("KIND", kind))

        async def is_well() -> bool:
            now = await world.status()
            return now.get("inSync") == 2 and not now.get("problems")

        await eventually(is_well, within=40, what="the custom resource in step")
    assert await world.get(kind, "first") is not None
    assert await identity(world, "configmap", "a") == before
