"""YAML with Go's meaning, built from libyaml's events.

Duty: text of a YAML stream -> values of JSON's types, as kubectl sees them: merge keys, anchors
and tags as go-yaml v2 has them, keys stringified, duplicate keys last-wins with a warning.
Must not: split files, know of Kubernetes, or fall back to PyYAML's pure parser, which is twenty
times slower and differs in what it accepts.

Where libyaml is more lenient than Go (the escape ``"\\/"``, ``%YAML`` directives, text on the
``---`` line) the document is read, not refused or dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from yaml.error import MarkedYAMLError
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from yaml.reader import ReaderError

from agent.manifest.errors import DecodeError, ScalarError
from agent.manifest.limits import MAX_ALIASED_CHARS, MAX_DEPTH, MAX_WARNINGS
from agent.manifest.scalars import (
    Scalar,
    plain_key,
    plain_value,
    resolve,
    resolve_tagged,
    to_json,
    to_key,
)

try:
    from yaml._yaml import CParser
except ImportError as error:
    raise ImportError(
        "PyYAML here has no libyaml: install PyYAML's binary wheel, or libyaml's headers before"
        " building it"
    ) from error

_FEW_ALIASES, _FEW_NODES = 100, 1000
_RATIO_START, _RATIO_END = 400_000, 4_000_000
_RATIO_HIGH, _RATIO_LOW = 0.99, 0.10


@dataclass(frozen=True, slots=True)
class Parsed:
    """One document: its value, the line (from 1) it begins at, and what to tell its author.

    Each warning has the line it is about. Aliases share one value: a caller that changes a part
    copies it first.
    """

    value: Any
    line: int
    warnings: tuple[tuple[int, str], ...] = ()


def parse(text: str) -> Iterator[Parsed]:
    """Yield the documents of a YAML stream, in order; lines count from 1 within ``text``.

    DecodeError for the first thing that is not YAML, that JSON cannot say, or that passes a
    bound of ``limits``; the documents before it have been yielded by then.
    """
    # Go ends a block scalar at the end of the file with a newline, libyaml does not.
    if not text.endswith("\n"):
        text += "\n"
    try:
        next_event = CParser(text).get_event
        while type(event := next_event()) is not StreamEndEvent:
            if type(event) is DocumentStartEvent:
                root = next_event()
                builder = _Builder(next_event)
                value = builder.node(root, 0)
                yield Parsed(value, _line(root), tuple(builder.warnings))
    except MarkedYAMLError as error:
        raise _syntax_error(error) from error
    except ReaderError as error:
        raise _bad_character(error, text) from error


def _line(event: Event | None) -> int:
    return event.start_mark.line + 1 if event is not None and event.start_mark is not None else 1


def _syntax_error(error: MarkedYAMLError) -> DecodeError:
    mark = error.problem_mark or error.context_mark
    reason = error.problem or "cannot be read"
    if "<document start>" in reason:
        reason = "text after the end of a document: a new one begins with a line of '---'"
    if error.context:
        reason = f"{reason} {error.context}"
    if error.context_mark is not None and mark is not None and error.context_mark.line != mark.line:
        # Relative: the caller knows where in the file this document begins, the parser does not.
        above = mark.line - error.context_mark.line
        reason = f"{reason} that begins {above} line{'s' if above > 1 else ''} above"
    return DecodeError(f"not YAML: {reason}", line=mark.line + 1 if mark is not None else 1)


def _bad_character(error: ReaderError, text: str) -> DecodeError:
    before = text.encode()[: error.position]
    what = f"U+{error.character:04X}" if isinstance(error.character, int) else "a character"
    reason = f"not YAML: {what}: {error.reason}"
    return DecodeError(reason, line=before.count(b"\n") + 1)


@dataclass(slots=True)
class _Anchored:
    """The value of an anchor, and what an alias to it costs; ``height`` is its levels below."""

    value: Any
    nodes: int
    chars: int
    height: int


class _Builder:
    """Builds the value of one document; recursion is bounded by MAX_DEPTH."""

    __slots__ = (
        "_aliased",
        "_aliased_chars",
        "_anchors",
        "_chars",
        "_deepest",
        "_next",
        "_nodes",
        "warnings",
    )

    def __init__(self, next_event: Callable[[], Event | None]) -> None:
        self.warnings: list[tuple[int, str]] = []
        self._next = next_event
        self._anchors: dict[str, _Anchored | None] = {}  # None: its value is still being read
        self._nodes = 0
        self._chars = 0
        self._aliased = 0
        self._aliased_chars = 0
        self._deepest = 0  # level reached since the anchor being read, or the document, began

    def node(self, event: Event | None, depth: int) -> Any:
        """Return the value that begins with ``event``."""
        if not isinstance(event, NodeEvent):
            raise DecodeError("not YAML: a value was expected", line=_line(event))
        if event.anchor is None:
            return self._content(event, depth)
        if type(event) is AliasEvent:
            return self._alias(event, depth)
        return self._anchored(event, depth)

    def _content(self, event: NodeEvent, depth: int) -> Any:
        self._nodes += 1
        if type(event) is ScalarEvent:
            self._chars += len(event.value)
            return self._value(event)
        self._reach(depth + 1, event)
        if type(event) is MappingStartEvent:
            return self._mapping(depth + 1)
        return self._sequence(depth + 1)

    def _reach(self, depth: int, event: Event) -> None:
        if depth > MAX_DEPTH:
            raise DecodeError(f"nested deeper than {MAX_DEPTH} levels", line=_line(event))
        self._deepest = max(self._deepest, depth)

    def _value(self, event: ScalarEvent) -> Scalar:
        try:
            if event.tag is not None:
                return to_json(resolve_tagged(event.tag, event.value))
            return plain_value(event.value) if event.implicit[0] else event.value
        except ScalarError as error:
            raise DecodeError(str(error), line=_line(event)) from error

    def _sequence(self, depth: int) -> list[Any]:
        items: list[Any] = []
        while type(event := self._next()) is not SequenceEndEvent:
            items.append(self.node(event, depth))
        return items

    def _mapping(self, depth: int) -> dict[str, Any]:
        entries: dict[str, Any] = {}
        merged: set[str] = set()
        while type(event := self._next()) is not MappingEndEvent:
            if _is_merge(event):
                merged |= self._merge(entries, depth)
                continue
            key = self._key(event)
            if key in entries and key not in merged:
                self._warn_duplicate(key, event)
            entries[key] = self.node(self._next(), depth)
        return entries

    def _key(self, event: Event | None) -> str:
        try:
            if type(event) is ScalarEvent:
                self._nodes += 1
                self._chars += len(event.value)
                if event.tag is None and event.anchor is None:
                    return plain_key(event.value) if event.implicit[0] else event.value
                return self._rare_key(event)
            if type(event) is AliasEvent:
                value = self._alias(event, 0)
                if not isinstance(value, dict | list):
                    return to_key(value)
        except ScalarError as error:
            raise DecodeError(str(error), line=_line(event)) from error
        raise DecodeError("a mapping or a list cannot be a key", line=_line(event))

    def _rare_key(self, event: ScalarEvent) -> str:
        if event.tag is not None:
            value = resolve_tagged(event.tag, event.value)
        else:
            value = resolve(event.value) if event.implicit[0] else event.value
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchored(value, 1, len(event.value), 0)
        return to_key(value)

    def _merge(self, entries: dict[str, Any], depth: int) -> set[str]:
        """Apply ``<<``; as in go-yaml v2 it overrides the keys written above it."""
        event = self._next()
        value = self.node(event, depth)
        sources = value if type(event) is SequenceStartEvent else [value]
        if not all(isinstance(source, dict) for source in sources):
            reason = "the merge key '<<' takes a mapping or a list of mappings"
            raise DecodeError(reason, line=_line(event))
        for source in reversed(sources):
            entries.update(source)
        return {key for source in sources for key in source}

    def _anchored(self, event: NodeEvent, depth: int) -> Any:
        name = str(event.anchor)
        self._anchors[name] = None
        nodes, chars, deepest = self._nodes, self._chars, self._deepest
        self._deepest = depth
        value = self._content(event, depth)
        height = self._deepest - depth
        self._anchors[name] = _Anchored(value, self._nodes - nodes, self._chars - chars, height)
        self._deepest = max(self._deepest, deepest)
        return value

    def _alias(self, event: AliasEvent, depth: int) -> Any:
        name = str(event.anchor)
        if name not in self._anchors:
            raise DecodeError(f"unknown anchor '{name}'", line=_line(event))
        target = self._anchors[name]
        if target is None:
            raise DecodeError(f"the value of anchor '{name}' contains itself", line=_line(event))
        self._reach(depth + target.height, event)
        self._nodes += target.nodes + 1
        self._chars += target.chars
        self._aliased += target.nodes
        self._aliased_chars += target.chars
        if self._excessive():
            raise DecodeError("the document has excessive aliasing", line=_line(event))
        return target.value

    def _excessive(self) -> bool:
        """Apply go-yaml's rule against bombs, and ours for characters.

        The share of nodes that come from aliases may be 99 % in a small document, falling to
        10 % in one of four million nodes.
        """
        if self._aliased_chars > MAX_ALIASED_CHARS:
            return True
        if self._aliased <= _FEW_ALIASES or self._nodes <= _FEW_NODES:
            return False
        size = (self._nodes - _RATIO_START) / (_RATIO_END - _RATIO_START)
        allowed = _RATIO_HIGH - (_RATIO_HIGH - _RATIO_LOW) * min(max(size, 0.0), 1.0)
        return self._aliased / self._nodes > allowed

    def _warn_duplicate(self, key: str, event: Event | None) -> None:
        if len(self.warnings) < MAX_WARNINGS:
            self.warnings.append((_line(event), f"duplicate key '{key}': the last one wins"))


def _is_merge(event: Event | None) -> bool:
    return (
        type(event) is ScalarEvent
        and event.value == "<<"
        and event.implicit[0]
        and event.tag is None
    )
