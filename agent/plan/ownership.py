"""Who owns an object: our marks, how they are read, and the ApplySet id of a track (KEP-3659).

Three marks: a label that names the ApplySet, a label that names the agent (the watch selector),
and an annotation that names agent, track *and the object itself*. A copy that somebody makes of an
object carries the annotation of the original, so it is not taken for ours.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from sys import intern
from typing import Any

import msgspec

from agent.manifest import marks
from agent.manifest.keys import GroupVersionKind, JSONObject, ObjectKey

_VOLATILE = ("managedFields", "resourceVersion", "generation", "creationTimestamp", "selfLink")


@dataclass(frozen=True, slots=True)
class Owner:
    """One track of one agent, known by its inventory, and the ApplySet that stands for.

    ``namespace`` is the inventory's. It is part of who we are: two installations that use the same
    names in one cluster must not take each other's objects for their own.
    """

    agent: str
    track: str
    namespace: str
    applyset: str

    def __str__(self) -> str:
        """Return ``namespace/agent.track``, the ConfigMap of the inventory."""
        return f"{self.namespace}/{self.agent}.{self.track}"


@dataclass(frozen=True, slots=True)
class Record:
    """All that is remembered of a live object: a few hundred bytes, never its body.

    ``owner`` names the inventory (``namespace/agent.track``) when the object carries our marks for
    *this* object, else "".
    ``digest`` changes whenever anything but status and volatile metadata does.
    """

    key: ObjectKey
    uid: str
    resource_version: str
    owner: str
    deleting: bool
    digest: bytes


def applyset_id(*, name: str, namespace: str) -> str:
    """Return the id of the ApplySet whose parent is this ConfigMap (KEP-3659, "Labels")."""
    identity = f"{name}.{namespace}.ConfigMap."
    encoded = base64.urlsafe_b64encode(hashlib.sha256(identity.encode()).digest())
    return f"applyset-{encoded.rstrip(b'=').decode()}-v1"


def mark(desired: JSONObject, *, owner: Owner, key: ObjectKey) -> JSONObject:
    """Return ``desired`` with our marks added; the input is not modified."""
    metadata = dict(desired["metadata"])
    metadata["labels"] = {
        **(metadata.get("labels") or {}),
        marks.APPLYSET_PART_OF: owner.applyset,
        marks.AGENT: owner.agent,
    }
    metadata["annotations"] = {
        **(metadata.get("annotations") or {}),
        marks.OWNER: f"{owner} {key}",
    }
    return {**desired, "metadata": metadata}


def missing_marks(live: JSONObject, *, owner: Owner, key: ObjectKey) -> JSONObject:
    """Return the metadata that has to be merged into a live object to make it carry our marks."""
    bare: JSONObject = {"metadata": {}}
    wanted = mark(bare, owner=owner, key=key)["metadata"]
    missing = {}
    for section, values in wanted.items():
        have = live["metadata"].get(section) or {}
        lacking = {name: value for name, value in values.items() if have.get(name) != value}
        if lacking:
            missing[section] = lacking
    return missing


def owner_of(live: JSONObject, *, key: ObjectKey) -> str:
    """Return whose marks a live object carries (``str(Owner)``), or "" when none of its own.

    The annotation alone decides: labels are edited by hand more often than annotations, and an
    object whose labels were stripped is still its track's.
    """
    annotations = live["metadata"].get("annotations") or {}
    owner, _, named = str(annotations.get(marks.OWNER) or "").partition(" ")
    return intern(owner) if named == str(key) else ""


def key_of(obj: JSONObject) -> ObjectKey:
    """Return the identity of a live object."""
    gvk = GroupVersionKind.of(obj)
    metadata = obj["metadata"]
    namespace, name = str(metadata.get("namespace") or ""), str(metadata["name"])
    return ObjectKey.of(gvk, namespace=namespace, name=name)


def project(obj: JSONObject, *, has_status: bool) -> Record:
    """Make the record of a live object; ``has_status`` tells that status is a subresource."""
    key = key_of(obj)
    metadata = obj["metadata"]
    return Record(
        key=key,
        uid=str(metadata.get("uid") or ""),
        resource_version=str(metadata.get("resourceVersion") or ""),
        owner=owner_of(obj, key=key),
        deleting="deletionTimestamp" in metadata,
        digest=live_digest(obj, has_status=has_status),
    )


def live_digest(obj: JSONObject, *, has_status: bool) -> bytes:
    """Digest an object without volatile metadata and, if it is a subresource, without status.

    Equal digests mean that a merge that was empty before is empty still.
    """
    return hashlib.blake2b(
        msgspec.json.encode(settled(obj, has_status=has_status), order="sorted"), digest_size=16
    ).digest()


def settled(obj: JSONObject, *, has_status: bool) -> dict[str, Any]:
    """Return the parts of an object that only a deliberate change modifies (faros.md 17.20)."""
    metadata = {name: v for name, v in obj["metadata"].items() if name not in _VOLATILE}
    rest = {name: value for name, value in obj.items() if not (has_status and name == "status")}
    return {**rest, "metadata": metadata}
