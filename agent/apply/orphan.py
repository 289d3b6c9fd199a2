"""Let an object go: take our marks off it, and leave the rest as it is."""

from __future__ import annotations

from dataclasses import dataclass

from agent.apply.requests import guarded, metadata_patch
from agent.errors import AgentError
from agent.kube.client import Client
from agent.kube.errors import Conflict, NotFound
from agent.kube.resource import Resource
from agent.manifest import marks
from agent.manifest.keys import JSONObject
from agent.plan.ownership import Record, owner_of

_ATTEMPTS = 3
_GONE = "is gone already"
_FOREIGN = "no longer ours; left alone"

# kubectl's and Faros' records of what they applied are theirs.
_MARKS = {"labels": marks.MARK_LABELS, "annotations": (marks.OWNER, marks.LAST_APPLIED)}


@dataclass(frozen=True, slots=True)
class Released:
    """What came of it: ``note`` says why there was nothing to do, ``error`` why it failed."""

    record: Record
    note: str = ""
    error: str = ""


async def orphan(client: Client, resource: Resource, record: Record) -> Released:
    """Take our marks off exactly the object that was judged; never raises an AgentError."""
    try:
        return Released(record, note=await _orphan(client, resource, record))
    except AgentError as error:
        return Released(record, error=str(error))


async def _orphan(client: Client, resource: Resource, record: Record) -> str:
    key = record.key
    for attempt in range(_ATTEMPTS):
        try:
            live = await client.get(resource, namespace=key.namespace, name=key.name)
            if live["metadata"]["uid"] != record.uid or owner_of(live, key=key) != record.owner:
                return _FOREIGN
            await client.patch(
                resource,
                (patch := guarded(metadata_patch(_without_marks(live)), live)).body,
                namespace=key.namespace,
                name=key.name,
                content_type=patch.content_type,
            )
        except NotFound:
            return _GONE
        except Conflict:
            if attempt == _ATTEMPTS - 1:
                raise
        else:
            break
    return ""


def _without_marks(live: JSONObject) -> JSONObject:
    metadata: JSONObject = {}
    for section, names in _MARKS.items():
        have = live["metadata"].get(section) or {}
        metadata[section] = {name: None for name in names if name in have}
    return metadata
