"""Discovery on the real API server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

import pytest

from agent.kube.client import Client
from agent.kube.discovery import Discovery
from agent.manifest.keys import GroupKind, GroupVersionKind
from tests.controlplane.kubectl import Kubectl
from tests.eventually import eventually
from tests.faults.proxy import Fault, FaultProxy

pytestmark = pytest.mark.asyncio

CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gears.discovery.example}
spec:
  group: discovery.example
  names: {plural: gears, kind: Gear}
  scope: Cluster
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object}}
    subresources: {status: {}}
"""


async def test_kinds_come_with_plural_scope_and_status(client: Client) -> None:
    discovery = Discovery(client)
    deployment = await discovery.resolve(GroupVersionKind("apps", "v1", "Deployment"))
    assert deployment is not None
    assert (deployment.plural, deployment.namespaced, deployment.has_status) == (
        "deployments",
        True,
        True,
    )
    assert str(deployment) == "deployments.apps/v1"
    secret = await discovery.resolve(GroupVersionKind("", "v1", "Secret"))
    assert secret is not None
    assert str(secret) == "secrets./v1"
    assert not secret.has_status
    role = await discovery.resolve(
        GroupVersionKind("rbac.authorization.k8s.io", "v1", "ClusterRole")
    )
    assert role is not None
    assert not role.namespaced


async def test_what_the_server_does_not_have_is_none(client: Client) -> None:
    discovery = Discovery(client)
    assert await discovery.resolve(GroupVersionKind("apps", "v1", "Nonsense")) is None
    assert await discovery.resolve(GroupVersionKind("none.example", "v1", "Thing")) is None
    assert await discovery.preferred(GroupKind("none.example", "Thing")) is None


async def test_the_preferred_version_is_the_servers(client: Client) -> None:
    hpa = await Discovery(client).preferred(GroupKind("autoscaling", "HorizontalPodAutoscaler"))
    assert hpa is not None
    assert hpa.version in ("v1", "v2")


async def test_a_crd_that_appears_later_is_found_without_a_restart(
    client: Client, kubectl: Kubectl
) -> None:
    discovery = Discovery(client)
    gear = GroupVersionKind("discovery.example", "v1", "Gear")
    assert await discovery.resolve(gear) is None
    await asyncio.to_thread(kubectl, "apply", "-f", "-", stdin=CRD)
    try:
        found = await eventually(lambda: discovery.resolve(gear))
        assert not found.namespaced
        assert found.has_status
        assert await discovery.preferred(gear.group_kind) == found
    finally:
        await asyncio.to_thread(kubectl, "delete", "crd", "gears.discovery.example")


def aggregated(group: str, version: str, *resources: Mapping[str, object]) -> dict[str, object]:
    """A group as KEP-3352 writes it; the API server of these tests is too old to have it."""
    return {
        "metadata": {"name": group, "creationTimestamp": None},
        "versions": [{"version": version, "freshness": "Current", "resources": list(resources)}],
    }


CONFIG_MAPS = {
    "resource": "configmaps",
    "responseKind": {"group": "", "version": "", "kind": "ConfigMap"},
    "scope": "Namespaced",
    "verbs": ["get", "list"],
}
DEPLOYMENTS = {
    "resource": "deployments",
    "responseKind": {"group": "", "version": "", "kind": "Deployment"},
    "scope": "Namespaced",
    "verbs": ["get", "list"],
    "subresources": [
        {"subresource": "scale", "verbs": ["get"]},
        {"subresource": "status", "verbs": ["get"]},
    ],
}


async def test_aggregated_discovery_is_two_requests_for_everything(
    shaky: Client, proxy: FaultProxy
) -> None:
    for path, groups in {
        "/apis": [aggregated("apps", "v1", DEPLOYMENTS)],
        "/api": [aggregated("", "v1", CONFIG_MAPS)],
    }.items():
        body = {"kind": "APIGroupDiscoveryList", "items": groups}
        headers = {"Content-Type": "application/json;g=apidiscovery.k8s.io"}
        proxy.plant(Fault(path=path, status=200, body=json.dumps(body), headers=headers))
    discovery = Discovery(shaky)
    deployment = await discovery.resolve(GroupVersionKind("apps", "v1", "Deployment"))
    config_map = await discovery.resolve(GroupVersionKind("", "v1", "ConfigMap"))
    assert deployment is not None
    assert config_map is not None
    assert (str(deployment), deployment.has_status) == ("deployments.apps/v1", True)
    assert (str(config_map), config_map.has_status) == ("configmaps./v1", False)
    assert await discovery.preferred(GroupKind("apps", "Deployment")) == deployment
    assert sum(proxy.requests.values()) == 2


async def test_a_kind_that_aggregated_discovery_lacks_is_asked_for_alone(
    shaky: Client, proxy: FaultProxy
) -> None:
    body = {"kind": "APIGroupDiscoveryList", "items": []}
    proxy.plant(Fault(path="/api", status=200, body=json.dumps(body), times=2))
    secret = await Discovery(shaky).resolve(GroupVersionKind("", "v1", "Secret"))
    assert secret is not None
    assert proxy.count("GET", "/api/v1") == 1
