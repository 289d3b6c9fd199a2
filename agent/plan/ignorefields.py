"""Fields that git sets once and others write from then on: the rules of ``ignore-fields``.

Before a merge, live's value takes the place of git's in the desired object, so the merge finds
nothing to do there, be it in a list that is sent whole; and the record of what was applied leaves
the field out, so that it is nobody's loss when git, the rule or both drop it. A create takes git's
value: there is no other.

What a pointer means where an object is not as it expects:

* live has no such field: it is not added, nor are maps that would be empty without it;
* a field *inside* a list element that live does not have: the element is new, git's value counts;
* an index is a place in git's list. Where elements have a merge key, live's element of that key is
  meant, because an injected sidecar moves the others;
* ``[name=web]`` is the first element of that name, in git and in live.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, Final

from agent.config.model import IgnoredFields
from agent.config.pointers import Pointer, parse_element
from agent.manifest.keys import JSONObject, ObjectKey
from agent.plan.merge import Schema
from agent.plan.merge.normalise import is_secret
from agent.plan.merge.schema import Field
from agent.plan.merge.values import as_list, as_map

_ABSENT: Final = object()  # a field that is not there; None is one that is null


def pointers_for(rules: Iterable[IgnoredFields], key: ObjectKey) -> tuple[Pointer, ...]:
    """Return the fields that the rules name for one object, each once.

    Later elements of a list come before earlier ones, so that taking one out moves none of them.
    """
    kind = str(key.group_kind)
    found = {
        pointer
        for rule in rules
        if rule.kind == kind
        and rule.namespace in ("", key.namespace)
        and rule.name in ("", key.name)
        for pointer in rule.pointers
    }
    return tuple(sorted(found, key=_indices_as_numbers, reverse=True))


def _indices_as_numbers(pointer: Pointer) -> list[tuple[int, str]]:
    return [(int(part) if _is_index(part) else 0, part) for part in pointer.parts]


def digest(manifest: bytes, pointers: Sequence[Pointer]) -> bytes:
    """Return a digest of the manifest's and the pointers; the manifest's own without any."""
    if not pointers:
        return manifest
    text = "\n".join(map(str, pointers)).encode()
    return hashlib.blake2b(manifest + text, digest_size=16).digest()


def left_to_live(
    desired: JSONObject, live: JSONObject, pointers: Iterable[Pointer], *, schema: Schema | None
) -> JSONObject:
    """Return the desired object with live's values in the ignored fields.

    ``desired`` is normalised. ``schema`` says which lists have merge keys, None that none has.
    Inputs are not modified; the result shares parts with both.
    """
    root = Field(schema or Schema({}))
    result = desired
    for pointer in pointers:
        result = _merged(result, live, _parts(pointer, desired), root)
    return result


def left_out(desired: JSONObject, pointers: Iterable[Pointer]) -> JSONObject:
    """Return the desired object, normalised, without the ignored fields: what we answer for."""
    result = desired
    for pointer in pointers:
        result = _without(result, _parts(pointer, desired))
    return result


def _parts(pointer: Pointer, desired: JSONObject) -> tuple[str, ...]:
    """Return a pointer's parts; in a normalised Secret stringData has become data."""
    if is_secret(desired) and pointer.parts[0] == "stringData":
        return ("data", *pointer.parts[1:])
    return pointer.parts


def _merged(wanted: Any, live: Any, parts: tuple[str, ...], field: Field) -> Any:
    """Return what is wanted with live's value in one place; either may be ``_ABSENT``."""
    if not parts:
        return live
    shape = live if wanted is _ABSENT else wanted
    if isinstance(shape, dict):
        return _in_map(wanted, live, parts, field)
    if isinstance(shape, list):
        return _in_list(wanted, live, parts, field)
    return wanted


def _in_map(wanted: Any, live: Any, parts: tuple[str, ...], field: Field) -> Any:
    name, *rest = parts
    ours, theirs = as_map(wanted), as_map(live)
    value = _merged(
        ours.get(name, _ABSENT), theirs.get(name, _ABSENT), tuple(rest), field.schema.field(name)
    )
    if value is not _ABSENT:
        return {**ours, name: value}
    if name not in ours:
        return wanted
    return _unless_empty({other: item for other, item in ours.items() if other != name}, live)


def _in_list(wanted: Any, live: Any, parts: tuple[str, ...], field: Field) -> Any:
    part, *rest = parts
    ours, theirs = as_list(wanted), as_list(live)
    here = _position(ours, part)
    there = _counterpart(ours, theirs, here, part, field.merge_key)
    if here is None:
        if there is None or rest:
            return wanted
        return [*ours[:there], theirs[there], *ours[there:]]
    if there is not None:
        value = _merged(ours[here], theirs[there], tuple(rest), Field(field.schema))
        return [*ours[:here], value, *ours[here + 1 :]]
    return wanted if rest else _unless_empty([*ours[:here], *ours[here + 1 :]], live)


def _unless_empty(left: Any, live: Any) -> Any:
    """Return what is left of a map or list; nothing is wanted of one that live does not have."""
    return left if left or live is not _ABSENT else _ABSENT


def _position(items: list[Any], part: str) -> int | None:
    """Return where the element is that a pointer's part names."""
    named = parse_element(part)
    if named is None:
        return int(part) if _is_index(part) and int(part) < len(items) else None
    name, value = named
    for index, item in enumerate(items):
        if isinstance(item, dict) and name in item and str(item[name]) == value:
            return index
    return None


def _is_index(part: str) -> bool:
    return part.isascii() and part.isdigit()


def _counterpart(
    ours: list[Any], theirs: list[Any], here: int | None, part: str, merge_key: str
) -> int | None:
    """Return where live has the element that the part names in git's list."""
    if parse_element(part) is not None:
        return _position(theirs, part)
    if here is None:
        return None
    if not merge_key:
        return here if here < len(theirs) else None
    key = as_map(ours[here]).get(merge_key)
    before = sum(1 for item in ours[:here] if as_map(item).get(merge_key) == key)
    same = [i for i, item in enumerate(theirs) if as_map(item).get(merge_key) == key]
    return same[before] if before < len(same) else None


def _without(value: Any, parts: tuple[str, ...]) -> Any:
    """Return a value without the field that the parts name, if it is there."""
    part, *rest = parts
    place: Any = part
    if isinstance(value, list):
        place = _position(value, part)
        if place is None:
            return value
    elif not isinstance(value, dict) or part not in value:
        return value
    copy = value.copy()
    if rest:
        copy[place] = _without(value[place], tuple(rest))
    else:
        del copy[place]
    return copy
