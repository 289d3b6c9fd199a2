"""JSON with Go's meaning: strict syntax, integers exact up to int64, floats beyond.

Duty: text of one JSON document -> value, as kubectl's unstructured decoder reads it.
Must not: accept what JSON does not have (NaN, comments, trailing commas, a second value).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from agent.manifest.errors import DecodeError, ScalarError
from agent.manifest.goyaml import Parsed
from agent.manifest.limits import MAX_DEPTH, MAX_WARNINGS
from agent.manifest.scalars import Scalar, to_json

_INT64_DIGITS = 19
# Ends at the end of the text too, so that an unterminated string is walked once.
_STRING_OR_BRACKET = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[][{}]', re.DOTALL)
_ESCAPE = re.compile(
    r"(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    r"|\\.",
    re.DOTALL,
)


def parse(text: str) -> Parsed:
    """Read one JSON document; lines count from 1 within ``text``. DecodeError says what is wrong.

    Duplicate keys are last-wins with a warning, as in Go.
    """
    line = text[: len(text) - len(text.lstrip())].count("\n") + 1
    _check_depth(text)
    duplicates: dict[str, None] = {}
    try:
        value = _decoder(duplicates).decode(_without_lone_surrogates(text))
    except json.JSONDecodeError as error:
        raise DecodeError(_syntax_error(error), line=error.lineno) from error
    except ScalarError as error:
        raise DecodeError(f"not JSON: {error}", line=line) from error
    warnings = [(line, f"duplicate key '{key}': the last one wins") for key in duplicates]
    return Parsed(value, line, tuple(warnings[:MAX_WARNINGS]))


def _decoder(duplicates: dict[str, None]) -> json.JSONDecoder:
    def entries(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            counts = Counter(key for key, _ in pairs)
            duplicates.update((key, None) for key, count in counts.items() if count > 1)
        return found

    return json.JSONDecoder(
        object_pairs_hook=entries,
        parse_int=_number,
        parse_float=_number,
        parse_constant=_refuse_constant,
    )


def _number(text: str) -> Scalar:
    if len(text) < _INT64_DIGITS and text.lstrip("-").isdigit():
        return int(text)
    number = float(text)
    if abs(number) == float("inf"):
        raise ScalarError("a number is too large for a float64")
    if text.lstrip("-").isdigit() and len(text) <= _INT64_DIGITS + 1:
        return to_json(int(text))
    return to_json(number)


def _refuse_constant(text: str) -> Scalar:
    raise ScalarError(f"JSON has no {text}")


def _syntax_error(error: json.JSONDecodeError) -> str:
    if error.msg == "Extra data":
        return "not JSON: a second value follows the first: put a line with '---' between them"
    return f"not JSON: {error.msg} at column {error.colno}"


def _check_depth(text: str) -> None:
    if text.count("{") + text.count("[") <= MAX_DEPTH:
        return
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        token = match[0]
        if token in ("{", "["):
            depth += 1
            if depth > MAX_DEPTH:
                line = text.count("\n", 0, match.start()) + 1
                raise DecodeError(f"nested deeper than {MAX_DEPTH} levels", line=line)
        elif token in ("}", "]"):
            depth -= 1


def _without_lone_surrogates(text: str) -> str:
    r"""Replace half pairs such as ``\ud83d`` as Go does: they are no characters."""
    if "\\ud" not in text and "\\uD" not in text:
        return text
    return _ESCAPE.sub(lambda match: "\\ufffd" if match[2] else match[0], text)
