"""What strategic merge needs to know, taken out of an OpenAPI document.

Duty: dict in, small dict out (the *table*, see ``TableDocument``). Used twice: at development time
by ``packaging/mergekeys/generate.py``, which makes the table that ships with the agent, and at run
time for a kind that table does not know. Must not fetch anything.

Read: OpenAPI v2 (``definitions``), v3 (``components.schemas``) and JSON schema (``$defs``), with
their ``x-kubernetes-patch-...`` and ``x-kubernetes-list-map-keys`` (KEP-555).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypedDict

from agent.manifest.keys import GroupVersionKind, JSONObject

FieldDocument = str | list[str]
"""A field: the type it holds, or ``[type, strategy, merge key, other list-map keys...]``.

``type`` is that of the map, or of the list's elements; "" when nothing in it matters. ``strategy``
is as the API server writes it: ``merge``, ``replace``, ``retainKeys`` or ``merge,retainKeys``.
"""

TypeDocument = dict[str, FieldDocument]


class TableDocument(TypedDict):
    """The table as JSON: kinds by apiVersion and kind, types by name."""

    kinds: dict[str, dict[str, str]]
    types: dict[str, TypeDocument]


_OBJECT_META = "ObjectMeta"
_PREFIXES = (
    "io.k8s.api.",
    "io.k8s.apimachinery.pkg.apis.",
    "io.k8s.apiextensions-apiserver.pkg.apis.",
    "io.k8s.kube-aggregator.pkg.apis.",
)
_STRATEGIC = "application/strategic-merge-patch+json"


def extract(document: JSONObject) -> TableDocument:
    """Return the table of every object kind the document defines."""
    definitions = _definitions(document)
    types = _that_matter({_short(name): _fields(body) for name, body in definitions.items()})
    kinds: dict[str, dict[str, str]] = {}
    for name, body in definitions.items():
        if not _is_object(body):
            continue
        for gvk in _kinds_of(body):
            kinds.setdefault(gvk.api_version, {})[gvk.kind] = _short(name)
    return {"kinds": kinds, "types": _reachable(types, kinds)}


def takes_strategic(document: JSONObject, gvk: GroupVersionKind) -> bool:
    """Tell whether the server accepts strategic merge patches for a kind (custom resources: no)."""
    for path in (document.get("paths") or {}).values():
        operation = path.get("patch") or {}
        named = operation.get("x-kubernetes-group-version-kind")
        if named and GroupVersionKind(named["group"], named["version"], named["kind"]) == gvk:
            body = operation.get("requestBody") or {}
            if _STRATEGIC in operation.get("consumes", ()) or _STRATEGIC in body.get("content", ()):
                return True
    return False


def _definitions(document: JSONObject) -> JSONObject:
    components = document.get("components") or {}
    found: JSONObject = (
        document.get("definitions") or document.get("$defs") or components.get("schemas") or {}
    )
    return found


def _kinds_of(body: JSONObject) -> Iterator[GroupVersionKind]:
    for named in body.get("x-kubernetes-group-version-kind") or ():
        yield GroupVersionKind(named["group"], named["version"], named["kind"])


def _is_object(body: JSONObject) -> bool:
    """Tell objects from lists, options and events of a watch: they have an ObjectMeta."""
    metadata = (body.get("properties") or {}).get("metadata") or {}
    return _reference(metadata).endswith(_OBJECT_META)


def _fields(body: JSONObject) -> TypeDocument:
    properties: Mapping[str, JSONObject] = body.get("properties") or {}
    fields = {name: _field(described) for name, described in properties.items()}
    return {name: field for name, field in fields.items() if field}


def _field(described: JSONObject) -> FieldDocument:
    strategy = described.get("x-kubernetes-patch-strategy") or ""
    items = described.get("items")
    if items is None:
        target = _reference(described)
        # Scalars carry a strategy by mistake (LabelSelectorRequirement.key before 1.28).
        return [target, strategy] if target and strategy else target
    if "merge" not in strategy:
        return ""  # atomic: what is in it is never looked at
    merge_key = described.get("x-kubernetes-patch-merge-key") or ""
    map_keys = described.get("x-kubernetes-list-map-keys") or ()
    others = [key for key in map_keys if key != merge_key]
    return [_reference(items), strategy, *([merge_key, *others] if merge_key else [])]


def _reference(described: JSONObject) -> str:
    """Return the short name of the type a schema refers to; v3 wraps it to give it a default."""
    for candidate in (described, *(described.get("allOf") or ())):
        target: Any = candidate.get("$ref")
        if target:
            return _short(str(target).rpartition("/")[2])
    return ""


def _short(name: str) -> str:
    for prefix in _PREFIXES:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def _that_matter(types: dict[str, TypeDocument]) -> dict[str, TypeDocument]:
    """Drop the plain fields that lead to no patch metadata, then the types left empty."""
    matter = {
        name for name, fields in types.items() if any(isinstance(f, list) for f in fields.values())
    }
    grown = True
    while grown:
        before = len(matter)
        for name, fields in types.items():
            if any(_type_of(field) in matter for field in fields.values()):
                matter.add(name)
        grown = len(matter) > before
    return {name: _kept_fields(types[name], matter) for name in matter}


def _kept_fields(fields: TypeDocument, matter: set[str]) -> TypeDocument:
    kept: TypeDocument = {}
    for name, field in fields.items():
        if isinstance(field, list):
            kept[name] = [field[0] if field[0] in matter else "", *field[1:]]
        elif field in matter:
            kept[name] = field
    return kept


def _reachable(
    types: dict[str, TypeDocument], kinds: dict[str, dict[str, str]]
) -> dict[str, TypeDocument]:
    waiting = [name for by_kind in kinds.values() for name in by_kind.values()]
    kept: dict[str, TypeDocument] = {}
    while waiting:
        name = waiting.pop()
        if name and name not in kept:
            kept[name] = types.get(name, {})
            waiting.extend(_type_of(field) for field in kept[name].values())
    return kept


def _type_of(field: FieldDocument) -> str:
    return field[0] if isinstance(field, list) else field
