"""A term: the time for which this process is the writer of some tracks, and all that goes with it.

Everything that writes or remembers what was written is made for one term, under its fence, and
dropped with it: a new term believes nothing of an earlier one. Without leader election there is
one term, and its fence is open. In between, ``stand_by`` keeps the mirrors of git warm.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

from msgspec.structs import replace

from agent import log
from agent.aio.backoff import Backoff
from agent.aio.inflight import InFlight
from agent.aio.supervise import forever
from agent.aio.workqueue import WorkQueue
from agent.config.model import Track as TrackConfig
from agent.kube import pod
from agent.kube.client import Client
from agent.kube.events import EventRecorder
from agent.manifest.keys import JSONObject
from agent.metrics import Metrics
from agent.plan.ownership import Record
from agent.reconcile.building import TrackBuilder
from agent.reconcile.loops import JITTER, Key, Loops
from agent.reconcile.passes.track import Track
from agent.reconcile.reports.status import TrackStatus
from agent.reconcile.signals import SignalWatch
from agent.reconcile.sources import Sources

logger = logging.getLogger(__name__)

AGAIN = (1.0, 15.0)
"""First and longest pause between the passes of ``once`` with patience, in seconds."""

DRAIN = 20.0
"""Seconds that writes in flight have at the end; Kubernetes' default grace period is 30."""

RECORD = 5.0
"""Seconds that the last status has to be written in."""

EVENTS_DRAIN = 2.0
"""Seconds that Events have at the end to be written."""


@dataclass(frozen=True, slots=True)
class Term:
    """The writers of some tracks, all under one fence. To be run once."""

    loops: Loops
    signals: SignalWatch
    recorder: EventRecorder
    in_flight: InFlight

    async def once(self, *, patience: float | None = None) -> list[TrackStatus]:
        """Make one pass of every track, side by side, and return their states.

        With ``patience``, in seconds, a track that is not in sync has further passes until it is,
        or until that time is over; then its state is what its last whole pass found.
        """
        async with asyncio.TaskGroup() as tasks:
            writer = tasks.create_task(forever("events", self.recorder.run), name="events")
            async with asyncio.TaskGroup() as passing:
                passes = [
                    passing.create_task(
                        track.reconcile() if patience is None else _until_in_sync(track, patience)
                    )
                    for track in self.loops.tracks.values()
                ]
            if lost := await self.in_flight.drain(DRAIN):
                logger.warning("writes cut off", extra=log.fields(count=lost))
            await self.recorder.drain(EVENTS_DRAIN)
            writer.cancel()
        return [done.result() for done in passes]

    async def run(self, stop: asyncio.Event) -> None:
        """Keep the tracks in step until ``stop``; then finish objects in flight, write the state.

        Cancelled, it ends at once and cuts off what is in flight: the Lease is lost, and what
        became of it is for the next leader to see.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                writer = tasks.create_task(forever("events", self.recorder.run), name="events")
                hearing = tasks.create_task(forever("signals", self.signals.run), name="signals")
                running = [hearing, *self.loops.start(tasks)]
                await stop.wait()
                self.loops.stop()
                for task in running:
                    task.cancel()
                await asyncio.gather(*running, return_exceptions=True)
                if lost := await self.in_flight.drain(DRAIN):
                    logger.warning("writes cut off", extra=log.fields(count=lost))
                await _record(list(self.loops.tracks.values()))
                await self.recorder.drain(EVENTS_DRAIN)
                writer.cancel()
        finally:
            self.loops.stop()
            await self.in_flight.drain(0)


async def _until_in_sync(track: Track, patience: float) -> TrackStatus:
    """Make passes of a track until it is in sync; after ``patience`` return what the last found.

    A state that a cut-off pass left behind is none: it may be what the ConfigMap said before.
    """
    found: TrackStatus | None = None
    pauses = Backoff(*AGAIN)
    with suppress(TimeoutError):
        async with asyncio.timeout(patience):
            found = await track.reconcile()
            while not found.is_in_sync:
                await asyncio.sleep(pauses.next())
                found = await track.reconcile()
    if found is not None:
        return found
    status = TrackStatus(track=track.name, repository=track.status.repository)
    return replace(status, problems={"pass": f"not one was done within {patience:.0f}s"})


async def _record(tracks: list[Track]) -> None:
    """Write what is known of the tracks, all at once and not for long: the end must come."""
    try:
        async with asyncio.timeout(RECORD):
            await asyncio.gather(*(track.write_status() for track in tracks))
    except TimeoutError:
        logger.warning("status not written: no answer from the API server in time")


class Terms:
    """The terms of this process that run now.

    ``builder`` makes a TrackBuilder of what is a term's own: ``client``, ``in_flight``,
    ``recorder``, ``signals`` and ``look_again``; ``hearing`` makes a SignalWatch of a client and
    ``on_change``. ``sync_period`` is in seconds.
    """

    def __init__(
        self,
        builder: Callable[..., TrackBuilder],
        hearing: Callable[..., SignalWatch],
        *,
        sync_period: float,
        metrics: Metrics,
    ) -> None:
        self._builder = builder
        self._hearing = hearing
        self._metrics = metrics
        self._sync_period = sync_period
        self._running: list[Term] = []

    def __iter__(self) -> Iterator[Term]:
        """Iterate over a snapshot."""
        return iter(list(self._running))

    @property
    def tracks(self) -> Mapping[str, Track]:
        """The tracks of all running terms, by name."""
        return {name: track for term in self._running for name, track in term.loops.tracks.items()}

    @property
    def queues(self) -> list[WorkQueue[Key]]:
        """The queues of repairs of all running terms."""
        return [term.loops.queue for term in self._running]

    def observe(self, old: Record | None, new: Record | None, body: JSONObject | None) -> None:
        """Hand an observed difference of a live object to whoever's it is."""
        for term in self._running:
            term.loops.observe(old, new, body)

    async def run(
        self, client: Client, tracks: Collection[TrackConfig], stop: asyncio.Event
    ) -> None:
        """Run a new term until ``stop``, or until cancelled; its writes go through ``client``."""
        with self._begun(client, tracks) as term:
            await term.run(stop)

    async def once(
        self, client: Client, tracks: Collection[TrackConfig], *, patience: float | None = None
    ) -> list[TrackStatus]:
        """Make one pass of these tracks and return their states; ``patience`` as ``Term.once``."""
        with self._begun(client, tracks) as term:
            return await term.once(patience=patience)

    @contextmanager
    def _begun(self, client: Client, tracks: Collection[TrackConfig]) -> Iterator[Term]:
        loops = Loops(sync_period=self._sync_period, metrics=self._metrics)
        in_flight = InFlight()
        recorder = EventRecorder(client, instance=pod.name())
        signals = self._hearing(client, on_change=loops.heard)
        builder = self._builder(
            client=client,
            in_flight=in_flight,
            recorder=recorder,
            signals=signals,
            look_again=loops.look_again,
        )
        for track in tracks:
            loops.add(builder.build(track), interval=track.interval)
        term = Term(loops, signals, recorder, in_flight)
        self._running.append(term)
        try:
            yield term
        finally:
            self._running.remove(term)


async def stand_by(sources: Sources, tracks: Collection[TrackConfig], stop: asyncio.Event) -> None:
    """Keep the mirrors of these tracks up to date until ``stop``; nothing is read from the cluster.

    So a take-over starts from the newest revision, and from the last good one when git is away at
    just that time. Watches would cost the API server as much as the leader's do, for every
    replica; lists at the take-over cost it once.
    """
    async with asyncio.TaskGroup() as tasks:
        polls = [
            tasks.create_task(forever(name, partial(_keep_warm, track, sources)), name=name)
            for name, track in ((f"mirror {track.name}", track) for track in tracks)
        ]
        await stop.wait()
        for poll in polls:
            poll.cancel()


async def _keep_warm(track: TrackConfig, sources: Sources) -> None:
    source = sources.build(track)
    said = ""
    while True:
        problem = str((await source.poll()).error or "")
        if problem and problem != said:
            extra = log.fields(track=track.name, error=problem)
            logger.warning("fetch failed, standing by", extra=extra)
        said = problem
        await asyncio.sleep(track.interval * (1 + JITTER * random.random()))  # noqa: S311
