"""The front door: three objects in, one patch out.

Duty: choose how a kind merges, as kubectl chooses, and hand the merge clean inputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from agent.manifest.keys import GroupVersionKind, JSONObject
from agent.plan.merge.apply_patch import apply_json, apply_strategic
from agent.plan.merge.errors import MergeError
from agent.plan.merge.json_patch import three_way_json
from agent.plan.merge.normalise import normalise
from agent.plan.merge.schema import Schema, lookup
from agent.plan.merge.strategic import three_way_strategic
from agent.plan.merge.values import as_map

STRATEGIC_MERGE_PATCH: Final = "application/strategic-merge-patch+json"
JSON_MERGE_PATCH: Final = "application/merge-patch+json"


@dataclass(frozen=True, slots=True)
class Patch:
    """A patch and the content type to send it with; an empty body means nothing to send."""

    content_type: str
    body: JSONObject


def three_way(
    *,
    gvk: GroupVersionKind,
    last_applied: JSONObject | None,
    desired: JSONObject,
    live: JSONObject,
    schema: Schema | None = None,
) -> Patch:
    """Return the patch that makes ``live`` what ``desired`` says and leaves the rest alone.

    ``last_applied`` is what was applied before, None when nothing is known of it: nothing is
    deleted then. Built-in kinds get a strategic merge patch, every other kind a JSON merge patch;
    ``schema`` (see ``from_openapi``) is for a built-in kind newer than the shipped table.
    ``desired`` and ``last_applied`` are normalised here; no input is modified.

    Raises MergeError when the objects are not the same one, or a list cannot be merged.
    """
    wanted, owned = normalise(desired), _owned(last_applied)
    _check_same_object(wanted, live)
    schema = lookup(gvk) or schema
    if schema is None:
        body = three_way_json(last_applied=owned, desired=wanted, live=live)
        return Patch(JSON_MERGE_PATCH, body)
    body = three_way_strategic(last_applied=owned, desired=wanted, live=live, schema=schema)
    return Patch(STRATEGIC_MERGE_PATCH, body)


def preview(
    patch: Patch, *, gvk: GroupVersionKind, live: JSONObject, schema: Schema | None = None
) -> JSONObject:
    """Return what ``live`` becomes, before defaults and admission; shares unchanged parts with it.

    ``gvk`` and ``schema`` as they were given to ``three_way``.
    """
    schema = lookup(gvk) or schema
    if schema is None:
        return apply_json(live, patch.body)
    return apply_strategic(live, patch.body, schema=schema)


def _owned(last_applied: JSONObject | None) -> JSONObject:
    """Return what last-applied can delete: never the object's own identity."""
    owned = normalise(as_map(last_applied))
    metadata = as_map(owned.get("metadata"))
    identity = ("name", "namespace")
    owned["metadata"] = {name: v for name, v in metadata.items() if name not in identity}
    return owned


def _check_same_object(desired: JSONObject, live: JSONObject) -> None:
    """Refuse to merge what is not one object: the patch would say so, and the server obscurely."""
    mine, theirs = as_map(desired.get("metadata")), as_map(live.get("metadata"))
    pairs = [
        *((name, desired.get(name), live.get(name)) for name in ("apiVersion", "kind")),
        *((f"metadata.{name}", mine.get(name), theirs.get(name)) for name in ("name", "namespace")),
    ]
    for name, wanted, have in pairs:
        if wanted and have and wanted != have:
            raise MergeError(
                f"{desired.get('kind')} {mine.get('name')}: {name} is {wanted!r} in git and "
                f"{have!r} in the live object; these are not the same object"
            )
