"""Server-side apply, for objects too large to carry their last-applied configuration.

All annotations of an object have 262,144 bytes together. An object that does not fit is owned
through managedFields instead: what our manager applied and git drops, the server removes.
"""

from __future__ import annotations

from typing import Any

from agent.apply.desired import Desired
from agent.apply.requests import APPLY_PATCH, Patched, Requests, guarded, metadata_patch
from agent.kube.client import FIELD_MANAGER
from agent.manifest import marks
from agent.manifest.keys import JSONObject
from agent.plan import lastapplied
from agent.plan.merge import Patch, three_way

REASON = "applied server-side: its last-applied configuration does not fit into an annotation"


def is_server_side(live: JSONObject) -> bool:
    """Tell whether an object is ours by server-side apply: no annotation of ours, but fields."""
    annotations = live["metadata"].get("annotations") or {}
    return marks.LAST_APPLIED not in annotations and _ours(live, "Apply") is not None


async def apply(
    requests: Requests,
    desired: Desired,
    live: JSONObject,
    marked: JSONObject,
    *,
    free: bool,
) -> Patched:
    """Bring a live object in step with ``marked`` (which carries no last-applied annotation).

    Unless ``free`` it must still be as it was judged when it is written. Raises KubeErrors.
    """
    current = await _leave_annotation(requests, desired, live, marked, free=free)
    current = await _take_over_fields(requests, desired, current)
    patch = Patch(APPLY_PATCH, marked)
    if not free:
        patch = guarded(patch, current)
    applied = await requests.patch_if_it_matters(desired, current, patch)
    return Patched(applied.live, changed=applied.changed or current is not live)


async def _leave_annotation(
    requests: Requests, desired: Desired, live: JSONObject, marked: JSONObject, *, free: bool
) -> JSONObject:
    """Merge for the last time by last-applied, so that what git dropped goes, and remove it."""
    recorded = lastapplied.inspect(live)
    if not recorded.annotation or is_server_side(live):
        return live
    patch = three_way(
        gvk=desired.resource.gvk,
        last_applied=recorded.configuration,
        desired=marked,
        live=live,
        schema=desired.schema,
    )
    annotations = live["metadata"].get("annotations") or {}
    if marks.LAST_APPLIED in annotations:
        metadata = patch.body.get("metadata") or {}
        dropped = {**(metadata.get("annotations") or {}), marks.LAST_APPLIED: None}
        body = {**patch.body, "metadata": {**metadata, "annotations": dropped}}
        patch = Patch(patch.content_type, body)
    if patch.body and not free:
        patch = guarded(patch, live)
    return (await requests.patch_if_it_matters(desired, live, patch)).live


async def _take_over_fields(requests: Requests, desired: Desired, live: JSONObject) -> JSONObject:
    """Turn what our creates and patches own into what our applies own.

    Otherwise the server would see two owners of each field, and keep what git drops.
    """
    updated = _ours(live, "Update")
    if updated is None:
        return live
    applied = _ours(live, "Apply") or {}
    merged = {
        **updated,
        "operation": "Apply",
        "fieldsV1": _union(updated.get("fieldsV1") or {}, applied.get("fieldsV1") or {}),
    }
    others = [e for e in live["metadata"]["managedFields"] if e is not updated and e != applied]
    patch = guarded(metadata_patch({"managedFields": [*others, merged]}), live)
    return await requests.patch(desired, patch)


def _ours(live: JSONObject, operation: str) -> JSONObject | None:
    """Find the managedFields entry of one of our operations on the object itself."""
    entries: list[JSONObject] = live["metadata"].get("managedFields") or []
    for entry in entries:
        ours = entry.get("manager") == FIELD_MANAGER and not entry.get("subresource")
        if ours and entry.get("operation") == operation:
            return entry
    return None


def _union(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Unite two field sets (FieldsV1): nested maps whose leaves are empty maps."""
    united = dict(one)
    for name, value in other.items():
        mine = united.get(name)
        if isinstance(mine, dict) and isinstance(value, dict):
            united[name] = _union(mine, value)
        else:
            united[name] = value
    return united
