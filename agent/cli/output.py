"""The only writer of stdout, and of plain messages to stderr.

Data goes to stdout, messages for the person go to stderr. Must not decide anything: it prints
what it is given.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from agent.errors import AgentError


class OutputError(AgentError):
    """What was to be printed could not be written, for example because the disk is full."""


def write(text: str) -> None:
    """Print one or more lines of data. Raises what ``flush`` does."""
    with _told():
        sys.stdout.write(text + "\n")


def write_json(value: object) -> None:
    """Print a value as indented JSON, keys in the order given."""
    write(json.dumps(value, indent=2, ensure_ascii=False))


def write_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows in columns, as kubectl does: upper-case header, three spaces between."""
    table = [[title.upper() for title in header], *([*row] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        write("   ".join(cells).rstrip())


def complain(text: str) -> None:
    """Print a message for the person."""
    sys.stderr.write(text + "\n")


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
