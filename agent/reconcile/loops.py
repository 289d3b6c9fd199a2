"""When things happen: polls with jitter, the resync, the repair of drift, the retries.

Timers and watches only put keys on queues or ring bells; one task a track makes its passes, and a
few workers look at single objects.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Mapping
from typing import Any

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from agent.aio.backoff import Backoff
from agent.aio.supervise import forever
from agent.aio.workqueue import WorkQueue
from agent.apply.signals import Signals
from agent.manifest.keys import JSONObject, ObjectKey
from agent.metrics import OBJECTS, Metrics
from agent.plan.change import Outcome
from agent.plan.ownership import Record
from agent.reconcile.passes.track import Track
from agent.reconcile.sightings import Sightings

WORKERS = 32
"""Objects repaired at once."""

RETRY = (1.0, 300.0)
"""First and longest pause before a failed object is tried again, in seconds."""

STATUS_PAUSE = 1.0
"""Seconds over which changes of the status are gathered into one write."""

STATUS_RETRY = 15.0
"""Seconds until a status that could not be written is tried again."""

GRACE = 5.0
"""Seconds that a poll may be late before it is made without its timer."""

JITTER = 0.1
"""Share of the interval by which a poll is delayed at random, so that many agents spread out."""

Key = tuple[str, ObjectKey]


class TrackLoop:
    """Makes the passes of one track, one at a time, when its bell rings.

    ``patience`` is how long it waits for the bell, in seconds; ``running`` is true while there is
    somebody to hear it, ``passed`` once a first pass was made.
    """

    def __init__(self, track: Track, queue: WorkQueue[Key], *, interval: float) -> None:
        self.track = track
        self.patience = interval * (1 + JITTER) + GRACE
        self.running = False
        self.passed = False
        self._retry: asyncio.TimerHandle | None = None
        self._queue = queue
        self._bell = asyncio.Event()
        self._resync = False
        self._backoff = Backoff(*RETRY)
        self._status_stale = asyncio.Event()

    def ring(self, *, resync: bool = False) -> None:
        """Ask for a pass as soon as the running one has ended."""
        self._resync |= resync
        self._bell.set()

    def status_changed(self) -> None:
        """Say that a repair changed what the status tells."""
        self._status_stale.set()

    async def passes(self) -> None:
        """Make a pass at each ring; failed objects go to the queue, each with its back-off."""
        self.track.measures.sign()
        self.running = True
        try:
            await self._passes()
        finally:
            self.running = False

    async def _passes(self) -> None:
        while True:
            # Timers go by the wall clock: when it is set back, this one rings in their place.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.patience):
                    await self._bell.wait()
            self._bell.clear()
            resync, self._resync = self._resync, False
            await self.track.reconcile(resync=resync)
            self.passed = True
            self._plan_retry()
            for key, outcome in self.track.outcomes.items():
                if outcome.error:
                    self._queue.retry((self.track.name, key), after=outcome.retry_in)

    def _plan_retry(self) -> None:
        """Make another pass before the next poll when this one was stopped, e.g. no API server."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self.track.stopped:
            loop = asyncio.get_running_loop()
            self._retry = loop.call_later(self._backoff.next(), self.ring)
        else:
            self._backoff.reset()

    async def watch(self) -> None:
        """Ring whenever the source says that it changed; for sources that can."""
        if (changes := self.track.changes()) is None:
            await asyncio.Event().wait()
        else:
            async with contextlib.aclosing(changes):
                async for _ in changes:
                    self.ring()

    async def status_writes(self) -> None:
        """Write the status after repairs, at most once every STATUS_PAUSE seconds."""
        while True:
            await self._status_stale.wait()
            await asyncio.sleep(STATUS_PAUSE)
            self._status_stale.clear()
            if not await self.track.write_status():
                self._status_stale.set()
                await asyncio.sleep(STATUS_RETRY)


class Loops:
    """All loops of the agent. ``start`` puts them into a TaskGroup, ``stop`` ends the timers."""

    def __init__(self, *, sync_period: float, metrics: Metrics) -> None:
        self._sync_period = sync_period
        self._queue: WorkQueue[Key] = WorkQueue(
            first=RETRY[0], longest=RETRY[1], observer=metrics.queue(OBJECTS)
        )
        self._sightings: Sightings[Key] = Sightings()
        self._loops: dict[str, TrackLoop] = {}
        self._scheduler: Any = AsyncIOScheduler(
            timezone="UTC",
            # A busy loop must delay a poll, not skip it; overdue polls become one.
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )

    def add(self, track: Track, *, interval: float) -> None:
        """Take up a track: a first pass at once, then a poll every ``interval`` seconds."""
        loop = TrackLoop(track, self._queue, interval=interval)
        self._loops[track.name] = loop
        self._every(interval, loop, resync=False)
        self._every(self._sync_period, loop, resync=True)
        loop.ring()

    def start(self, tasks: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Start everything; the tasks run until they are cancelled."""
        self._scheduler.start()
        work = {f"worker {number}": self._repairs for number in range(WORKERS)}
        for name, loop in self._loops.items():
            work[f"track {name}"] = loop.passes
            work[f"status {name}"] = loop.status_writes
            work[f"watch {name}"] = loop.watch
        return [tasks.create_task(forever(name, run), name=name) for name, run in work.items()]

    def stop(self) -> None:
        """End timers and pending retries."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        self._queue.close()

    @property
    def tracks(self) -> Mapping[str, Track]:
        """The tracks by name."""
        return {name: loop.track for name, loop in self._loops.items()}

    @property
    def passes(self) -> Collection[TrackLoop]:
        """The loops that make the tracks' passes."""
        return self._loops.values()

    @property
    def queue(self) -> WorkQueue[Key]:
        """The queue of objects to be repaired, for those who want to see it."""
        return self._queue

    def observe(self, old: Record | None, new: Record | None, body: JSONObject | None) -> None:
        """Hear of a live object that differs from before; queue it if that may be drift.

        An object that no pass has worked on yet is left to the pass. ``body`` is the object as it
        is now, if it came along.
        """
        record = new or old
        if record is None or _is_same(old, new):
            return
        for name, loop in self._loops.items():
            track = loop.track
            if record.key not in track.outcomes:
                continue
            if new is None or not track.is_settled(new):
                self._sightings.keep((name, record.key), body)
                self._queue.add((name, record.key))

    def heard(self, track: str, signals: Signals | None) -> None:
        """Hear what people ask of a track: take note at once, and make a pass.

        None says that its ConfigMap is gone: nothing is asked any more, and what was in it has to
        be found out and written anew.
        """
        loop = self._loops.get(track)
        if loop is not None:
            loop.track.heed(signals or Signals())
            loop.ring(resync=signals is None)

    def look_again(self, track: str, key: ObjectKey) -> None:
        """Queue one object of a track."""
        self._queue.add((track, key))

    async def _repairs(self) -> None:
        """Take keys off the queue for ever."""
        while True:
            key = await self._queue.get()
            try:
                await self._repair(key)
            finally:
                self._queue.done(key)

    async def _repair(self, key: Key) -> None:
        name, object_key = key
        loop = self._loops[name]
        before = loop.track.outcomes.get(object_key)
        outcome = await loop.track.repair(object_key, seen=self._sightings.take(key))
        if outcome is None or not outcome.error:
            self._queue.forget(key)
        else:
            self._queue.retry(key, after=outcome.retry_in)
        if _tells_otherwise(before, outcome):
            loop.status_changed()

    def _every(self, seconds: float, loop: TrackLoop, *, resync: bool) -> None:
        trigger = IntervalTrigger(seconds=seconds, jitter=seconds * JITTER, timezone="UTC")
        self._scheduler.add_job(_ring, trigger, args=(loop, resync))


def _is_same(old: Record | None, new: Record | None) -> bool:
    """Tell whether an event brings no more than a status: what was wrong before is known."""
    if old is None or new is None:
        return False
    same_content = (old.uid, old.digest, old.owner) == (new.uid, new.digest, new.owner)
    return same_content and old.deleting == new.deleting


async def _ring(loop: TrackLoop, resync: bool) -> None:
    """Ring on the event loop: APScheduler would run a plain function in a thread."""
    loop.ring(resync=resync)


def _tells_otherwise(before: Outcome | None, after: Outcome | None) -> bool:
    """True when the status has to say something else than before."""
    if before is None or after is None:
        return before is not after
    return (before.error, before.reason, before.in_sync) != (
        after.error,
        after.reason,
        after.in_sync,
    )
