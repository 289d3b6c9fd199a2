"""Objects made safe to show: in diffs, logs, events, the status.

Pure. Knows only what Kubernetes itself calls secret: values of Secrets, and the last-applied
annotations, which may hold a whole one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agent.manifest.keys import JSONObject
from agent.manifest.marks import LAST_APPLIED_ANNOTATIONS

MASK = "***"
"""Stands for any secret value, so that it tells nothing about length or equality."""

_SECRET_FIELDS = ("data", "stringData")


def redact(obj: JSONObject) -> JSONObject:
    """Return a copy safe to show: a Secret's values masked, last-applied annotations left out.

    Keys stay, so that a reader sees which entries there are. Lists are redacted item by item.
    The copy may share unchanged parts with ``obj``: do not modify it.
    """
    shown = dict(obj)
    if obj.get("kind") == "Secret":
        for field in _SECRET_FIELDS:
            if field in shown:
                shown[field] = _masked(shown[field])
    if isinstance(items := shown.get("items"), list):
        shown["items"] = [_redacted_item(item, obj) for item in items]
    metadata = shown.get("metadata")
    if isinstance(metadata, dict) and isinstance(metadata.get("annotations"), dict):
        shown["metadata"] = {**metadata, "annotations": _without(metadata["annotations"])}
    return shown


def without_values(text: str, secret: JSONObject) -> str:
    """Return a text with the values of a Secret masked; its manifest may have any shape."""
    for value in _scalars([secret.get(field) for field in _SECRET_FIELDS]):
        text = text.replace(value, MASK)
    return text


def _scalars(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _scalars(inner)
    elif value:
        yield str(value)


def _masked(values: Any) -> Any:
    if isinstance(values, dict):
        return dict.fromkeys(values, MASK)
    return None if values is None else MASK


def _redacted_item(item: Any, parent: JSONObject) -> Any:
    if not isinstance(item, dict):
        return item
    if parent.get("kind") == "SecretList":  # its items need not say their kind
        item = {"kind": "Secret", **item}
    return redact(item)


def _without(annotations: JSONObject) -> JSONObject:
    return {k: v for k, v in annotations.items() if k not in LAST_APPLIED_ANNOTATIONS}
