"""Logging: the standard library's, told once how lines look here.

A line is a short constant phrase with fields: ``logger.info("object configured",
extra=log.fields(object=key, took_ms=3))``. Fields that hold for a whole stretch of work are bound
around it (``with log.bind(track="platform"):``) and follow tasks and threads started inside.

On a terminal lines are text, elsewhere JSON, one object a line. Must not know anything of the
rest of the package, and must not let out a password in a URL, whatever it is handed.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal, TextIO

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["auto", "text", "json"]

LEVELS: tuple[Level, ...] = ("debug", "info", "warning", "error")
FORMATS: tuple[Format, ...] = ("auto", "text", "json")

_bound: ContextVar[Mapping[str, object]] = ContextVar("log fields")

_RESERVED = frozenset({"ts", "level", "msg", "logger", "traceback"})
_COLOURS = {"DEBUG": "2", "INFO": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "31;1"}
_PLAIN_VALUE = re.compile(r'[^\s"=\x00-\x1f\x7f-\x9f]+')
_to_json = json.JSONEncoder(ensure_ascii=False).encode
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# What stands before "@" in a URL: over http all of it, elsewhere when there is a password.
_USERINFO = re.compile(r"(?i)(?<=://)(?:(?<=https://)|(?<=http://)|[^/\s:@]*:)[^/\s\"']*@")


def configure(
    *, level: Level, format: Format = "auto", stream: TextIO | None = None, colour: bool = True
) -> None:
    """Send every log line to ``stream`` (default stderr), in place of what was configured before.

    ``level`` holds for this program's loggers; libraries speak from warning on, because at debug
    some of them print requests with credentials. ``auto`` is text on a terminal, else JSON.
    ``colour`` allows colours, which only a terminal gets.
    """
    # What no line says need not be found out for each (Python's Logging HOWTO, "Optimization").
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    stream = stream or sys.stderr
    terminal = stream.isatty()
    handler = _Handler(stream)
    tracebacks = level == "debug"
    if format == "json" or (format == "auto" and not terminal):
        handler.setFormatter(JSONFormatter(tracebacks=tracebacks))
    else:
        colour = colour and terminal
        text = TextFormatter(tracebacks=tracebacks, colour=colour, short_time=terminal)
        handler.setFormatter(text)
    root = logging.getLogger()
    for previous in [h for h in root.handlers if isinstance(h, _Handler)]:
        root.removeHandler(previous)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("agent").setLevel(level.upper())


@contextmanager
def bind(**fields: object) -> Iterator[None]:
    """Add fields to every line logged inside, also by tasks and threads started there."""
    token = _bound.set({**_bound.get({}), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


def fields(**fields: object) -> dict[str, dict[str, object]]:
    """Return the ``extra`` of a logging call that gives one line these fields."""
    return {"fields": fields}


class _Handler(logging.StreamHandler[TextIO]):
    """Ours, to tell it from handlers that others have set up."""


class _FieldsFormatter(logging.Formatter):
    """What both forms have in common: which fields a record has, and what of an exception."""

    def __init__(self, *, tracebacks: bool) -> None:
        super().__init__()
        self._tracebacks = tracebacks

    def _fields(self, record: logging.LogRecord) -> dict[str, object]:
        """Return the bound fields and those of the call, which win, as plain values."""
        given = {**_bound.get({}), **getattr(record, "fields", {})}
        found = {
            f"field_{name}" if name in _RESERVED else name: _plain(value)
            for name, value in given.items()
        }
        if error := record.exc_info and record.exc_info[1]:
            found["error"] = scrub(f"{type(error).__name__}: {error}")
        return found

    def _traceback(self, record: logging.LogRecord) -> str:
        if not self._tracebacks or not record.exc_info or record.exc_info[1] is None:
            return ""
        return scrub("".join(traceback.format_exception(record.exc_info[1])).rstrip())


class JSONFormatter(_FieldsFormatter):
    """One JSON object a line: ts (RFC 3339, UTC, milliseconds), level, msg, logger, fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without its end."""
        line: dict[str, object] = {
            "ts": _rfc3339(record.created),
            "level": record.levelname.lower(),
            "msg": scrub(record.getMessage()),
            "logger": record.name,
            **self._fields(record),
        }
        if text := self._traceback(record):
            line["traceback"] = text
        return _to_json(line)


class TextFormatter(_FieldsFormatter):
    """For people: time, level, message, then fields as ``key=value``.

    The time is the local time of day on a terminal, RFC 3339 in UTC elsewhere.
    """

    def __init__(self, *, tracebacks: bool, colour: bool, short_time: bool) -> None:
        super().__init__(tracebacks=tracebacks)
        self._colour = colour
        self._short_time = short_time

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without its end; what follows a line break in it is indented."""
        level = self._paint(f"{record.levelname:<7}", _COLOURS.get(record.levelname, ""))
        message = _contained(scrub(record.getMessage()))
        if values := self._fields(record):
            pairs = [f"{self._paint(f'{name}=', '2')}{_quoted(values[name])}" for name in values]
            message = f"{message:<32}  {'  '.join(pairs)}"
        line = f"{self._time(record)} {level} {message}"
        if text := self._traceback(record):
            line += "\n    " + _contained(text)
        return line

    def _time(self, record: logging.LogRecord) -> str:
        if self._short_time:
            return time.strftime("%H:%M:%S", time.localtime(record.created))
        return _rfc3339(record.created)

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour and code else text


def scrub(text: str) -> str:
    """Blank out user and password of URLs in a text: the last line of defence, not the first."""
    return _USERINFO.sub("***@", text) if "@" in text else text


def _rfc3339(seconds: float) -> str:
    whole, milliseconds = divmod(int(seconds * 1000), 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{milliseconds:03d}Z"


def _plain(value: object) -> Any:
    """Return what JSON can hold: numbers, booleans and null as they are, lists of such, else text.

    Numbers that JSON does not know (NaN, infinity) become text.
    """
    if isinstance(value, bool | int) or value is None:
        return value
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    if isinstance(value, list | tuple | set | frozenset) and not hasattr(value, "_fields"):
        return [_plain(item) for item in value]
    return scrub(str(value))


def _quoted(value: object) -> str:
    if isinstance(value, list):
        return ",".join(_quoted(item) for item in value)
    text = value if isinstance(value, str) else json.dumps(value)
    if _PLAIN_VALUE.fullmatch(text):
        return text
    return _contained(json.dumps(text, ensure_ascii=False))


def _contained(text: str) -> str:
    """Keep a text from looking like another line and from steering the terminal."""
    shown = _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)
    return shown.replace("\n", "\n    ")
