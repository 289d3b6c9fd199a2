"""Durations as Go writes them, which is how kubectl, Flux and Faros take them.

Pure text in, seconds out and back. The grammar is that of Go's ``time.ParseDuration``: decimal
numbers, each with a unit, such as ``300ms``, ``1.5h`` or ``1h30m``; negative ones are refused.
"""

from __future__ import annotations

import re
from decimal import Decimal

_NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,  # U+00B5, micro sign
    "μs": 10**3,  # U+03BC, Greek mu
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_TERM = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_BARE_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)
_DAYS = re.compile(r"([0-9]{1,9})(d|w)", re.ASCII)
_LONGEST = 2**63 - 1  # nanoseconds, Go's limit: 292 years
_FEWEST_DIGITS_OF_NANOSECONDS = 9


def parse_duration(text: str) -> float:
    """Return the seconds that ``text`` stands for.

    Raises ValueError with what is wrong and what to write instead, without repeating ``text``.
    """
    if text == "0":
        return 0.0
    if _BARE_NUMBER.fullmatch(text):
        raise ValueError(f'a duration needs a unit, write "{text}s" or "{text}m"')
    if days := _DAYS.fullmatch(text):
        hours = int(days[1]) * (24 if days[2] == "d" else 168)
        raise ValueError(f'the longest unit is the hour, write "{hours}h"')
    if text.startswith("-"):
        raise ValueError("a duration cannot be negative")
    return float(_nanoseconds(text) / 10**9)


def _nanoseconds(text: str) -> Decimal:
    total, position = Decimal(0), 0
    while term := _TERM.match(text, position):
        total += Decimal(term[1]) * _NANOSECONDS[term[2]]
        position = term.end()
    if position == 0 or position < len(text):
        raise ValueError('not a duration, write one such as "30s", "5m" or "1h30m"')
    if total > _LONGEST:
        raise ValueError("longer than 292 years")
    return total


def format_duration(seconds: float) -> str:
    """Return the shortest usual spelling of ``seconds``: ``5m``, ``1h30m``, ``300ms``, ``0s``.

    ``parse_duration`` reads it back to the nanosecond.
    """
    nanoseconds = round(Decimal(seconds) * 10**9)
    if 0 < nanoseconds < _NANOSECONDS["s"]:
        return _below_a_second(nanoseconds)
    minutes, rest = divmod(nanoseconds, _NANOSECONDS["m"])
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}h" if hours else ""
    text += f"{minutes}m" if minutes else ""
    return text + _seconds(rest) if rest or not text else text


def _below_a_second(nanoseconds: int) -> str:
    unit = next(u for u in ("ms", "us", "ns") if nanoseconds % _NANOSECONDS[u] == 0)
    return f"{nanoseconds // _NANOSECONDS[unit]}{unit}"


def _seconds(nanoseconds: int) -> str:
    whole, fraction = divmod(nanoseconds, _NANOSECONDS["s"])
    decimals = f".{fraction:0{_FEWEST_DIGITS_OF_NANOSECONDS}d}".rstrip("0").rstrip(".")
    return f"{whole}{decimals}s"
