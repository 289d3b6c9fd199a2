"""Lists in which several elements share the merge key: DNS on 53/TCP and 53/UDP.

Duty: decide what such a list has to be, as a whole. A strategic merge patch cannot name one of two
elements with the same merge key, and kubectl loses one of them; so the list is sent whole, under
a ``$patch: replace`` directive. Must not write patches.

Elements are told apart by the list-map keys of server-side apply where the schema has them (port
*and* protocol, an absent protocol being TCP as the server defaults it), and, where even those are
the same (two ``env`` entries of one name), by which comes first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

from agent.manifest.keys import JSONObject
from agent.plan.merge.schema import Field
from agent.plan.merge.values import equal, plain

_DEFAULTS: Final = {"protocol": "TCP"}

_Identity = tuple[Any, ...]
_Label = tuple[_Identity, int]


def resolve(
    *,
    last: list[JSONObject],
    desired: list[JSONObject],
    live: list[JSONObject],
    field: Field,
    merge: Callable[[JSONObject, JSONObject, JSONObject], JSONObject],
) -> list[JSONObject] | None:
    """Return the list as it has to be, or None when live is that already.

    Every desired element, merged with the live one it matches, so that what the server or others
    added to it (a nodePort) stays; then the live elements that neither desired nor last-applied
    knows. Elements only last-applied knows are gone. ``merge(last, desired, live)`` merges one.
    """
    known = dict(_labelled(live, field))
    before = dict(_labelled(last, field))
    entries = []
    for label, item in _labelled(desired, field):
        if label in known:
            entries.append(plain(merge(before.get(label, {}), item, known[label])))
        else:
            entries.append(plain(item))
    ours = {_identity(item, field) for item in (*desired, *last)}
    present = [item for item in live if _identity(item, field) in ours]
    grouped = _grouped(entries, field)
    if equal(present, entries) or equal(present, grouped):
        return None
    foreign = [plain(item) for item in live if _identity(item, field) not in ours]
    return _grouped([*entries, *foreign], field)


def _identity(item: JSONObject, field: Field) -> _Identity:
    values = (item.get(key) for key in field.map_keys)
    return tuple(
        _DEFAULTS.get(key, "") if value is None else _hashable(value)
        for key, value in zip(field.map_keys, values, strict=True)
    )


def _hashable(value: Any) -> Any:
    return repr(value) if isinstance(value, dict | list) else value


def _labelled(items: list[JSONObject], field: Field) -> Iterator[tuple[_Label, JSONObject]]:
    seen: Counter[_Identity] = Counter()
    for item in items:
        identity = _identity(item, field)
        yield (identity, seen[identity]), item
        seen[identity] += 1


def _grouped(items: list[JSONObject], field: Field) -> list[JSONObject]:
    """Return the elements as the server orders a replaced list: those of one merge key together."""
    first: dict[Any, int] = {}
    for item in items:
        first.setdefault(item[field.merge_key], len(first))
    return sorted(items, key=lambda item: first[item[field.merge_key]])
