"""Where in a TOML text each key is written, which the standard parser does not tell.

A small automaton over TOML's tokens: it follows tables, arrays of tables, dotted and quoted keys,
inline tables and arrays, and steps over strings and comments. It does not check the text: that is
the parser's work, done before. It never raises; for a text that is not TOML its answer means
nothing.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

KeyPath = tuple[str | int, ...]
"""Keys, and indices from 0 in arrays: ``("track", 0, "interval")``."""

_TOKEN = re.compile(
    r"""
      (?P<skip>    [ \t]+ | \#[^\n]* )
    | (?P<text>    \"{3} (?: \\. | [^\\] )*? \"{3,5}   # up to two quotes may precede the end
               |   '{3} .*? '{3,5} )
    | (?P<quoted>  " (?: \\. | [^"\\\n] )* " | ' [^'\n]* ' )
    | (?P<bare>    [A-Za-z0-9_+:-]+ )
    | (?P<sign>    . )
    """,
    re.VERBOSE | re.DOTALL,
)


class _Expect(Enum):
    KEY = auto()
    VALUE = auto()
    END = auto()
    """The value has begun; what follows it up to the separator is of no interest."""


@dataclass(slots=True)
class _Frame:
    """A table or array that is open at this point of the text."""

    path: KeyPath
    kind: str
    """``table``, ``header``, ``{`` or ``[``."""
    expect: _Expect
    index: int = 0


def key_lines(text: str) -> dict[KeyPath, int]:
    """Return the line (from 1) of every key, table and array element in a TOML text."""
    scan = _Scan()
    for kind, piece, line in _tokens(text.replace("\r\n", "\n")):
        scan.take(kind, piece, line)
    return scan.lines


def line_of(path: KeyPath, lines: dict[KeyPath, int]) -> int:
    """Return the line of a key, or of the innermost table around it; 1 for the whole file."""
    for length in range(len(path), 0, -1):
        if line := lines.get(path[:length]):
            return line
    return 1


def show_path(path: KeyPath) -> str:
    """Return ``track[0].interval``, as Kubernetes writes field paths."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    newlines = [match.start() for match in re.finditer("\n", text)]
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "sign"
        if kind != "skip":
            yield kind, match[0], bisect_right(newlines, match.start() - 1) + 1


class _Scan:
    """The automaton: a stack of open frames, the key being read, and what was found so far."""

    def __init__(self) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._elements: dict[KeyPath, int] = {}  # length so far of each array of tables
        self._stack = [_Frame((), "table", _Expect.KEY)]
        self._key: list[str] = []
        self._brackets = 0  # of the header being read: 1 for a table, 2 for an array of tables

    def take(self, kind: str, piece: str, line: int) -> None:
        frame = self._stack[-1]
        if piece == "\n" and frame.kind != "table":
            return
        if frame.kind == "header":
            self._header(kind, piece, line)
        elif frame.expect is _Expect.KEY and piece not in ("\n", ",", "}"):
            self._in_key(frame, kind, piece, line)
        elif frame.expect is _Expect.VALUE and piece not in ("\n", "]", "}"):
            self._value(frame, piece, line)
        else:
            self._after(frame, piece)

    def _in_key(self, frame: _Frame, kind: str, piece: str, line: int) -> None:
        if kind in ("bare", "quoted"):
            self._key.append(_decode(kind, piece))
        elif piece == "=":
            self._found(frame.path, self._key, line)
            frame.expect = _Expect.VALUE
        elif piece == "[" and frame.kind == "table" and not self._key:
            self._brackets = 1
            self._stack.append(_Frame((), "header", _Expect.KEY))

    def _value(self, frame: _Frame, piece: str, line: int) -> None:
        if frame.kind == "[":
            path: KeyPath = (*frame.path, frame.index)
            self.lines.setdefault(path, line)
        else:
            path = (*frame.path, *self._key)
            self._key = []
        frame.expect = _Expect.END
        if piece in ("[", "{"):
            inside = _Expect.VALUE if piece == "[" else _Expect.KEY
            self._stack.append(_Frame(path, piece, inside))

    def _after(self, frame: _Frame, piece: str) -> None:
        if frame.kind == "table" and piece == "\n":
            frame.expect = _Expect.KEY
            self._key = []
        elif frame.kind == "{" and piece == ",":
            frame.expect = _Expect.KEY
        elif frame.kind == "[" and piece == ",":
            frame.expect = _Expect.VALUE
            frame.index += 1
        elif (frame.kind, piece) in (("{", "}"), ("[", "]")):
            self._stack.pop()

    def _header(self, kind: str, piece: str, line: int) -> None:
        if kind in ("bare", "quoted"):
            self._key.append(_decode(kind, piece))
        elif piece == "[":
            self._brackets = 2
        elif piece == "]":
            self._stack.pop()
            self._stack[-1] = self._open_table(line)
            self._key = []

    def _open_table(self, line: int) -> _Frame:
        path = self._found((), self._key[:-1], line)
        path = (*path, *self._key[-1:])
        if self._brackets == 2:
            self.lines.setdefault(path, line)
            index = self._elements.get(path, 0)
            self._elements[path] = index + 1
            path = (*path, index)
        self.lines[path] = line
        return _Frame(path, "table", _Expect.END)

    def _found(self, path: KeyPath, keys: list[str], line: int) -> KeyPath:
        """Note the line of each part of a dotted key; in arrays of tables the last one is meant."""
        for key in keys:
            path = (*path, key)
            self.lines.setdefault(path, line)
            if path in self._elements:
                path = (*path, self._elements[path] - 1)
        return path


def _decode(kind: str, piece: str) -> str:
    if kind == "bare":
        return piece
    try:
        decoded: str = tomllib.loads(f"key = {piece}")["key"]
    except tomllib.TOMLDecodeError:
        return piece
    return decoded
