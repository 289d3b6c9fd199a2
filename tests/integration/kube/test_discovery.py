"""Discovery on the real API server."""

from __future__ import annotations

import asyncio

import pytest

from agent.kube.client import Client
from agent.kube.discovery import Discovery
from agent.manifest.keys import GroupKind, GroupVersionKind
from tests.controlplane.kubectl import Kubectl
from tests.eventually import eventually

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
