"""A file's bytes -> its documents, each with the line it begins at.

Duty: encoding, the split at ``---`` lines, and the choice between JSON and YAML per document.
Must not: know what a Kubernetes object is.

kubectl splits before it parses, at any line of ``---`` followed by blanks or a comment; no YAML
content can stand there, so a block scalar is never split. A document whose first character is
``{`` is JSON; outside ``.json`` files it may also be YAML in flow style, as kubectl allows.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from agent.manifest import gojson, goyaml
from agent.manifest.errors import DecodeError
from agent.manifest.limits import MAX_FILE_SIZE

_SEPARATOR = re.compile(r"^---[^\S\n]*(?:#.*)?$\n?", re.MULTILINE)
_CONTENT = re.compile(r"^[^\S\n]*([^\s#])", re.MULTILINE)
_CONTENT_AFTER_DIRECTIVES = re.compile(r"^(?!%)[^\S\n]*[^\s#]", re.MULTILINE)
_TEMPLATE = re.compile(r"\{\{-?\s*[.$a-z\"]")
_TEMPLATE_HINT = "; it looks like an unrendered template: commit what it renders to"


@dataclass(frozen=True, slots=True)
class Piece:
    """The text between two separators; ``line`` (from 1) is where it begins in the file."""

    text: str
    line: int

    @property
    def first_character(self) -> str:
        """The first character that is neither blank nor comment; "" if there is none."""
        match = _CONTENT.search(self.text)
        return match[1] if match else ""


@dataclass(frozen=True, slots=True)
class Document:
    """One document that is not empty: its value, its place in the file, its text.

    ``line`` and the lines of ``warnings`` count from 1 within the file, ``index`` from 0 among
    the documents that are not empty.
    """

    value: Any
    line: int
    index: int
    piece: Piece
    warnings: tuple[tuple[int, str], ...]


def read(data: bytes, *, strict_json: bool) -> Iterator[Document]:
    """Yield the documents of a file, in order, empty ones left out.

    DecodeError, with the line in the file, for the first document that cannot be read; those
    before it have been yielded by then. ``strict_json`` is for files that say they are JSON.
    """
    index = 0
    for piece in split(decode(data)):
        for parsed in _parse(piece, strict_json=strict_json):
            if parsed.value is None:
                continue
            before = piece.line - 1
            warnings = tuple((before + line, text) for line, text in parsed.warnings)
            yield Document(parsed.value, before + parsed.line, index, piece, warnings)
            index += 1


def decode(data: bytes) -> str:
    """Return the text of a file: UTF-8, or UTF-16 with a byte order mark.

    Bytes that are no UTF-8 become U+FFFD, as in Go. DecodeError for files that are too large or
    hold NUL, so are not text.
    """
    check_size(len(data))
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = data.decode("utf-16" if utf16 else "utf-8-sig", "replace")
    if (at := text.find("\0")) >= 0:
        line = text.count("\n", 0, at) + 1
        raise DecodeError("a binary file: it holds NUL, which is not YAML or JSON", line=line)
    return text


def check_size(size: int) -> None:
    """Raise DecodeError for a file of so many bytes that it is no use to read it."""
    if size > MAX_FILE_SIZE:
        limit = MAX_FILE_SIZE // 2**20
        reason = f"{size / 2**20:.1f} MiB is too large for manifests (limit {limit} MiB)"
        raise DecodeError(reason, line=1)


def split(text: str) -> Iterator[Piece]:
    """Cut a text at its separator lines; directives (``%YAML``) stay with what they precede."""
    start, line = 0, 1
    for separator in _SEPARATOR.finditer(text):
        piece = text[start : separator.start()]
        if "%" in piece and not _CONTENT_AFTER_DIRECTIVES.search(piece) and _CONTENT.search(piece):
            continue
        yield Piece(piece, line)
        line += text.count("\n", start, separator.end())
        start = separator.end()
    yield Piece(text[start:], line)


def invalid_utf8_line(data: bytes) -> int | None:
    """Return the line of the first byte that is not UTF-8, None if there is none."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return None
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return data.count(b"\n", 0, error.start) + 1
    return None


def _parse(piece: Piece, *, strict_json: bool) -> Iterator[goyaml.Parsed]:
    """Parse one piece; lines in what it yields count from the piece's first."""
    try:
        first = piece.first_character
        if first == "{":
            yield from _parse_json_like(piece.text, strict_json=strict_json)
        elif first:
            yield from goyaml.parse(piece.text)
    except DecodeError as error:
        hint = _TEMPLATE_HINT if _TEMPLATE.search(piece.text) else ""
        raise DecodeError(error.reason + hint, line=piece.line - 1 + error.line) from error


def _parse_json_like(text: str, *, strict_json: bool) -> list[goyaml.Parsed]:
    try:
        return [gojson.parse(text)]
    except DecodeError as json_error:
        if strict_json:
            raise
        try:
            return list(goyaml.parse(text))
        except DecodeError as yaml_error:
            # What it was meant to be is the reading that got further.
            raise max(json_error, yaml_error, key=lambda error: error.line) from yaml_error
