"""Manifest: one desired object and where in git it is written."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from agent.manifest.keys import GroupVersionKind, JSONObject, ObjectKey


@dataclass(frozen=True, slots=True)
class Origin:
    """A place in the repository: file (relative to its root), line from 1, document from 0."""

    file: str
    line: int
    document: int

    def __str__(self) -> str:
        """Return ``file:line``, which editors and terminals make clickable."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """One desired object as git has it.

    The body is kept as canonical JSON (compact, keys sorted, UTF-8), a tenth of what its dicts
    would take; ``object()`` decodes it anew at each call, so the caller may modify the result.
    ``digest`` is of those bytes: key order, comments and formatting in git do not count.
    """

    json: bytes
    gvk: GroupVersionKind
    key: ObjectKey
    origin: Origin
    digest: bytes

    def object(self) -> JSONObject:
        """Decode the body."""
        decoded: JSONObject = msgspec.json.decode(self.json)
        return decoded
