"""Update strategy ``recreate``: replace an object that the server cannot change in place.

The only deletion outside of pruning. It is of an object that carries our marks, by UID and
resourceVersion, after the server refused the change itself (409 to the end, or 422); the original
is put back when the new one cannot be created (faros.md 9.6 and 17.18).
"""

from __future__ import annotations

import asyncio
import contextlib

from agent.apply.desired import Desired
from agent.apply.requests import Requests
from agent.kube.errors import KubeError, NotFound
from agent.manifest.keys import JSONObject
from agent.plan.errors import PlanError
from agent.plan.merge import normalise

DEADLINE = 30.0
"""Seconds that the old object has to be gone in, foreground deletion of dependents included."""

_POLL = 0.25


async def recreate(
    requests: Requests, desired: Desired, live: JSONObject, body: JSONObject
) -> JSONObject:
    """Delete ``live``, create ``body`` and return it.

    Raises PlanError when the old object is not gone in time, KubeError when the delete is refused
    or the create fails; in the last case the original is there again, or the error says not.
    """
    key = desired.key
    await requests.client.delete(
        desired.resource,
        namespace=key.namespace,
        name=key.name,
        uid=live["metadata"]["uid"],
        resource_version=live["metadata"]["resourceVersion"],
        propagation="Foreground",
    )
    if not requests.client.dry_run:
        await _until_gone(requests, desired, uid=live["metadata"]["uid"])
    try:
        return await requests.create(desired, body)
    except KubeError as error:
        await _restore(requests, desired, live, error)
        raise


async def _until_gone(requests: Requests, desired: Desired, *, uid: str) -> None:
    left: JSONObject | None = None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DEADLINE):
            while True:
                with contextlib.suppress(NotFound):
                    left = await requests.live(desired)
                if left is None or left["metadata"]["uid"] != uid:
                    return
                await asyncio.sleep(_POLL)
    finalizers = left["metadata"].get("finalizers") if left else None
    raise PlanError(
        f"{desired.key}: deleted to be recreated, and not gone after {DEADLINE:.0f} s; "
        f"it waits for finalizers {finalizers or []}; it is created again when it is gone"
    )


async def _restore(
    requests: Requests, desired: Desired, original: JSONObject, cause: KubeError
) -> None:
    """Put the original back; what stands in the way is added to the cause."""
    body = {**normalise(original), "metadata": _without_server_parts(original["metadata"])}
    try:
        await requests.create(desired, body)
    except KubeError as error:
        cause.add_note(f"and the original could not be put back: {error}")


def _without_server_parts(metadata: JSONObject) -> JSONObject:
    kept = ("name", "namespace", "labels", "annotations", "finalizers", "ownerReferences")
    return {name: metadata[name] for name in kept if name in metadata}
