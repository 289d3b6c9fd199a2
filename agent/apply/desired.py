"""Desired: one manifest, resolved against the server, as the applier takes it."""

from __future__ import annotations

from dataclasses import dataclass

from agent.kube.resource import Resource
from agent.manifest.keys import JSONObject, ObjectKey
from agent.manifest.model import Manifest, Origin


@dataclass(frozen=True, slots=True)
class Desired:
    """What git wants of one object, and how the server serves its kind.

    ``key`` is final: a cluster-scoped object has no namespace, whatever the file says.
    """

    manifest: Manifest
    resource: Resource
    key: ObjectKey

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


def resolve(manifest: Manifest, resource: Resource) -> Desired:
    """Join a manifest with the resource its kind resolves to."""
    key = manifest.key
    if not resource.namespaced and key.namespace:
        key = key._replace(namespace="")
    return Desired(manifest=manifest, resource=resource, key=key)
