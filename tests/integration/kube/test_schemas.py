"""How a kind merges is asked of the server where the shipped table does not know."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent.apply.schemas import Schemas
from agent.kube import auth, openapi
from agent.kube.client import Client
from agent.kube.errors import ServerError
from agent.kube.transport import Transport
from agent.manifest.keys import GroupVersionKind
from agent.plan.merge import Schema, from_openapi, lookup
from tests.controlplane.newer import NewerServer
from tests.faults.proxy import Fault, FaultProxy

pytestmark = pytest.mark.asyncio

NEW = GroupVersionKind("apps", "v9", "Widget")
META = "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"

# A built-in kind that no release has yet, in the form of OpenAPI v3 (KEP-2896).
DOCUMENT: dict[str, Any] = {
    "openapi": "3.0.0",
    "paths": {
        "/apis/apps/v9/namespaces/{namespace}/widgets/{name}": {
            "patch": {
                "x-kubernetes-group-version-kind": {
                    "group": "apps",
                    "version": "v9",
                    "kind": "Widget",
                },
                "requestBody": {"content": {"application/strategic-merge-patch+json": {}}},
            }
        }
    },
    "components": {
        "schemas": {
            "io.k8s.api.apps.v9.Widget": {
                "type": "object",
                "properties": {
                    "apiVersion": {"type": "string"},
                    "kind": {"type": "string"},
                    "metadata": {"allOf": [{"$ref": META}]},
                    "parts": {
                        "type": "array",
                        "items": {"type": "object"},
                        "x-kubernetes-patch-strategy": "merge",
                        "x-kubernetes-patch-merge-key": "name",
                    },
                },
                "x-kubernetes-group-version-kind": [NEW._asdict()],
            }
        }
    },
}


def serve(proxy: FaultProxy) -> None:
    index = {"paths": {"apis/apps/v9": {"serverRelativeURL": "/openapi/v3/apis/apps/v9?hash=1"}}}
    proxy.plant(Fault(path="/openapi/v3/apis", status=200, body=json.dumps(DOCUMENT)))
    proxy.plant(Fault(path="/openapi/v3", status=200, body=json.dumps(index)))


async def test_a_kind_of_the_table_and_a_custom_resource_cost_no_request(
    shaky: Client, proxy: FaultProxy
) -> None:
    schemas = Schemas(shaky)
    assert await schemas.of(GroupVersionKind("apps", "v1", "Deployment")) is not None
    assert await schemas.of(GroupVersionKind("shop.example", "v1", "Gear")) is None
    assert not proxy.requests


async def test_an_unknown_built_in_kind_is_asked_of_the_server_once(
    shaky: Client, proxy: FaultProxy
) -> None:
    serve(proxy)
    schemas = Schemas(shaky)
    assert await schemas.of(NEW) is not None
    assert await schemas.of(NEW) is await schemas.of(NEW)
    assert proxy.count("GET", "/openapi/v3") == 2


async def test_a_server_without_openapi_v3_leaves_a_json_merge(client: Client) -> None:
    assert await Schemas(client).of(NEW) is None


async def test_a_server_that_fails_is_not_taken_for_one_without(
    shaky: Client, proxy: FaultProxy
) -> None:
    proxy.plant(Fault(path="/openapi/v3", status=500))
    schemas = Schemas(shaky)
    with pytest.raises(ServerError):
        await schemas.of(NEW)
    serve(proxy)
    assert await schemas.of(NEW) is not None


def shape(schema: Schema | None) -> dict[str, Any]:
    """A schema as a value to compare: what is below each field, and how it merges."""
    assert schema is not None
    return {
        name: (shape(field.schema), field.merge, field.merge_key, field.map_keys, field.replace)
        for name, field in schema.fields.items()
    }


async def test_a_server_of_today_says_of_a_built_in_kind_what_the_table_says(
    newer: NewerServer,
) -> None:
    kind = GroupVersionKind("apiextensions.k8s.io", "v1", "CustomResourceDefinition")
    async with Transport(await auth.load(kubeconfig=str(newer.kubeconfig))) as transport:
        document = await openapi.document(Client(transport), kind)
    assert document is not None
    said = shape(from_openapi(document, kind))
    assert said["metadata"][0]["ownerReferences"][2] == "uid"
    assert said == shape(lookup(kind))
