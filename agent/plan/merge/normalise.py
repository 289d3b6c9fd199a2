"""A desired object as the server will store it, as far as that is known without asking.

Duty: take out of the desired object what would make it differ from live for ever. Must not look
at the live object.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

from agent.manifest.keys import JSONObject
from agent.manifest.marks import FAROS_LAST_APPLIED, KUBECTL_LAST_APPLIED
from agent.plan.merge.values import as_map

_SERVER_OWNED: Final = frozenset(
    {
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "generation",
        "managedFields",
        "resourceVersion",
        "selfLink",
        "uid",
    }
)
_FOREIGN: Final = frozenset({KUBECTL_LAST_APPLIED, FAROS_LAST_APPLIED})  # exports carry them


def normalise(desired: JSONObject) -> JSONObject:
    """Return the desired object without what only the server or another tool can say.

    Dropped: status, the metadata the server owns, and the last-applied annotations of kubectl and
    Faros. A Secret's write-only stringData moves into data, in base64, where it wins over data of
    the same key, as on the server; data is rewritten to the one base64 the server gives back.
    The input is not modified; the result shares its unchanged parts. Idempotent.
    """
    result = {name: value for name, value in desired.items() if name != "status"}
    if isinstance(result.get("metadata"), dict):
        result["metadata"] = _metadata(result["metadata"])
    return _secret(result) if is_secret(result) else result


def is_secret(obj: JSONObject) -> bool:
    """Tell whether this is a core/v1 Secret."""
    return obj.get("kind") == "Secret" and obj.get("apiVersion") == "v1"


def canonical_base64(value: Any) -> Any:
    """Return base64 text as the server writes it; what is none is returned as it is."""
    if not isinstance(value, str):
        return value
    text = value.replace("\n", "").replace("\r", "")  # as Go's decoder does: a YAML block has them
    try:
        return base64.b64encode(base64.b64decode(text, validate=True)).decode()
    except (binascii.Error, ValueError):
        return value  # the server says what is wrong with it


def _metadata(metadata: JSONObject) -> JSONObject:
    kept = {name: value for name, value in metadata.items() if name not in _SERVER_OWNED}
    annotations = kept.get("annotations")
    if isinstance(annotations, dict) and any(name in annotations for name in _FOREIGN):
        kept["annotations"] = {
            name: value for name, value in annotations.items() if name not in _FOREIGN
        }
    return kept


def _secret(obj: JSONObject) -> JSONObject:
    if not all(isinstance(obj.get(part), dict | None) for part in ("data", "stringData")):
        return obj  # the server says what is wrong with it; to drop it would empty the Secret
    data, text = as_map(obj.get("data")), as_map(obj.get("stringData"))
    if not data and not text:
        return {name: value for name, value in obj.items() if name != "stringData"}
    encoded = {name: canonical_base64(value) for name, value in data.items()}
    refused = {}  # left where it is, so that the server's message is about it
    for name, value in text.items():
        if isinstance(value, str):
            encoded[name] = base64.b64encode(value.encode()).decode()
        elif value is not None:
            refused[name] = value
    result = {name: value for name, value in obj.items() if name != "stringData"}
    result["data"] = encoded
    if refused:
        result["stringData"] = refused
    return result
