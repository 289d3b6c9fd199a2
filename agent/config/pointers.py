"""JSON pointers to fields of objects, as ``ignore-fields`` takes them (RFC 6901).

One thing more than the RFC: an element of a list may be named by one of its fields, as kubectl's
users know lists: ``/spec/template/spec/containers/[name=web]/image``. Pure; knows no object.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_ELEMENT = re.compile(r"\[([^=]+)=(.*)\]", re.DOTALL)
_LONE_TILDE = re.compile(r"~(?![01])")

# Their names are manifest's to spell, which this package does not import: a test compares.
_OWN_PREFIX = "lightkeeper.dev/"
_APPLYSET = "applyset.kubernetes.io/part-of"
_IDENTITY = (("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace"))
_MARKED = (("metadata", "labels"), ("metadata", "annotations"))


@dataclass(frozen=True, slots=True, order=True)
class Pointer:
    """The way to a field: keys of maps, and elements of lists by index or as ``element`` has it."""

    parts: tuple[str, ...]

    def __str__(self) -> str:
        """Return the text, with ``~`` written ``~0`` and ``/`` written ``~1``."""
        return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in self.parts)

    @classmethod
    def parse(cls, text: str) -> Pointer:
        """Read what ``str`` writes. Raises ValueError with what is wrong and what is expected."""
        if not text.startswith("/"):
            raise ValueError('does not start with "/", expected one such as "/spec/replicas"')
        if _LONE_TILDE.search(text):
            raise ValueError('has a "~" that is neither "~0" (for ~) nor "~1" (for /), write "~0"')
        parts = text[1:].split("/")
        return cls(tuple(part.replace("~1", "/").replace("~0", "~") for part in parts))


def element(name: str, value: object) -> str:
    """Return the part that names the list element whose field ``name`` has this value."""
    return f"[{name}={value}]"


def parse_element(part: str) -> tuple[str, str] | None:
    """Return name and value of a part that ``element`` made, None for every other part."""
    match = _ELEMENT.fullmatch(part)
    return (match[1], match[2]) if match else None


def why_not_ignorable(pointer: Pointer) -> str:
    """Return why a field cannot be left to others, "" when it can.

    Neither can what says which object it is, nor the marks that make it ours, nor what holds them.
    """
    parts = pointer.parts
    if any(parts[: len(other)] == other[: len(parts)] for other in _IDENTITY):
        return "is, or holds, what says which object this is, and cannot be ignored"
    if parts in _MARKED:
        return f"holds this agent's own marks, name the {parts[1]} one by one"
    if parts[:2] in _MARKED and (parts[2].startswith(_OWN_PREFIX) or parts[2] == _APPLYSET):
        return "is a mark of this agent, and cannot be ignored"
    return ""
