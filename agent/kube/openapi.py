"""The server's OpenAPI v3 document of one group version (KEP-2896), for kinds we do not know."""

from __future__ import annotations

from agent.kube.client import Client
from agent.kube.errors import NotFound
from agent.manifest.keys import GroupVersionKind, JSONObject


async def document(client: Client, gvk: GroupVersionKind) -> JSONObject | None:
    """Return the document that defines a kind, None where the server has none (before 1.24).

    Hundreds of kilobytes for a large group: to be read once and dropped. Raises KubeErrors.
    """
    group_version = f"apis/{gvk.group}/{gvk.version}" if gvk.group else f"api/{gvk.version}"
    try:
        index = await client.raw("/openapi/v3")
        entry = (index.get("paths") or {}).get(group_version) or {}
        path = entry.get("serverRelativeURL")
        return await client.raw(path) if path else None
    except NotFound:
        return None
