"""Which lists and maps of a kind merge, and by which key.

Duty: answer ``lookup(gvk)`` from the table that ships with the package (``table.json``, made by
``packaging/mergekeys/generate.py`` from the API servers' own OpenAPI), or from an OpenAPI document
the caller has fetched. Must not fetch anything.

The table is read at the first question; each type becomes a ``Schema`` at its first use and is then
shared for the life of the process.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final

import msgspec

from agent.manifest.keys import GroupVersionKind, JSONObject
from agent.plan.merge.errors import MergeError
from agent.plan.merge.openapi import FieldDocument, TableDocument, extract, takes_strategic

_TABLE = "table.json"


@dataclass(frozen=True, slots=True)
class Field:
    """How one field merges.

    ``schema`` describes the map in the field, or the elements of the list in it. ``merge``: the
    list merges; by ``merge_key``, or as a set of scalars when that is "". ``map_keys`` is what
    tells elements apart for server-side apply, the merge key first; it may be finer. ``replace``:
    the map is taken whole. ``retain_keys``: a patch of the map (or element) clears every field it
    does not name.
    """

    schema: Schema
    merge: bool = False
    merge_key: str = ""
    map_keys: tuple[str, ...] = ()
    replace: bool = False
    retain_keys: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Schema:
    """The fields of a type that need strategic merge, or lead to one that does."""

    fields: Mapping[str, Field]

    def field(self, name: str) -> Field:
        """Return how a field merges; one the type does not list merges as in RFC 7386."""
        return self.fields.get(name, _PLAIN)


_PLAIN: Final = Field(Schema({}))


@dataclass(frozen=True, slots=True)
class _Table:
    document: TableDocument
    built: dict[str, Schema] = field(default_factory=dict)

    def kind(self, gvk: GroupVersionKind) -> Schema | None:
        name = self.document["kinds"].get(gvk.api_version, {}).get(gvk.kind)
        return None if name is None else self._type(name)

    def _type(self, name: str) -> Schema:
        found = self.built.get(name)
        if found is None:
            fields: dict[str, Field] = {}
            # Known before its fields are: a type may contain itself.
            found = self.built[name] = Schema(fields)
            for field_name, document in self.document["types"].get(name, {}).items():
                fields[field_name] = self._field(document)
        return found

    def _field(self, document: FieldDocument) -> Field:
        if isinstance(document, str):
            return Field(self._type(document))
        target, strategy, *keys = document
        strategies = strategy.split(",")
        return Field(
            schema=self._type(target),
            merge="merge" in strategies,
            merge_key=keys[0] if keys else "",
            map_keys=tuple(keys),
            replace="replace" in strategies,
            retain_keys="retainKeys" in strategies,
        )


def lookup(gvk: GroupVersionKind) -> Schema | None:
    """Return how a built-in kind of Kubernetes 1.20 to 1.37 merges.

    None for every other kind, custom resources above all: those take JSON merge patches, as with
    kubectl.
    """
    return _shipped().kind(gvk)


def from_openapi(document: JSONObject, gvk: GroupVersionKind) -> Schema | None:
    """Return how a kind merges according to a server's OpenAPI document, v2 or v3.

    None when the document does not define the kind, or the server takes no strategic merge
    patches for it (custom resources).
    """
    if not takes_strategic(document, gvk):
        return None
    return _Table(extract(document)).kind(gvk)


@cache
def _shipped() -> _Table:
    data = pkgutil.get_data(__package__, _TABLE)
    if data is None:
        raise MergeError(f"the agent was built without {_TABLE}: reinstall it")
    return _Table(msgspec.json.decode(data, type=TableDocument))
