"""JSON values: equality as the API server sees it, and copies without nulls.

Duty: the two questions every merge asks of a value it does not look into. Must not know schemas.
"""

from __future__ import annotations

from typing import Any

from agent.manifest.keys import JSONObject


def equal(left: Any, right: Any, *, nulls_count: bool = False) -> bool:
    """Tell whether two JSON values are the same.

    1 and 1.0 are (JSON has one kind of number), 1 and true are not. Unless ``nulls_count``, a map
    entry that is null is as good as none: the types of built-in kinds cannot tell them apart.
    """
    if isinstance(left, dict) and isinstance(right, dict):
        if not nulls_count:
            left, right = _without_nulls(left), _without_nulls(right)
        return left.keys() == right.keys() and all(
            equal(value, right[key], nulls_count=nulls_count) for key, value in left.items()
        )
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(
            equal(mine, yours, nulls_count=nulls_count)
            for mine, yours in zip(left, right, strict=True)
        )
    # In Python True == 1.
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def plain(value: Any) -> Any:
    """Return a deep copy without the map entries that are null: the value as a server stores it."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def copied(value: Any) -> Any:
    """Return a deep copy, nulls and all."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copied(item) for item in value]
    return value


def as_map(value: Any) -> JSONObject:
    """Return the value if it is a map, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """Return the value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def _without_nulls(value: JSONObject) -> JSONObject:
    if None in value.values():
        return {key: item for key, item in value.items() if item is not None}
    return value
