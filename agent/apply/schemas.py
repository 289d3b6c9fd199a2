"""How the lists of a kind merge: from the shipped table, else asked of the server once a kind."""

from __future__ import annotations

from agent.kube import openapi
from agent.kube.client import Client
from agent.manifest.keys import GroupVersionKind
from agent.plan.merge import Schema, from_openapi, lookup


class Schemas:
    """Schemas by kind. Custom resources have none: their patches are JSON merge patches."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._asked: dict[GroupVersionKind, Schema | None] = {}

    async def of(self, gvk: GroupVersionKind) -> Schema | None:
        """Return the schema of a kind, None for a JSON merge.

        The server is only asked about kinds of its own groups that are newer than the table. A
        server that cannot be asked now is asked again the next time; raises its KubeError, because
        merging a built-in kind as JSON would replace its lists whole.
        """
        if (known := lookup(gvk)) is not None or not _may_be_built_in(gvk.group):
            return known
        if gvk not in self._asked:
            document = await openapi.document(self._client, gvk)
            self._asked[gvk] = from_openapi(document, gvk) if document else None
        return self._asked[gvk]


def _may_be_built_in(group: str) -> bool:
    """Kubernetes' own groups have no dot or end in k8s.io, which others may use as well."""
    return "." not in group or group.endswith(".k8s.io")
