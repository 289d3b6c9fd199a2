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
from tests.bench.floor import Requests, collection
from tests.bench.running import agent

_MERGE = "application/merge-patch+json"
_DRIFT = "drift"
_FLOORS = 5


@dataclass(frozen=True, slots=True)
class Drift:
    """Seconds from an edit's watch event to that of its repair, and of storms of edits.

    ``storms`` are those until all is repaired, ``floors`` those of as many bare patches.
    """

    edits: int
    p50: float
    p99: float
    storms: tuple[float, ...]
    floors: tuple[float, ...]
    size: int

    @property
    def ratio(self) -> float:
        """How many times as long as the bare patches a storm takes: medians."""
        return median(self.storms) / median(self.floors)


def drift(course: Course, *, edits: int, storm: int, storms: int) -> Drift:
    """Edit objects one after the other, then ``storm`` at once, ``storms`` times.

    Few times each: more would be a fight, from which the agent backs off.
    """
    objects = [obj for obj in course.fleet.objects if obj["kind"] in KINDS]
    objects.sort(key=lambda obj: KINDS.index(obj["kind"]))
    many, single = objects[:storm], objects[:edits]
    floors = asyncio.run(_floors(course, many))
    with agent(course):
        took, repaired = asyncio.run(_repairs(course, single, many, storms))
    cuts = quantiles(took, n=100)
    return Drift(len(took), median(took), cuts[98], tuple(repaired), tuple(floors), len(many))


async def _repairs(
    course: Course, single: list[Object], many: list[Object], storms: int
) -> tuple[list[float], list[float]]:
    async with watch(course, KINDS) as events, _requests(course) as requests:
        took = [await _edit(requests, events, obj) for obj in single]
        repaired = []
        for _ in range(storms):
            repaired.append(await _storm(requests, events, many))
            await asyncio.sleep(2)
        return took, repaired


async def _floors(course: Course, objects: list[Object]) -> list[float]:
    """Return the seconds for bare patches while there is no agent to take part."""
    found = []
    async with _requests(course) as requests:
        for _ in range(_FLOORS):
            body = {"metadata": {"annotations": {"bench": str(time.time())}}}
            started = time.perf_counter()
            await asyncio.gather(*(_patch(requests, obj, body) for obj in objects))
            found.append(time.perf_counter() - started)
    return found


def _requests(course: Course) -> Requests:
    plane = course.plane
    return Requests(plane.url, str(plane.ca), plane.admin_token)


async def _storm(requests: Requests, events: AsyncIterator[Edit], objects: list[Object]) -> float:
    left = {(obj["kind"], obj["metadata"]["name"]) for obj in objects}
    drifted = set[tuple[str, str]]()
    started = time.time()
    sent = asyncio.gather(*(_drift(requests, obj) for obj in objects))
    async for seen in events:
        key = seen.kind, seen.name
        if seen.label == _DRIFT:
            drifted.add(key)
        elif key in drifted:
            left.discard(key)
        if not left:
            break
    await sent
    return seen.at - started


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
