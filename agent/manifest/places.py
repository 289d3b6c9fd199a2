"""Which line a part of a document stands on: for items of Lists, and for errors.

The builder keeps no lines, because nearly no value needs one; this walks the events of a document
a second time, for the few documents where somebody asks.
"""

from __future__ import annotations

from yaml._yaml import CParser
from yaml.error import YAMLError
from yaml.events import (
    CollectionEndEvent,
    CollectionStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    StreamEndEvent,
)

Path = tuple[str | int, ...]

_MAX_PATH = 4  # items, 3, metadata, name


def lines_of(text: str, root_line: int) -> dict[Path, int]:
    """Map the paths of a document's values to lines, from 1 within ``text``.

    The document is the one that begins at ``root_line`` of the text. A value's line is that of
    its key, an item's that of its first key. Paths are at most four steps long. JSON is read as
    the YAML it nearly is; what libyaml cannot read is left out.
    """
    walk = _Walk(root_line)
    try:
        next_event = CParser(text).get_event
        while (event := next_event()) is not None and not isinstance(event, StreamEndEvent):
            walk.take(event)
    except YAMLError:
        pass  # the lines found so far are still right
    return walk.lines


class _Walk:
    """Follows the events of a document, and knows the path it is at."""

    def __init__(self, root_line: int) -> None:
        self.lines: dict[Path, int] = {}
        self._root_line = root_line
        self._wanted = False
        self._path: list[str | int] = []
        self._is_mapping: list[bool] = []
        self._key_comes: list[bool] = []

    def take(self, event: Event) -> None:
        """Move on by one event."""
        if isinstance(event, CollectionEndEvent):
            self._path.pop()
            self._is_mapping.pop()
            self._key_comes.pop()
            self._after_node()
        elif isinstance(event, NodeEvent):
            self._node(event)

    def _node(self, event: NodeEvent) -> None:
        is_key = bool(self._key_comes) and self._is_mapping[-1] and self._key_comes[-1]
        if is_key:
            self._path[-1] = str(getattr(event, "value", ""))
        self._record(event)
        if isinstance(event, CollectionStartEvent):
            is_mapping = isinstance(event, MappingStartEvent)
            self._is_mapping.append(is_mapping)
            self._key_comes.append(is_mapping)
            self._path.append("" if is_mapping else 0)
        else:
            self._after_node()

    def _record(self, event: NodeEvent) -> None:
        line = event.start_mark.line + 1 if event.start_mark is not None else 0
        if not self._path:
            self._wanted = line == self._root_line
        if self._wanted and len(self._path) <= _MAX_PATH:
            self.lines.setdefault(tuple(self._path), line)

    def _after_node(self) -> None:
        if not self._path:
            return
        if self._is_mapping[-1]:
            self._key_comes[-1] = not self._key_comes[-1]
        else:
            step = self._path[-1]
            self._path[-1] = step + 1 if isinstance(step, int) else step
