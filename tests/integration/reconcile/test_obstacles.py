"""The API server refuses something: the object says so, the others go on, and it is retried."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.controlplane.rest import RequestError
from tests.eventually import eventually
from tests.integration.reconcile.conftest import World
from tests.integration.reconcile.manifests import CRD, CUSTOM_RESOURCE, config_map

pytestmark = pytest.mark.asyncio


async def problem(world: World) -> str:
    """Make a pass with one object ``b`` that fails beside one that works; return what it says."""
    status = await world.once()
    assert not status.ready
    assert await world.get("configmap", "good") is not None, "the failure took another with it"
    [text] = status.problems.values()
    return text


async def test_a_quota_that_is_used_up(world: World) -> None:
    quota: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none"},
        "spec": {"hard": {"secrets": "0"}},
    }
    await world.do("create", "-f", "-", stdin=json.dumps(quota))
    path = f"/api/v1/namespaces/{world.namespace}/resourcequotas/none"
    status = {"status": {"hard": {"secrets": "0"}, "used": {"secrets": "0"}}}
    await asyncio.to_thread(
        world.control_plane.client.json,
        "PATCH",
        f"{path}/status",
        status,
        content_type="application/merge-patch+json",
    )
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: b, namespace: NS}\n"
    world.commit({"a.yaml": config_map("good"), "b.yaml": secret})
    assert "exceeded quota: none" in await problem(world)


async def test_a_webhook_that_cannot_be_reached(world: World, cleanup: Callable[..., None]) -> None:
    name = f"refuse-{world.namespace}"
    cleanup("validatingwebhookconfiguration", name)
    await world.do("label", "namespace", world.namespace, f"webhook={world.namespace}")
    hook = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [
            {
                "name": "refuse.example.com",
                "clientConfig": {"url": "https://127.0.0.1:1/"},
                "rules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "resources": ["secrets"],
                        "operations": ["*"],
                    }
                ],
                "namespaceSelector": {"matchLabels": {"webhook": world.namespace}},
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "timeoutSeconds": 1,
            }
        ],
    }
    await world.do("create", "-f", "-", stdin=json.dumps(hook))
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: b, namespace: NS}\n"
    world.commit({"a.yaml": config_map("good"), "b.yaml": secret})

    async def refused() -> bool:  # the server takes a moment to know its new webhook
        status = await world.once()
        return any("refuse.example.com" in text for text in status.problems.values())

    await eventually(refused)
    assert await world.get("configmap", "good") is not None


async def test_a_namespace_that_is_going_away(world: World, cleanup: Callable[..., None]) -> None:
    leaving = f"{world.namespace}-leaving"
    world.control_plane.create_namespace(leaving)
    try:
        await world.do("delete", "namespace", leaving, "--wait=false")
        world.commit(
            {"a.yaml": config_map("good"), "b.yaml": config_map("b").replace("NS", leaving)}
        )
        text = await problem(world)
        assert "because it is being terminated" in text
        assert "403 Forbidden" in text
    finally:
        world.control_plane.remove_namespace(leaving)


async def test_a_namespace_that_is_not_there(world: World) -> None:
    world.commit({"a.yaml": config_map("good"), "b.yaml": config_map("b").replace("NS", "nowhere")})
    assert 'namespaces "nowhere" not found' in await problem(world)


async def test_an_object_that_waits_for_its_finalizers(world: World) -> None:
    world.commit({"a.yaml": config_map("good"), "b.yaml": config_map("b")})
    await world.once()
    await world.do("patch", "configmap", "b", "-p", '{"metadata":{"finalizers":["x.example/y"]}}')
    await world.do("delete", "configmap", "b", "--wait=false")
    assert "is being deleted and waits for its finalizers ['x.example/y']" in await problem(world)
    await world.do(
        "patch", "configmap", "b", "--type=merge", "-p", '{"metadata":{"finalizers":null}}'
    )
    assert (await world.once()).ready


async def test_an_object_that_waits_for_its_finalizers_comes_back_as_soon_as_it_is_gone(
    world: World,
) -> None:
    world.commit({"b.yaml": config_map("b")})
    async with world.running():
        first = await eventually(lambda: world.get("configmap", "b"))
        patch = '{"metadata":{"finalizers":["x.example/y"]}}'
        await world.do("patch", "configmap", "b", "-p", patch)
        await world.do("delete", "configmap", "b", "--wait=false")
        await asyncio.sleep(1)
        patch = '{"metadata":{"finalizers":null}}'
        await world.do("patch", "configmap", "b", "--type=merge", "-p", patch)

        async def again() -> bool:
            live = await world.get("configmap", "b")
            return bool(live and live["metadata"]["uid"] != first["metadata"]["uid"])

        await eventually(again)


async def test_a_custom_resource_before_its_crd_follows_when_the_crd_comes(
    world: World, cleanup: Callable[..., None]
) -> None:
    kind = f"late{world.namespace.removeprefix('test-')}"
    cleanup("crd", f"{kind}.shop.example")
    world.commit({"a.yaml": config_map("good"), "b.yaml": CUSTOM_RESOURCE.replace("KIND", kind)})
    assert f'no matches for kind "{kind}"' in await problem(world)
    async with world.running():
        await world.do("apply", "-f", "-", stdin=CRD.replace("KIND", kind))

        async def there() -> bool:
            found = await world.do("get", kind, "--ignore-not-found", "-o", "name")
            return bool(found.strip())

        await eventually(there, within=30)


async def test_a_crd_that_is_deleted_and_comes_back_gets_its_objects_again(
    world: World, cleanup: Callable[..., None]
) -> None:
    kind = f"back{world.namespace.removeprefix('test-')}"
    cleanup("crd", f"{kind}.shop.example")
    files = {"a.yaml": CRD, "b.yaml": CUSTOM_RESOURCE}
    world.commit({path: text.replace("KIND", kind) for path, text in files.items()})

    path = f"/apis/shop.example/v1/namespaces/{world.namespace}/{kind}/first"

    async def created() -> Any:
        try:
            return await asyncio.to_thread(world.control_plane.client.json, "GET", path)
        except RequestError:
            return None

    async with world.running():
        before = await eventually(created, within=20)
        await world.do("delete", "crd", f"{kind}.shop.example", "--wait=false")

        async def created_anew() -> bool:
            live = await created()
            return bool(live and live["metadata"]["uid"] != before["metadata"]["uid"])

        await eventually(created_anew, within=60)
