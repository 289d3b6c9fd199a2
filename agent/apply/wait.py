"""Wait, with a deadline, for what later objects of a pass depend on."""

from __future__ import annotations

import asyncio

from agent.kube.client import Client
from agent.kube.discovery import Discovery
from agent.kube.errors import KubeError, NotFound
from agent.kube.resource import Resource
from agent.manifest.keys import GroupVersionKind, JSONObject, ObjectKey

ESTABLISH_DEADLINE = 20.0
"""Seconds for a CRD to be served; it takes well under one on an idle server."""

_POLL = 0.05


async def established(
    client: Client, discovery: Discovery, *, resource: Resource, key: ObjectKey
) -> bool:
    """Wait until a CustomResourceDefinition's kinds are served; False after the deadline.

    ``resource`` is that of CustomResourceDefinition itself. A CRD that its author broke never
    gets there; its custom resources then fail on their own, with their own message.
    """
    try:
        async with asyncio.timeout(ESTABLISH_DEADLINE):
            crd = await _until_established(client, resource=resource, name=key.name)
            for gvk in _served(crd):
                await _until_discovered(discovery, gvk)
    except (TimeoutError, KubeError):
        return False
    return True


async def _until_established(client: Client, *, resource: Resource, name: str) -> JSONObject:
    while True:
        try:
            crd = await client.get(resource, namespace="", name=name)
        except NotFound:
            crd = {}
        conditions = (crd.get("status") or {}).get("conditions") or []
        if any(c.get("type") == "Established" and c.get("status") == "True" for c in conditions):
            return crd
        await asyncio.sleep(_POLL)


async def _until_discovered(discovery: Discovery, gvk: GroupVersionKind) -> None:
    while True:
        discovery.forget(gvk.group)
        if await discovery.resolve(gvk) is not None:
            return
        await asyncio.sleep(_POLL)


def _served(crd: JSONObject) -> list[GroupVersionKind]:
    """Return the kinds a CRD serves; ``spec.version`` is v1beta1's old single form."""
    spec = crd["spec"]
    versions = spec.get("versions") or [{"name": spec.get("version"), "served": True}]
    return [
        GroupVersionKind(spec["group"], version["name"], spec["names"]["kind"])
        for version in versions
        if version.get("served")
    ]
