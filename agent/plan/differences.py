"""Which fields of an object differ between two of its states, as JSON pointers.

For people, and to count what is put back again and again. Not a patch: nothing is made from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import msgspec

from agent.config.pointers import Pointer, element, parse_element
from agent.manifest.keys import JSONObject
from agent.plan.merge import Schema
from agent.plan.merge.schema import Field
from agent.plan.merge.values import as_map, equal
from agent.plan.ownership import settled

_encode = msgspec.json.Encoder().encode

LIMIT: Final = 50
"""Fields that are named at most; a person reads less."""


def differing(
    one: JSONObject, other: JSONObject, *, schema: Schema | None, has_status: bool
) -> tuple[str, ...]:
    """Return where two states of an object differ, in the order of its keys, at most LIMIT.

    Maps are followed to their leaves. Elements of a list are told apart by its merge key, as
    ``schema`` has it; a list without one differs as a whole. Volatile metadata does not count, nor
    does status where it is a subresource (``has_status``).
    """
    before, after = (settled(state, has_status=has_status) for state in (one, other))
    found = _below(before, after, (), Field(schema or Schema({})))
    return tuple(str(Pointer(parts)) for parts in islice(found, LIMIT))


def value_at(obj: JSONObject, pointer: str) -> Any:
    """Return the value that a pointer of ``differing`` names, None where there is none."""
    at: Any = obj
    for part in Pointer.parse(pointer).parts:
        named = parse_element(part)
        if isinstance(at, list) and named:
            at = _by_key(at, named[0]).get(named[1])
        else:
            at = as_map(at).get(part)
    return at


def _below(one: Any, other: Any, at: tuple[str, ...], field: Field) -> Iterator[tuple[str, ...]]:
    maps = [value for value in (one, other) if isinstance(value, dict) and value]
    if maps and all(isinstance(value, dict | None) for value in (one, other)):
        ours, theirs = as_map(one), as_map(other)
        for name in sorted(ours.keys() | theirs.keys()):
            mine, yours = ours.get(name), theirs.get(name)
            if _encode(mine) != _encode(yours):  # most of a large object is the same to the byte
                yield from _below(mine, yours, (*at, name), field.schema.field(name))
    elif equal(one, other):  # not asked of maps: each level would be compared once more
        return
    elif isinstance(one, list) and isinstance(other, list) and field.merge_key:
        yield from _elements(one, other, at, field)
    else:
        yield at


def _elements(
    one: list[Any], other: list[Any], at: tuple[str, ...], field: Field
) -> Iterator[tuple[str, ...]]:
    """Follow elements of one merge key; a list as a whole where a key is missing or there twice."""
    ours, theirs = _by_key(one, field.merge_key), _by_key(other, field.merge_key)
    told_apart = len(ours) == len(one) and len(theirs) == len(other)
    if not told_apart or ours == theirs:  # equal, and yet the lists are not: another order
        yield at
        return
    for key in dict.fromkeys([*ours, *theirs]):
        place = (*at, element(field.merge_key, key))
        if key in ours and key in theirs:
            yield from _below(ours[key], theirs[key], place, Field(field.schema))
        else:
            yield place


def _by_key(items: list[Any], merge_key: str) -> dict[str, Any]:
    keyed = ((as_map(item).get(merge_key), item) for item in items)
    return {str(key): item for key, item in keyed if isinstance(key, str | int)}
