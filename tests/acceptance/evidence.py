"""What a person would look at: conditions and Events of a track, and live objects."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from agent.reconcile.reports.status import Condition, TrackStatus
from tests.eventually import eventually
from tests.integration.reconcile.conftest import World


@dataclass(frozen=True, slots=True)
class Told:
    """One Event; ``about`` is its involvedObject, ``count`` how often it was told."""

    type: str
    reason: str
    message: str
    about: dict[str, str]
    count: int


async def events(world: World, *, track: str = "shop") -> list[Told]:
    """Return the Events on a track's ConfigMap."""
    name = f"{world.name}.{track}"
    listed = await world.do(
        "get", "events", f"--field-selector=involvedObject.name={name}", "-o", "json"
    )
    return [
        Told(e["type"], e["reason"], e["message"], e["involvedObject"], e["count"])
        for e in json.loads(listed)["items"]
    ]


async def messages(world: World, reason: str, *, track: str = "shop") -> list[str]:
    """Return what the Events of one reason say, sorted."""
    told = await events(world, track=track)
    return sorted(event.message for event in told if event.reason == reason)


async def reasons(world: World) -> list[str]:
    """Return the reasons of all Events on the track, sorted, one for each Event."""
    return sorted(event.reason for event in await events(world))


def condition(status: TrackStatus, kind: str) -> Condition:
    """Return one of the four conditions."""
    [found] = [c for c in status.conditions if c.type == kind]
    return found


def verdict(status: TrackStatus, kind: str) -> tuple[str, str]:
    """Return status and reason of a condition."""
    found = condition(status, kind)
    return found.status, found.reason


def owner(world: World, *, track: str = "shop") -> str:
    """Return how a track is called in the marks on its objects: by its inventory."""
    return f"{world.namespace}/{world.name}.{track}"


async def live(world: World, *what: str) -> dict[str, Any]:
    """Return an object that has to be there."""
    found = await world.get(*what)
    assert found is not None, f"{what} is not there"
    return found


async def identity(world: World, *what: str) -> tuple[str, str]:
    """Return UID and resourceVersion: equal before and after means that nobody wrote."""
    metadata = (await live(world, *what))["metadata"]
    return metadata["uid"], metadata["resourceVersion"]


async def reached(world: World, commit: str) -> dict[str, Any]:
    """Wait until the running agent has made a pass on a commit; return the status it wrote."""

    async def there() -> dict[str, Any] | None:
        status = await world.status()
        return status if status.get("commit") == commit else None

    status: dict[str, Any] = await eventually(there, within=30, what=f"a pass on {commit}")
    return status


async def collect_garbage(world: World, *what: str) -> None:
    """Do the absent garbage collector's part: let an object go that is deleted in foreground."""

    async def deleted() -> bool:
        found = await world.get(*what)
        return bool(found and found["metadata"].get("deletionTimestamp"))

    await eventually(deleted, what=f"a deletion of {what}")
    await world.do("patch", *what, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
