"""What must be equal in the end, and what a live object has to carry.

Aside are: what the server says of an object (its uid, times, generation, status), the marks and the
last-applied annotations of either tool, and which values the server handed out: that one was kept,
or a new one given, is compared, the value is not.
"""

from __future__ import annotations

import base64
import difflib
import json
import re
from decimal import Decimal
from typing import Any

from agent.manifest.keys import JSONObject
from agent.manifest.marks import MARK_ANNOTATIONS, MARK_LABELS

_SERVERS = (
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
    "selfLink",
)
_HANDED_OUT = ("clusterIP", "clusterIPs", "nodePort", "healthCheckNodePort")
_QUANTITY = re.compile(r"([-+]?[0-9.]+)([numkMGTPE]|[KMGTPE]i|e[0-9]+)?")
_SUFFIXES = {
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate("num", -3)},
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate(" kMGTPE")},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate(" KMGTPE")},
}


def comparable(live: JSONObject, *, namespace: str, before: JSONObject | None) -> JSONObject:
    """Return a live object as both sides must have it.

    ``before`` is the live object that was updated, None for a new one.
    """
    text = json.dumps(live).replace(namespace, "NS").replace(live["metadata"]["uid"], "UID")
    obj: JSONObject = json.loads(text)
    obj.pop("status", None)
    metadata = {name: value for name, value in obj["metadata"].items() if name not in _SERVERS}
    for name, marks in (("labels", MARK_LABELS), ("annotations", MARK_ANNOTATIONS)):
        own = {key: value for key, value in metadata.pop(name, {}).items() if key not in marks}
        if own:
            metadata[name] = own
    if "finalizers" in metadata:
        # A set. kubectl leaves it in disorder if git's order is the alphabet's.
        metadata["finalizers"] = sorted(metadata["finalizers"])
    obj["metadata"] = metadata
    return _symbolic(obj, _places(before)) if obj["kind"] == "Service" else obj


def difference(kubectl: JSONObject | None, ours: JSONObject | None) -> str:
    """Return a unified diff of two comparable objects, "" when they are equal."""
    if kubectl == ours:
        return ""
    theirs, mine = (json.dumps(o, indent=1, sort_keys=True).splitlines() for o in (kubectl, ours))
    found = difflib.unified_diff(theirs, mine, "kubectl", "lightkeeper", n=6, lineterm="")
    return "\n".join(found)


def missing(desired: Any, live: Any, *, path: str = "") -> str:
    """Return the path of something desired that live does not carry, "" if it carries all.

    Live may have more: fields, and elements between those of a list.
    """
    if desired is None:
        return ""
    if isinstance(desired, dict):
        return _missing_field(desired, live if isinstance(live, dict) else {}, path)
    if isinstance(desired, list):
        return _missing_element(desired, live if isinstance(live, list) else [], path)
    return "" if _same(desired, live) else path


def as_stored(desired: JSONObject) -> JSONObject:
    """Return what a live object shows of a manifest: a Secret's stringData becomes data."""
    text = desired.get("stringData")
    if not text:
        return desired
    encoded = {name: base64.b64encode(value.encode()).decode() for name, value in text.items()}
    rest = {name: value for name, value in desired.items() if name != "stringData"}
    return {**rest, "data": {**(desired.get("data") or {}), **encoded}}


def _missing_field(desired: JSONObject, live: JSONObject, path: str) -> str:
    found = (
        missing(value, live.get(name), path=f"{path}.{name}") for name, value in desired.items()
    )
    return next(filter(None, found), "")


def _missing_element(desired: list[Any], live: list[Any], path: str) -> str:
    waiting = iter(live)
    for place, item in enumerate(desired):
        if all(missing(item, candidate, path=path or ".") for candidate in waiting):
            return f"{path}[{place}]"
    return ""


def _same(desired: Any, live: Any) -> bool:
    if isinstance(desired, bool) or isinstance(live, bool):
        return desired is live or (desired is False and live is None)
    if desired == live or (desired in (0, "") and live is None):
        return True
    mine, theirs = _quantity(desired), _quantity(live)
    return mine is not None and mine == theirs


def _quantity(value: Any) -> Decimal | None:
    found = _QUANTITY.fullmatch(str(value))
    if found is None:
        return None
    number, suffix = found.groups()
    return Decimal(number) * _SUFFIXES.get(suffix or " ", Decimal(1))


def _places(before: JSONObject | None) -> dict[Any, str]:
    """Name the values that were handed out already."""
    if before is None:
        return {}
    ports = [port.get("nodePort") for port in before["spec"]["ports"]]
    known: dict[Any, str] = {number: f"kept {place}" for place, number in enumerate(ports)}
    return {**known, before["spec"].get("clusterIP"): "kept"}


def _symbolic(value: Any, known: dict[Any, str], *, handed_out: bool = False) -> Any:
    if isinstance(value, dict):
        return {
            name: _symbolic(item, known, handed_out=name in _HANDED_OUT)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_symbolic(item, known, handed_out=handed_out) for item in value]
    return known.get(value, "new") if handed_out else value
