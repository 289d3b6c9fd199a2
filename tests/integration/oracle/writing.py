"""An object as a file of git: JSON or YAML, keys in any order, numbers in any of their forms.

The two sides read the same bytes, so whatever the text means is judged, too.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any

from agent.manifest.keys import JSONObject

_OTHER_FORM = 0.1  # the odds that an integer is written in another way
_SMALL = 2**31


def write(obj: JSONObject, *, rng: Random) -> tuple[str, str]:
    """Return the extension and the text of a file that holds the object."""
    yaml = rng.random() < 0.5
    text = _text(obj, rng, yaml=yaml)
    return (".yaml", f"# a comment\n---\n{text}\n") if yaml else (".json", text)


def _text(value: Any, rng: Random, *, yaml: bool) -> str:
    if isinstance(value, dict):
        names = list(value)
        rng.shuffle(names)
        fields = (f"{json.dumps(name)}: {_text(value[name], rng, yaml=yaml)}" for name in names)
        return "{" + ", ".join(fields) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_text(item, rng, yaml=yaml) for item in value) + "]"
    if isinstance(value, int) and not isinstance(value, bool) and rng.random() < _OTHER_FORM:
        return _number(value, rng, yaml=yaml)
    return json.dumps(value, ensure_ascii=False)


def _number(value: int, rng: Random, *, yaml: bool) -> str:
    if not 0 <= value < _SMALL:
        return str(value)
    forms = [f"{value}.0", f"{value}e0"]
    return rng.choice([*forms, hex(value), f"0{value:o}"] if yaml else forms)
