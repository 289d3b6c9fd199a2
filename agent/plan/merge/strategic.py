"""Three-way strategic merge: what has to change in a live object of a built-in kind.

Duty: what kubectl's ``strategicpatch.CreateThreeWayMergePatch`` does with overwrite=true: additions
and changes from live to desired, deletions from last-applied to desired, in one walk. Must not
know kinds: the schema says how each field merges.

Where kubectl sends a patch that changes nothing, this sends none:

* a deletion of what live has no more;
* ``$setElementOrder`` when the list is in that order already (a sidecar was injected);
* a map with the ``replace`` strategy (a PodDisruptionBudget's selector) that is equal;
* ``$retainKeys`` when all it would clear is a default the server has filled in.

Lists with several elements of one merge key are another matter: see ``duplicates``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from agent.manifest.keys import JSONObject
from agent.plan.merge.apply_patch import apply_strategic
from agent.plan.merge.arrange import arrange
from agent.plan.merge.directives import (
    DELETE,
    DELETE_FROM_PRIMITIVE_LIST,
    DIRECTIVE,
    REPLACE,
    RETAIN_KEYS,
    SET_ELEMENT_ORDER,
    Scalar,
    key_of,
    merge_keys,
    scalars,
)
from agent.plan.merge.duplicates import resolve
from agent.plan.merge.schema import Field, Schema
from agent.plan.merge.values import as_list, as_map, equal, plain

_DEFAULTS: Final[JSONObject] = {
    "type": "RollingUpdate",
    "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
    "emptyDir": {},
}
"""What servers fill into maps with ``$retainKeys``: a Deployment's strategy, a Pod's volumes."""


def three_way_strategic(
    *, last_applied: JSONObject | None, desired: JSONObject, live: JSONObject, schema: Schema
) -> JSONObject:
    """Return the strategic merge patch that makes ``live`` what ``desired`` says; ``{}`` if it is.

    Added and changed: what desired has and live has not, or otherwise. Deleted: what
    ``last_applied`` has (be it null), desired no longer has and live still has; and what desired
    says is null.
    All else in live stays. The inputs are not modified and the patch shares nothing with them.

    Raises MergeError when an element of a merging list has no merge key.
    """
    return _map(as_map(last_applied), desired, live, schema, "")


def _map(
    last: JSONObject, desired: JSONObject, live: JSONObject, schema: Schema, path: str
) -> JSONObject:
    patch: JSONObject = {}
    for name, wanted in desired.items():
        have = live.get(name)
        if wanted is None:
            if have is not None:
                patch[name] = None
        elif have is None:
            patch[name] = plain(wanted)
        elif isinstance(wanted, dict | list):
            field = schema.field(name)
            where = f"{path}.{name}" if path else name
            patch.update(_field(name, last.get(name), wanted, have, field, where))
        elif not equal(have, wanted):
            patch[name] = wanted
    for name in last:
        if name not in desired and live.get(name) is not None:
            patch[name] = None
    return patch


def _field(
    name: str, old: Any, wanted: JSONObject | list[Any], have: Any, field: Field, path: str
) -> JSONObject:
    """Return what one map or list adds to the patch of the map it is in."""
    if isinstance(wanted, dict) and isinstance(have, dict) and not field.replace:
        child = _entry(as_map(old), wanted, have, field, path)
        return {name: child} if child else {}
    if isinstance(wanted, list) and isinstance(have, list) and field.merge:
        merge = _keyed_list if field.merge_key else _set
        return merge(name, as_list(old), wanted, have, field, path)
    return {} if equal(have, wanted) else {name: plain(wanted)}


def _entry(
    old: JSONObject, wanted: JSONObject, have: JSONObject, field: Field, path: str
) -> JSONObject:
    """Return the patch of a map, or of an element of a list, that is there already."""
    patch = _map(old, wanted, have, field.schema, path)
    if field.retain_keys and (patch or _clearable(wanted, have)):
        retained = sorted(name for name, value in wanted.items() if value is not None)
        if retained:
            patch[RETAIN_KEYS] = retained
    return patch


def _clearable(wanted: JSONObject, have: JSONObject) -> bool:
    return any(
        value is not None and name not in wanted and not equal(value, _DEFAULTS.get(name))
        for name, value in have.items()
    )


def _keyed_list(
    name: str, old: list[Any], wanted: list[Any], have: list[Any], field: Field, path: str
) -> JSONObject:
    """Merge a list of maps by its merge key."""
    wanted_keys = merge_keys(wanted, field.merge_key, path=path, whose="desired")
    live_keys = merge_keys(have, field.merge_key, path=path, whose="live")
    old = [item for item in old if key_of(item, field.merge_key) is not None]
    old_keys = [item[field.merge_key] for item in old]
    if any(len(set(keys)) < len(keys) for keys in (wanted_keys, live_keys, old_keys)):
        merge = _merger(field, path)
        whole = resolve(last=old, desired=wanted, live=have, field=field, merge=merge)
        return {} if whole is None else {name: [{DIRECTIVE: REPLACE}, *whole]}
    live_by_key = dict(zip(live_keys, have, strict=True))
    old_by_key = dict(zip(old_keys, old, strict=True))
    entries: list[Any] = []
    for index, (key, item) in enumerate(zip(wanted_keys, wanted, strict=True)):
        if key not in live_by_key:
            entries.append(plain(item))
            continue
        last = old_by_key.get(key, {})
        if child := _entry(last, item, live_by_key[key], field, f"{path}[{index}]"):
            entries.append({**child, field.merge_key: key})
    kept = set(wanted_keys)
    gone = [key for key in old_keys if key in live_by_key and key not in kept]
    entries.extend({field.merge_key: key, DIRECTIVE: DELETE} for key in gone)
    patch: JSONObject = {name: entries} if entries else {}
    if wanted and (entries or _misplaced(wanted_keys, live_keys)):
        patch[SET_ELEMENT_ORDER + name] = [{field.merge_key: key} for key in wanted_keys]
    return patch


def _set(
    name: str, old: list[Any], wanted: list[Any], have: list[Any], _field: Field, path: str
) -> JSONObject:
    """Merge a list of scalars as a set."""
    wanted_items = scalars(wanted, path=path, whose="desired")
    live_items = scalars(have, path=path, whose="live")
    added = [item for item in wanted_items if item not in live_items]
    gone = [item for item in old if item in live_items and item not in wanted_items]
    patch: JSONObject = {name: added} if added else {}
    if gone:
        patch[DELETE_FROM_PRIMITIVE_LIST + name] = list(dict.fromkeys(gone))
    if wanted_items and (patch or _misplaced(wanted_items, live_items)):
        patch[SET_ELEMENT_ORDER + name] = wanted_items
    return patch


def _misplaced(wanted: list[Scalar], live: list[Scalar]) -> bool:
    return arrange(live, order=wanted, live=live, key=lambda key: key) != live


def _merger(field: Field, path: str) -> Callable[[JSONObject, JSONObject, JSONObject], JSONObject]:
    """Return the three-way merge of one element, for ``resolve``."""

    def merge(last: JSONObject, desired: JSONObject, live: JSONObject) -> JSONObject:
        patch = _entry(last, desired, live, field, path)
        return apply_strategic(live, patch, schema=field.schema)

    return merge
