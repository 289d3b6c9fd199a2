"""Apply a patch, as the API server would before it fills in defaults.

Duty: foresee the result of a patch made by this package, for a diff without a server and for
lists that are sent whole. Must not be trusted with patches from elsewhere: they are not checked.
"""

from __future__ import annotations

from typing import Any

from agent.manifest.keys import JSONObject
from agent.plan.merge.arrange import arrange
from agent.plan.merge.directives import (
    DELETE,
    DELETE_FROM_PRIMITIVE_LIST,
    DIRECTIVE,
    REPLACE,
    RETAIN_KEYS,
    SET_ELEMENT_ORDER,
)
from agent.plan.merge.schema import Field, Schema
from agent.plan.merge.values import as_list, as_map, plain


def apply_json(live: JSONObject, patch: JSONObject) -> JSONObject:
    """Apply a JSON merge patch (RFC 7386); unchanged parts are shared with ``live``."""
    result = dict(live)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            result[name] = apply_json(as_map(result.get(name)), value)
        else:
            result[name] = value
    return result


def apply_strategic(live: JSONObject, patch: JSONObject, *, schema: Schema) -> JSONObject:
    """Apply a strategic merge patch; unchanged parts are shared with ``live``."""
    result = dict(live)
    if RETAIN_KEYS in patch:
        result = {name: live[name] for name in live if name in patch[RETAIN_KEYS]}
    for name in _fields(patch):
        field = schema.field(name)
        have, value = result.get(name), patch.get(name, [])
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            result[name] = _apply_map(have, value, field)
        elif isinstance(value, list) and isinstance(have, list) and field.merge:
            result[name] = _apply_list(have, value, patch, name, field)
        elif name in patch:
            result[name] = plain(value)
    return result


def _fields(patch: JSONObject) -> list[str]:
    """Return the fields a patch touches, be it by a directive about them alone."""
    names = (
        name.removeprefix(SET_ELEMENT_ORDER).removeprefix(DELETE_FROM_PRIMITIVE_LIST)
        for name in patch
        if name != RETAIN_KEYS
    )
    return list(dict.fromkeys(names))


def _apply_map(have: Any, value: JSONObject, field: Field) -> JSONObject:
    if isinstance(have, dict) and not field.replace:
        return apply_strategic(have, value, schema=field.schema)
    added: JSONObject = plain(value)
    return added


def _apply_list(
    have: list[Any], value: list[Any], patch: JSONObject, name: str, field: Field
) -> list[Any]:
    order = patch.get(SET_ELEMENT_ORDER + name)
    if field.merge_key:
        return _apply_keyed(have, value, order, field)
    gone = as_list(patch.get(DELETE_FROM_PRIMITIVE_LIST + name))
    items = [item for item in dict.fromkeys([*have, *value]) if item not in gone]
    wanted = value if order is None else order
    return arrange(items, order=wanted, live=have, key=lambda item: item)


def _apply_keyed(
    have: list[Any], value: list[Any], order: list[Any] | None, field: Field
) -> list[Any]:
    def key(item: JSONObject) -> Any:
        return item[field.merge_key]

    if any(item.get(DIRECTIVE) == REPLACE for item in value):
        have, items = [], [plain(item) for item in value if DIRECTIVE not in item]
        return arrange(items, order=(), live=map(key, items), key=key)
    gone = {key(item) for item in value if item.get(DIRECTIVE) == DELETE}
    changed = {key(item): item for item in value if DIRECTIVE not in item}
    items = []
    for item in have:
        if key(item) in changed:
            items.append(apply_strategic(item, changed.pop(key(item)), schema=field.schema))
        elif key(item) not in gone:
            items.append(item)
    # A server deletes in place and appends into the room that makes: to its eyes the first of the
    # new elements stood at the end of the live list, and come after all others.
    stood = [key(item) for item in items] + list(changed)[: len(have) - len(items)]
    items.extend(plain(item) for item in changed.values())
    wanted = order if order is not None else [item for item in value if DIRECTIVE not in item]
    return arrange(items, order=map(key, wanted), live=stood, key=key)
