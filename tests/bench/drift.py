"""How soon the agent puts back what somebody edits: one object at a time, and many at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from statistics import median, quantiles

from tests.bench.contestants import Course
from tests.bench.events import KINDS, LABEL, Edit, watch
from tests.bench.fleet import Object
from tests.bench.floor import Requests, collection, everywhere
from tests.bench.running import AGENT, agent

_MERGE = "application/merge-patch+json"
_DRIFT = "drift"
_FLOORS = 5
_QUIET = 3.0
"""Seconds between looks at what is left to be put back: each is a load that the agent has not."""

_PATIENCE = 120.0  # seconds until what is not put back never is


@dataclass(frozen=True, slots=True)
class Storm:
    """One storm and its floor, in seconds."""

    seconds: float
    floor: float


@dataclass(frozen=True, slots=True)
class Drift:
    """Seconds from an edit's watch event to that of its repair, and of storms of edits.

    ``storms`` are those from the first edit until the server has answered the last repair, each
    with the ``floor`` of as many bare patches just before it.
    """

    edits: int
    p50: float
    p99: float
    storms: tuple[Storm, ...]
    size: int

    @property
    def ratio(self) -> float:
        """How many times as long as the bare patches a storm takes: the median of all."""
        return median(storm.seconds / storm.floor for storm in self.storms)


def drift(course: Course, *, edits: int, storm: int, storms: int) -> Drift:
    """Edit objects one after the other, then ``storm`` at once; ``storms`` times, with bare patches
    in turn.

    Each time the agent starts anew: the bare patches are made without it, and who puts the same
    back too often backs off from a fight.
    """
    objects = [obj for obj in course.fleet.objects if obj["kind"] in KINDS]
    objects.sort(key=lambda obj: KINDS.index(obj["kind"]))
    many, single = objects[:storm], objects[:edits]
    took: list[float] = []
    found = []
    for number in range(storms):
        floor = asyncio.run(_floor(course, many))
        with agent(course):
            repaired, seconds = asyncio.run(_repairs(course, single[number::storms], many))
        took += repaired
        found.append(Storm(seconds, floor))
    return Drift(len(took), median(took), quantiles(took, n=100)[98], tuple(found), len(many))


async def _repairs(
    course: Course, single: list[Object], many: list[Object]
) -> tuple[list[float], float]:
    async with _requests(course) as requests:
        async with watch(course, KINDS) as events:
            took = [await _edit(requests, events, obj) for obj in single]
        await requests.connect()
        return took, await _storm(course, requests, many)


async def _floor(course: Course, objects: list[Object]) -> float:
    """Return the seconds for bare patches, the mean of a few times in a row.

    Not the median: now and then the API server collects its garbage for a fifth of a second. As a
    storm is more than twice the work, that falls into more of the storms than of these, and a
    median would leave it out here alone.
    """
    async with _requests(course) as requests:
        await requests.connect()
        started = time.perf_counter()
        for number in range(_FLOORS):
            body = {"metadata": {"annotations": {"bench": f"{number} {time.time()}"}}}
            await asyncio.gather(*(_patch(requests, obj, body) for obj in objects))
        return (time.perf_counter() - started) / _FLOORS


def _requests(course: Course) -> Requests:
    plane = course.plane
    return Requests(plane.url, str(plane.ca), plane.admin_token)


async def _storm(course: Course, requests: Requests, objects: list[Object]) -> float:
    """Edit all objects at once; the server's audit log tells when the last one was put back.

    Nothing of the bench watches meanwhile: two cores are shared here, and the floor, which this is
    set beside, has no watch either.
    """
    since, started = course.plane.mark(), time.time()
    await asyncio.gather(*(_drift(requests, obj) for obj in objects))
    deadline = time.monotonic() + _PATIENCE
    while True:
        await asyncio.sleep(_QUIET)
        if not (left := _drifted(course)):
            return _last_repair(course, since, objects) - started
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(left)} objects are not put back, such as {min(left)}")


def _drifted(course: Course) -> set[str]:
    """Return the objects that carry the edit."""
    client, query = course.plane.client, f"labelSelector={LABEL}={_DRIFT}"
    examples = {obj["kind"]: obj for obj in course.fleet.files[course.fleet.first]}
    return {
        f"{kind} {item['metadata']['namespace']}/{item['metadata']['name']}"
        for kind in KINDS
        for item in client.json("GET", f"{everywhere(examples[kind])}?{query}")["items"]
    }


def _last_repair(course: Course, since: int, objects: list[Object]) -> float:
    """Return when the last of the agent's patches of these objects was answered (Unix seconds)."""
    found = {
        (request.resource, request.namespace, request.name): request.answered_at
        for request in course.plane.audit(since, user_agent=AGENT)
        if (request.verb, request.code) == ("patch", 200) and "dryRun" not in request.query
    }
    repaired = [found.get(_target(obj)) for obj in objects]
    answered = [at for at in repaired if at is not None]
    if len(answered) < len(objects):
        raise RuntimeError(f"{len(objects) - len(answered)} objects were put back by nobody")
    return max(answered)


def _target(obj: Object) -> tuple[str, str, str]:
    plural = collection(obj).rpartition("/")[2]
    return plural, obj["metadata"]["namespace"], obj["metadata"]["name"]


async def _edit(requests: Requests, events: AsyncIterator[Edit], obj: Object) -> float:
    key = obj["kind"], obj["metadata"]["name"]
    await _drift(requests, obj)
    edited = 0.0
    async for seen in events:
        if (seen.kind, seen.name) != key:
            continue
        if seen.label == _DRIFT:
            edited = seen.at
        elif edited:
            return seen.at - edited
    raise RuntimeError("the watch ended")


async def _drift(requests: Requests, obj: Object) -> None:
    await _patch(requests, obj, {"metadata": {"labels": {LABEL: _DRIFT}}})


async def _patch(requests: Requests, obj: Object, body: object) -> None:
    path = f"{collection(obj)}/{obj['metadata']['name']}"
    await requests.send("PATCH", path, body, content_type=_MERGE)
