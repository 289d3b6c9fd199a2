"""One file of git -> its Manifests, what is wrong with it, and what is odd in it.

Duty: flatten Lists, name each object, take out what only a server may write, make the body
canonical. Must not raise for any input: a file's problem is a value.

Lists are flattened one level: a List in a List is an error. Only kinds that end in ``List`` with
an ``items`` array count, so that a custom resource may have a field of that name
(faros.md section 17.8).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from agent.manifest import documents
from agent.manifest.errors import DecodeError, ManifestError
from agent.manifest.identity import IdentityError, identify, require_kind
from agent.manifest.keys import JSONObject
from agent.manifest.limits import MAX_OBJECTS, MAX_WARNINGS
from agent.manifest.marks import MARK_ANNOTATIONS, MARK_LABELS
from agent.manifest.model import Manifest, Origin
from agent.manifest.places import Path, lines_of

_SERVER_OWNED = (
    "creationTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
)
_LFS_POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\r?\n")
_LONGEST_LFS_POINTER = 1024  # bytes; the Git LFS specification, "The Pointer"
_LFS_REASON = (
    "a Git LFS pointer: the file itself is on another server, which is not asked; commit the file "
    "without LFS (`git lfs untrack`, then `git add --renormalize`)"
)
_DIGEST_SIZE = 16
_ENCODER = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """What one file holds.

    ``manifests`` stand in the file's order; if there is an ``error``, they are those before it,
    and the rest of the file is unknown. ``warnings`` begin with ``file:line:``. All of it depends
    on the bytes and the path alone, so it may be remembered by blob id and path.
    """

    manifests: tuple[Manifest, ...]
    error: ManifestError | None
    warnings: tuple[str, ...]


def load_file(data: bytes, *, file: str) -> LoadedFile:
    """Read a file's objects; ``file`` is its path in the repository. Never raises."""
    if len(data) <= _LONGEST_LFS_POINTER and _LFS_POINTER.match(data):
        return LoadedFile((), ManifestError(file, 1, _LFS_REASON), ())
    manifests: list[Manifest] = []
    warnings: list[tuple[int, str]] = []
    error: ManifestError | None = None
    try:
        for document in documents.read(data, strict_json=file.endswith(".json")):
            warnings.extend(document.warnings)
            for manifest in _manifests(document, file):
                if len(manifests) == MAX_OBJECTS:
                    reason = f"more than {MAX_OBJECTS} objects in one file: split it"
                    raise DecodeError(reason, line=manifest.origin.line)
                manifests.append(manifest)
    except DecodeError as problem:
        error = ManifestError(file, problem.line, problem.reason)
    if (line := documents.invalid_utf8_line(data)) is not None and manifests:
        warnings.append((line, "not UTF-8: what cannot be read became U+FFFD"))
    return LoadedFile(tuple(manifests), error, _told(warnings, file))


def refused(size: int, *, file: str) -> LoadedFile | None:
    """Return what comes of a file of ``size`` bytes if that is too large to be read, else None."""
    try:
        documents.check_size(size)
    except DecodeError as problem:
        return LoadedFile((), ManifestError(file, problem.line, problem.reason), ())
    return None


def _told(warnings: list[tuple[int, str]], file: str) -> tuple[str, ...]:
    told = [f"{file}:{line}: {text}" for line, text in warnings[:MAX_WARNINGS]]
    if len(warnings) > MAX_WARNINGS:
        told.append(f"{file}: {len(warnings) - MAX_WARNINGS} or more further warnings")
    return tuple(told)


def _manifests(document: documents.Document, file: str) -> Iterator[Manifest]:
    try:
        obj = require_kind(document.value, file=file)
        if _is_list(obj):
            yield from _items(obj, document, file)
        else:
            yield _manifest(obj, Origin(file, document.line, document.index))
    except IdentityError as error:
        line = _line_of(error.path, document)
        raise DecodeError(error.reason, line=line) from error


def _is_list(obj: JSONObject) -> bool:
    kind = str(obj["kind"])
    if kind == "List" and not isinstance(obj.get("items"), list):
        raise IdentityError("a List without an 'items' array", ("items",))
    return kind.endswith("List") and isinstance(obj.get("items"), list)


def _items(obj: JSONObject, document: documents.Document, file: str) -> Iterator[Manifest]:
    lines = _lines(document)
    for index, written in enumerate(obj["items"]):
        path: Path = ("items", index)
        try:
            item = _typed(written, obj)
            if _is_list(require_kind(item, file=file)):
                raise IdentityError("a List inside a List: put its items one level up")
            line = lines.get(path, document.line)
            yield _manifest(item, Origin(file, line, document.index))
        except IdentityError as error:
            reason = f"items[{index}]: {error.reason}"
            raise IdentityError(reason, (*path, *error.path)) from error


def _typed(item: Any, parent: JSONObject) -> Any:
    """Give an item of a typed list (ConfigMapList) the kind servers leave out, as kubectl does."""
    kind = parent["kind"].removesuffix("List")
    if isinstance(item, dict) and kind and not (item.get("kind") and item.get("apiVersion")):
        return {**item, "kind": kind, "apiVersion": parent.get("apiVersion")}
    return item


def _line_of(path: Path, document: documents.Document) -> int:
    """Return the line of a path, or of the nearest value around it."""
    lines = _lines(document)
    while path and path not in lines:
        path = path[:-1]
    return lines[path] if path else document.line


def _lines(document: documents.Document) -> dict[Path, int]:
    before = document.piece.line - 1
    found = lines_of(document.piece.text, document.line - before)
    return {path: before + line for path, line in found.items()}


def _manifest(obj: JSONObject, origin: Origin) -> Manifest:
    gvk, key = identify(obj, file=origin.file)
    body = _ENCODER.encode({**obj, "metadata": _clean_metadata(obj["metadata"])})
    digest = hashlib.blake2b(body, digest_size=_DIGEST_SIZE).digest()
    return Manifest(body, gvk, key, origin, digest)


def _clean_metadata(metadata: JSONObject) -> JSONObject:
    """Return a copy without what people paste from a live object and no manifest may set.

    A null map goes too: in a patch it would mean to remove every label or annotation there is.
    """
    cleaned = {field: value for field, value in metadata.items() if field not in _SERVER_OWNED}
    for field, marks in (("labels", MARK_LABELS), ("annotations", MARK_ANNOTATIONS)):
        written = cleaned.get(field)
        if written is None:
            cleaned.pop(field, None)
        elif not written.keys().isdisjoint(marks):
            kept = {name: value for name, value in written.items() if name not in marks}
            cleaned.pop(field)
            if kept:
                cleaned[field] = kept
    return cleaned
