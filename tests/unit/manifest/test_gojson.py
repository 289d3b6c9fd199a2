from __future__ import annotations

import json
from typing import Any

import pytest

from agent.manifest import gojson
from agent.manifest.errors import DecodeError
from agent.manifest.limits import MAX_DEPTH


def value_of(number: str) -> Any:
    return gojson.parse(f'{{"v": {number}}}').value["v"]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1.0", 1),
        ("1e3", 1000),
        ("-0", 0),
        ("-0.0", 0),
        ("1.5", 1.5),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("9223372036854775808", float(2**63)),
        ("18446744073709551615", float(2**64)),
        ("123456789012345678901234567890", 123456789012345678901234567890.0),
        ("1e23", 1e23),
    ],
)
def test_numbers_are_exact_up_to_int64_and_floats_beyond(written: str, value: object) -> None:
    read = value_of(written)
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    "text",
    [
        '{"a": NaN}',
        '{"a": Infinity}',
        '{"a": 1e400}',
        pytest.param('{"a": ' + "9" * 5000 + "}", id="5000 digits"),
        '{"a": 1,}',
        '{"a": 01}',
        "{'a': 1}",
        '{"a": "\t"}',
        '{"a": 1} // x',
        '{"a": 1}{"b": 2}',
        '{"a"',
        '{"a\\',
    ],
)
def test_what_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(DecodeError, match="not JSON"):
        gojson.parse(text)


def test_an_error_has_its_line() -> None:
    with pytest.raises(DecodeError) as caught:
        gojson.parse('\n{\n  "a": 1\n  "b": 2\n}')
    assert caught.value.line == 4


def test_duplicate_keys_are_last_wins_with_a_warning() -> None:
    parsed = gojson.parse('\n{"a": 1, "b": 0, "a": 2}')
    assert parsed.value == {"a": 2, "b": 0}
    assert parsed.warnings == ((2, "duplicate key 'a': the last one wins"),)


@pytest.mark.parametrize(
    ("escape", "text"),
    [
        (r"\ud83d\ude00", "😀"),
        (r"\ud83d", "\ufffd"),
        (r"\uDE00x", "\ufffdx"),
        (r"\ud83d\ud83d\ude00", "\ufffd😀"),
        (r"\\ud83d", r"\ud83d"),
        (r"\\\ud83d", "\\\ufffd"),
    ],
)
def test_half_surrogate_pairs_are_replaced_as_in_go(escape: str, text: str) -> None:
    assert value_of(f'"{escape}"') == text


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("depth", [MAX_DEPTH, 20_000])
def test_deep_nesting_is_one_error(opening: str, depth: int) -> None:
    closing = "]" if opening == "[" else "}"
    text = '{"a":\n' + opening * depth + (closing if opening == "[" else "1" + closing) * 1
    with pytest.raises(DecodeError, match="nested deeper") as caught:
        gojson.parse(text)
    assert caught.value.line == 2


def test_brackets_in_strings_do_not_nest() -> None:
    value = {"a": '[{"\\' * 1000}
    assert gojson.parse(json.dumps(value)).value == value


def test_many_brackets_side_by_side_do_not_nest() -> None:
    value: dict[str, list[object]] = {"a": [[] for _ in range(MAX_DEPTH * 2)]}
    assert gojson.parse(json.dumps(value)).value == value
