"""Durations: Go's grammar, in and out."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30.0),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("1.5h", 5400.0),
        ("300ms", 0.3),
        (".5s", 0.5),
        ("1.s", 1.0),
        ("0", 0.0),
        ("0s", 0.0),
        ("1h0m0.25s", 3600.25),
        ("1us", 1e-06),
        ("1µs", 1e-06),
        ("1μs", 1e-06),
        ("1ns", 1e-09),
        ("30m1h", 5400.0),
    ],
)
def test_reads_what_go_reads(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("30", '"30s" or "30m"'),
        ("1.5", '"1.5s"'),
        ("1d", 'write "24h"'),
        ("2w", 'write "336h"'),
        ("-5m", "negative"),
        ("", "not a duration"),
        ("s", "not a duration"),
        (".s", "not a duration"),
        ("5 m", "not a duration"),
        ("5m ", "not a duration"),
        ("5M", "not a duration"),
        ("5m30", "not a duration"),
        ("\u0665m", "not a duration"),
        ("9999999h", "292 years"),
    ],
)
def test_refuses_with_a_hint(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(hint)):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (300, "5m"),
        (5400, "1h30m"),
        (0.3, "300ms"),
        (0.0015, "1500us"),
        (1e-09, "1ns"),
        (1.5, "1.5s"),
        (3601, "1h1s"),
    ],
)
def test_writes_the_usual_spelling(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.integers(min_value=0, max_value=10**14))
def test_what_is_written_reads_back(microseconds: int) -> None:
    seconds = microseconds / 10**6
    assert parse_duration(format_duration(seconds)) == seconds
