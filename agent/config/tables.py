"""Reads one TOML table against the keys it may have, and goes on after a mistake.

Pure. ``read`` gives what could be converted together with what could not, so that one wrong key
hides no other.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.config.values import Converter, Fault, Invalid, type_of

Schema = Mapping[str, Converter]
"""The keys of a table and what each takes."""


@dataclass(slots=True)
class Reading:
    """What a table said: ``values`` by field name, and what is wrong with the rest of it."""

    values: dict[str, Any] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def read(
    raw: object,
    schema: Schema,
    *,
    required: tuple[str, ...] = (),
    unknown: Mapping[str, str] | None = None,
) -> Reading:
    """Convert a table's keys by ``schema``; keys that are not there stay out of the values.

    ``unknown`` says what to answer to certain keys that are not in the schema.
    """
    reading = Reading()
    if not isinstance(raw, dict):
        reading.faults.append(Fault(f"not a table (got {type_of(raw)})"))
        return reading
    for key, value in raw.items():
        if converter := schema.get(key):
            convert(key, value, converter, reading)
        else:
            answer = (unknown or {}).get(key) or f"unknown key, {suggest(key, schema)}"
            reading.faults.append(Fault(answer, (key,)))
    missing = [key for key in required if key not in raw]
    reading.faults += [Fault("missing, and it has no default", (key,)) for key in missing]
    return reading


def convert(key: str, value: object, converter: Converter, reading: Reading) -> None:
    """Add one key's value, or what is wrong with it, to a reading."""
    try:
        reading.values[field_name(key)] = converter(value)
    except Invalid as error:
        reading.faults += [Fault(fault.message, (key, *fault.path)) for fault in error.faults]


def suggest(key: str, known: Mapping[str, object]) -> str:
    """Return ``did you mean "interval"?``, or all that is known when nothing is near."""
    near = difflib.get_close_matches(key.lower().replace("_", "-"), known, n=1, cutoff=0.6)
    return f'did you mean "{near[0]}"?' if near else f"known here: {', '.join(known)}"


def field_name(key: str) -> str:
    """Return the model's name for a key: ``sync_period`` for ``sync-period``."""
    return key.replace("-", "_")


def key_name(name: str) -> str:
    """Return the key for a field of the model, the inverse of ``field_name``."""
    return name.replace("_", "-")
