"""Desired: one manifest, resolved against the server, as the applier takes it."""

from __future__ import annotations

from dataclasses import dataclass

from agent.apply.schemas import Schemas
from agent.kube.discovery import Discovery
from agent.kube.resource import Resource
from agent.manifest.keys import JSONObject, ObjectKey
from agent.manifest.model import Manifest, Origin
from agent.plan.merge import Schema


@dataclass(frozen=True, slots=True)
class Desired:
    """What git wants of one object, and how the server serves its kind.

    ``key`` is final: a cluster-scoped object has no namespace, whatever the file says. ``schema``
    says how lists merge, None for a JSON merge.
    """

    manifest: Manifest
    resource: Resource
    key: ObjectKey
    schema: Schema | None = None

    @property
    def origin(self) -> Origin:
        """Where in git it is written."""
        return self.manifest.origin

    def object(self) -> JSONObject:
        """Decode the body; the caller may modify it."""
        obj = self.manifest.object()
        if not self.resource.namespaced:
            obj["metadata"].pop("namespace", None)
        return obj


def resolve(manifest: Manifest, resource: Resource, schema: Schema | None = None) -> Desired:
    """Join a manifest with the resource its kind resolves to, and with how it merges."""
    key = manifest.key
    if not resource.namespaced and key.namespace:
        key = key._replace(namespace="")
    return Desired(manifest=manifest, resource=resource, key=key, schema=schema)


@dataclass(frozen=True, slots=True)
class Resolver:
    """Resolves manifests against the server, as it is now."""

    discovery: Discovery
    schemas: Schemas

    async def resolve(self, manifest: Manifest) -> Desired | None:
        """Return the desired object, None when the server does not have its kind.

        Raises KubeErrors when the server cannot be asked.
        """
        resource = await self.discovery.resolve(manifest.gvk)
        if resource is None:
            return None
        return resolve(manifest, resource, await self.schemas.of(manifest.gvk))
