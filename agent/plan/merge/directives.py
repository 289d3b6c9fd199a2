"""The words of a strategic merge patch, and how its lists are read by merge key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from agent.manifest.keys import JSONObject
from agent.plan.merge.errors import MergeError

DIRECTIVE: Final = "$patch"
DELETE: Final = "delete"
REPLACE: Final = "replace"
RETAIN_KEYS: Final = "$retainKeys"
SET_ELEMENT_ORDER: Final = "$setElementOrder/"
DELETE_FROM_PRIMITIVE_LIST: Final = "$deleteFromPrimitiveList/"

Scalar = str | int | float


def merge_keys(items: Sequence[Any], merge_key: str, *, path: str, whose: str) -> list[Scalar]:
    """Return the merge key of each element.

    Raises MergeError naming the element when it has none; the API server would refuse it, too.
    """
    keys: list[Scalar] = []
    for index, item in enumerate(items):
        value = key_of(item, merge_key)
        if value is None:
            raise MergeError(
                f"{path}[{index}] of the {whose} object has no {merge_key!r}: "
                f"elements of this list are told apart by it, so every one needs it"
            )
        keys.append(value)
    return keys


def key_of(item: JSONObject | Any, merge_key: str) -> Scalar | None:
    """Return the merge key of one element, None when it has none that can be one."""
    value = item.get(merge_key) if isinstance(item, dict) else None
    return value if isinstance(value, str | int | float) else None


def scalars(items: Sequence[Any], *, path: str, whose: str) -> list[Scalar]:
    """Return the distinct elements of a list that merges as a set; MergeError if one is a map."""
    for index, item in enumerate(items):
        if not isinstance(item, str | int | float):
            raise MergeError(
                f"{path}[{index}] of the {whose} object is {type(item).__name__}: "
                f"this list takes strings or numbers"
            )
    return list(dict.fromkeys(items))
