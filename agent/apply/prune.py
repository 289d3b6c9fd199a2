"""Delete what git dropped: exactly the object that was judged, or nothing.

Deletes carry UID and resourceVersion; when the object changed in between it is read and judged
again. Background propagation, as kubectl's default.
"""

from __future__ import annotations

from agent.errors import AgentError
from agent.kube.client import Client
from agent.kube.errors import Conflict, NotFound
from agent.kube.resource import Resource
from agent.plan.change import Action, Outcome
from agent.plan.ownership import Record, project

_ATTEMPTS = 3


async def prune(client: Client, resource: Resource, record: Record) -> Outcome:
    """Delete one object that its owner's git no longer has; never raises an AgentError.

    ``record.owner`` must be the track that prunes. The object is left alone when it turns out to
    be another one (UID) or not ours any more.
    """
    try:
        return await _delete(client, resource, record)
    except AgentError as error:
        return Outcome(record.key, Action.PRUNE, error=str(error))


async def _delete(client: Client, resource: Resource, record: Record) -> Outcome:
    key = record.key
    for attempt in range(_ATTEMPTS):
        try:
            await client.delete(
                resource,
                namespace=key.namespace,
                name=key.name,
                uid=record.uid,
                resource_version=record.resource_version,
            )
        except NotFound:
            break
        except Conflict:
            if attempt == _ATTEMPTS - 1:
                raise
        else:
            break
        fresh = await _read_again(client, resource, record)
        if fresh is None or fresh.deleting:
            break
        if fresh.uid != record.uid or fresh.owner != record.owner:
            return Outcome(key, Action.IGNORE, reason="no longer ours; left alone")
        record = fresh
    return Outcome(key, Action.PRUNE)


async def _read_again(client: Client, resource: Resource, record: Record) -> Record | None:
    key = record.key
    try:
        live = await client.get(resource, namespace=key.namespace, name=key.name)
    except NotFound:
        return None
    return project(live, has_status=resource.has_status)
