"""The only writer of stdout, and of plain messages to stderr.

Data goes to stdout, messages for the person go to stderr. Must not decide anything: it prints
what it is given, but for control characters, with which a commit's message could steer a terminal.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from agent.errors import AgentError

COLOURS = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "bold": "1", "dim": "2"}
"""What ``paint`` knows, by its code (ECMA-48, SGR)."""

_PAINT = re.compile(r"\x1b\[[0-9;]*m")
_STEERING = re.compile(rf"({_PAINT.pattern})|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class OutputError(AgentError):
    """What was to be printed could not be written, for example because the disk is full."""


def write(text: str) -> None:
    """Print one or more lines of data. Raises what ``flush`` does."""
    with _told():
        sys.stdout.write(_harmless(text) + "\n")


def write_json(value: object) -> None:
    """Print a value as indented JSON, keys in the order given."""
    write(json.dumps(value, indent=2, ensure_ascii=False))


def write_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows in columns, as kubectl does: upper-case header, three spaces between."""
    table = [[title.upper() for title in header], *([*row] for row in rows)]
    widths = [max(_width(row[column]) for row in table) for column in range(len(header))]
    for row in table:
        cells = (f"{c}{' ' * (width - _width(c))}" for c, width in zip(row, widths, strict=True))
        write("   ".join(cells).rstrip())


def paint(text: str, colour: str) -> str:
    """Return the text in a colour of COLOURS where stdout is a terminal that wants it, else as is.

    ``NO_COLOR`` (no-color.org) and ``TERM=dumb`` switch it off.
    """
    environment = os.environ
    dull = environment.get("NO_COLOR") or environment.get("TERM") == "dumb"
    if not text or dull or not sys.stdout.isatty():
        return text
    return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m"


def _width(cell: str) -> int:
    return len(_PAINT.sub("", cell))


def complain(text: str) -> None:
    """Print a message for the person."""
    sys.stderr.write(_harmless(text) + "\n")


def _harmless(text: str) -> str:
    """Spell control characters out, as JSON does too; line breaks, tabs and colours stay."""
    return _STEERING.sub(lambda found: found[1] or f"\\u{ord(found[0]):04x}", text)


@contextmanager
def progress(what: str) -> Iterator[None]:
    """Say on a terminal what is being waited for, and wipe it away at the end."""
    if not sys.stderr.isatty():
        yield
        return
    sys.stderr.write(f"{what} …")
    sys.stderr.flush()
    try:
        yield
    finally:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def flush() -> None:
    """Hand everything to the system now, while a failure can still be told.

    Raises BrokenPipeError when the reader has gone, OutputError for any other reason.
    """
    with _told():
        sys.stdout.flush()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write the output: {error.strerror}") from error
