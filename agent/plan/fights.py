"""Fights: an object that we put back and another writer changes again, over and over.

Told by the rate at which the same fields are put back; the other writer by managedFields (KEP-555).
What to say of it ends in the ``ignore-fields`` rule that would leave those fields to the other.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from agent.config.durations import format_duration
from agent.config.pointers import Pointer, parse_element, why_not_ignorable
from agent.manifest.keys import JSONObject, ObjectKey
from agent.plan.merge.values import as_map

WINDOW: Final = 120.0
"""Seconds within which a field that is put back TIMES times is fought over."""

TIMES: Final = 5

_TEXT_LIMIT = 1000  # characters; the status cuts a message there, and a cut rule is none
_NAMED_LIMIT = 100  # characters of pointers in the sentence before the rule


@dataclass(frozen=True, slots=True)
class Writer:
    """An entry of managedFields: who wrote, how (``Update`` or ``Apply``) and when (RFC 3339)."""

    manager: str
    operation: str
    time: str

    def __str__(self) -> str:
        """Return ``"kube-controller-manager" (Update, 2026-01-01T00:00:00Z)``."""
        return f'"{self.manager}" ({self.operation}, {self.time or "at an unknown time"})'


@dataclass(frozen=True, slots=True)
class PutBack:
    """One repair of an object: when (seconds on a monotonic clock), and which fields."""

    at: float
    fields: tuple[str, ...]


def contested(history: Iterable[PutBack], *, now: float) -> tuple[str, ...]:
    """Return the fields that were put back at least TIMES times within the WINDOW before now."""
    counts = Counter(
        field for repair in history if now - repair.at <= WINDOW for field in set(repair.fields)
    )
    return tuple(sorted(field for field, count in counts.items() if count >= TIMES))


def last_writer(live: JSONObject, fields: Sequence[str], *, ourselves: str) -> Writer | None:
    """Return who else wrote these fields last, according to the object's managedFields.

    When nobody else owns any of them (they were removed, and nobody owns what is not there), the
    last of all other writers. ``ourselves`` is our own manager name.
    """
    entries = [
        entry
        for entry in live["metadata"].get("managedFields") or []
        if entry.get("manager") != ourselves and entry.get("subresource") != "status"
    ]
    return _latest(_owners(entries, fields) or entries)


def writer_of(live: JSONObject, field: str) -> Writer | None:
    """Return who wrote a field last, ourselves included; None when nobody owns it."""
    return _latest(_owners(live["metadata"].get("managedFields") or [], [field]))


def _owners(entries: Iterable[JSONObject], fields: Sequence[str]) -> list[JSONObject]:
    pointers = [Pointer.parse(field) for field in fields]
    return [
        entry
        for entry in entries
        if any(_owns(as_map(entry.get("fieldsV1")), pointer.parts) for pointer in pointers)
    ]


def _latest(entries: Iterable[JSONObject]) -> Writer | None:
    last = max(entries, key=lambda entry: str(entry.get("time") or ""), default=None)
    if last is None:
        return None
    manager, operation, time = (str(last.get(k) or "") for k in ("manager", "operation", "time"))
    return Writer(manager, operation, time)


def rule(key: ObjectKey, fields: Iterable[str], *, limit: int = _TEXT_LIMIT) -> str:
    """Return the line for a track's configuration that leaves the fields to others.

    "" when none of them may be left. As many of them as ``limit`` characters hold, one at least.
    """
    what = {"kind": str(key.group_kind), "namespace": key.namespace, "name": key.name}
    pairs = "".join(f"{name} = {_toml(value)}, " for name, value in what.items() if value)
    before, after = f"ignore-fields = [ {{ {pairs}pointers = [", "] } ]"
    ignorable = [field for field in fields if not why_not_ignorable(Pointer.parse(field))]
    pointers = _cut(map(_toml, ignorable), limit - len(before) - len(after))
    return f"{before}{', '.join(pointers)}{after}" if pointers else ""


def describe(
    key: ObjectKey,
    fields: Sequence[str],
    *,
    writer: Writer | None,
    times: int,
    seconds: float,
    pause: float,
) -> str:
    """Say in one line what is fought over (one field at least), with whom, and what ends it.

    ``times`` we put it back, within ``seconds``, and not again for ``pause`` seconds.
    """
    named = _cut(fields, _NAMED_LIMIT)
    more = f" and {len(fields) - len(named)} more" if len(fields) > len(named) else ""
    text = (
        f"{writer or 'another writer'} keeps rewriting {', '.join(named)}{more}, "
        f"put back {times} times in {format_duration(max(1, round(seconds)))} "
        f"and now left alone for {format_duration(pause)}; "
    )
    remedy = "to leave it to the other writer, add to the track: "
    if line := rule(key, fields, limit=_TEXT_LIMIT - len(text) - len(remedy)):
        return f"{text}{remedy}{line}"
    return f"{text}these are this agent's own marks: stop the other writer from removing them"


def _owns(owned: JSONObject, parts: Sequence[str]) -> bool:
    """Tell whether a set of fields (FieldsV1) has a field, or holds what it is in as one value."""
    at: Any = owned
    for part in parts:
        if at is not owned and not at:
            return True
        at = _step(at, part)
        if at is None:
            return False
    return True


def _step(owned: JSONObject, part: str) -> JSONObject | None:
    """Go one part down: ``f:`` is a key, ``k:`` an element by its keys, ``i:`` by its index."""
    for name in (f"f:{part}", f"i:{part}"):
        if name in owned:
            return as_map(owned[name])
    named = parse_element(part)
    if named is None:
        return None
    for name, below in owned.items():
        if name.startswith("k:") and _has(name[2:], *named):
            return as_map(below)
    return None


def _has(keys: str, name: str, value: str) -> bool:
    try:
        found = as_map(msgspec.json.decode(keys))
    except msgspec.DecodeError:
        return False
    return name in found and str(found[name]) == value


def _cut(texts: Iterable[str], limit: int) -> list[str]:
    """Return the first texts that have ``limit`` characters, joined by a comma; one at least."""
    kept: list[str] = []
    for text in texts:
        limit -= len(text) + len(", ")
        if limit < 0 and kept:
            break
        kept.append(text)
    return kept


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
