"""What a three-way strategic merge has to come to, said in another way than the merge is written.

It works on results, never on patches, and leaves the order of merging lists aside.
"""

from __future__ import annotations

from typing import Any

from agent.manifest.keys import JSONObject
from agent.plan.merge.schema import Field, Schema

_ABSENT: Any = object()
_FILLED_IN = {
    "type": "RollingUpdate",
    "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
    "emptyDir": {},
}


def merged(last: JSONObject, desired: JSONObject, live: JSONObject, schema: Schema) -> JSONObject:
    """Return the object live has to become."""
    result = {}
    for name in {*last, *desired, *live}:
        value = _value(
            last.get(name, _ABSENT),
            desired.get(name, _ABSENT),
            live.get(name, _ABSENT),
            schema.field(name),
        )
        if value is not _ABSENT:
            result[name] = value
    return result


def _value(old: Any, wanted: Any, have: Any, field: Field) -> Any:
    if wanted is _ABSENT:
        return have if old is _ABSENT else _ABSENT
    if have is _ABSENT or type(wanted) is not type(have):
        return wanted
    if isinstance(wanted, dict) and not field.replace:
        return _map(old if isinstance(old, dict) else {}, wanted, have, field)
    if isinstance(wanted, list) and field.merge:
        return _list(old if isinstance(old, list) else [], wanted, have, field)
    return wanted


def _map(old: JSONObject, wanted: JSONObject, have: JSONObject, field: Field) -> JSONObject:
    result = merged(old, wanted, have, field.schema)
    others = have.keys() - wanted.keys()
    quiet = result == have and all(have[name] == _FILLED_IN.get(name) for name in others)
    if field.retain_keys and wanted and not quiet:
        return {name: value for name, value in result.items() if name in wanted}
    return result


def _list(old: list[Any], wanted: list[Any], have: list[Any], field: Field) -> list[Any]:
    by_old, by_wanted, by_have = (_by_key(items, field) for items in (old, wanted, have))
    result = []
    for key in {**by_have, **by_wanted}:
        if key not in by_wanted:
            if key not in by_old:
                result.append(by_have[key])
        elif key in by_have and field.merge_key:
            result.append(_map(by_old.get(key, {}), by_wanted[key], by_have[key], field))
        else:
            result.append(by_wanted[key])
    return result


def _by_key(items: list[Any], field: Field) -> dict[Any, Any]:
    return {item[field.merge_key] if field.merge_key else item: item for item in items}


def unordered(value: Any, field: Field) -> Any:
    """Return a value in which the order of merging lists does not count."""
    if isinstance(value, dict):
        return {name: unordered(item, field.schema.field(name)) for name, item in value.items()}
    if isinstance(value, list) and field.merge:
        return {
            key: unordered(item, Field(field.schema)) for key, item in _by_key(value, field).items()
        }
    return value
