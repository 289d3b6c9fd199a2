"""What was applied last, kept in an annotation of the object itself.

Duty: write the annotation, read it (ours, or kubectl's or Faros' on adoption), and tell whether it
fits. Content: the desired object as compact JSON with sorted keys, without what the server owns,
without status, and without any last-applied annotation, so it never nests. Must never contain
the value of a Secret: a keyed digest stands for each.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from agent.manifest.keys import JSONObject
from agent.manifest.marks import LAST_APPLIED, LAST_APPLIED_ANNOTATIONS
from agent.plan.merge.normalise import canonical_base64, is_secret, normalise
from agent.plan.merge.values import as_map

DIGEST_PREFIX: Final = "hmac-sha256:"
TOO_LARGE: Final = 262144
"""Bytes all annotations of an object may have together, names and values (TotalAnnotationSize)."""

_DIGEST_LENGTH = 32  # hexadecimal digits: 128 bits


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a live object says was applied to it last.

    ``annotation`` is where that was found, "" when nowhere; ``problem`` says why it could not be
    read, "" when it could; ``configuration`` is None when there is none or it could not.
    """

    annotation: str = ""
    problem: str = ""
    configuration: JSONObject | None = field(default=None, repr=False)


def encode(desired: JSONObject, *, digest_key: bytes, live: JSONObject | None) -> str:
    """Return the annotation's value for a desired object.

    A Secret's values become HMAC-SHA256 digests under ``digest_key``. A digest the live object's
    annotation already has is kept as long as live still holds the desired value, so that a
    lost key rewrites nothing.
    """
    obj = normalise(desired)
    metadata = as_map(obj.get("metadata"))
    annotations = {
        name: value
        for name, value in as_map(metadata.get("annotations")).items()
        if name != LAST_APPLIED
    }
    obj["metadata"] = {name: value for name, value in metadata.items() if name != "annotations"}
    if annotations:
        obj["metadata"]["annotations"] = annotations
    if is_secret(obj):
        obj = _digested(obj, digest_key=digest_key, live=live)
    return msgspec.json.encode(obj, order="deterministic").decode()


def read(live: JSONObject) -> JSONObject | None:
    """Return what was applied last, None when that is unknown: nothing may be deleted then."""
    return inspect(live).configuration


def inspect(live: JSONObject) -> Recorded:
    """Return what was applied last and where that was found, or why it cannot be read.

    Our annotation first; without one, on adoption, kubectl's or Faros'. One that is there and
    cannot be read ends the search: an older one would delete what has been taken over since.
    """
    annotations = as_map(as_map(live.get("metadata")).get("annotations"))
    for name in LAST_APPLIED_ANNOTATIONS:
        if name in annotations:
            return _decode(name, annotations[name])
    return Recorded()


def fits(encoded: str, *, desired: JSONObject, live: JSONObject | None) -> bool:
    """Tell whether the object may carry the annotation besides all its others."""
    annotations = {**_annotations(live or {}), **_annotations(desired), LAST_APPLIED: encoded}
    total = sum(
        len(name.encode()) + len(str(value).encode()) for name, value in annotations.items()
    )
    return total <= TOO_LARGE


def _annotations(obj: JSONObject) -> JSONObject:
    return as_map(as_map(obj.get("metadata")).get("annotations"))


def _decode(name: str, value: Any) -> Recorded:
    try:
        decoded = msgspec.json.decode(value) if isinstance(value, str) else None
    except msgspec.DecodeError as error:
        # The error gives a position, never the text.
        return Recorded(name, f"annotation {name} is not JSON: {error}")
    if not isinstance(decoded, dict):
        return Recorded(name, f"annotation {name} is not a JSON object")
    return Recorded(name, configuration=normalise(decoded))


def _digested(obj: JSONObject, *, digest_key: bytes, live: JSONObject | None) -> JSONObject:
    recorded = inspect(live or {})
    known: JSONObject = {}
    if recorded.annotation == LAST_APPLIED:
        known = as_map(as_map(recorded.configuration).get("data"))
    stored = as_map((live or {}).get("data"))
    metadata = obj["metadata"]
    place = f"{metadata.get('namespace') or ''}/{metadata.get('name') or ''}"
    result = dict(obj)
    for section in ("data", "stringData"):
        values = obj.get(section)
        if values and not isinstance(values, dict):  # the server refuses it
            result[section] = _digest(digest_key, f"{place}/{section}", values)
        elif values:
            result[section] = {
                name: _kept(known.get(name), stored.get(name), value)
                or _digest(digest_key, f"{place}/{section}/{name}", value)
                for name, value in values.items()
            }
    return result


def _kept(digest: Any, stored: Any, wanted: Any) -> str:
    """Return the digest in use if it still stands for the wanted value, else ""."""
    usable = isinstance(digest, str) and digest.startswith(DIGEST_PREFIX)
    return str(digest) if usable and canonical_base64(stored) == wanted else ""


def _digest(key: bytes, place: str, value: Any) -> str:
    """Digest a value in its place: equal values in two Secrets do not show that they are equal."""
    message = f"{place}\0{value}".encode()
    return DIGEST_PREFIX + hmac.new(key, message, hashlib.sha256).hexdigest()[:_DIGEST_LENGTH]
