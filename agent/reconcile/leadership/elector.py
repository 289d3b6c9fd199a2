"""One candidate for one Lease: campaign, lead under a fence, stand by, let go.

Leading is a scope: a coroutine that is run with the term's fence while the Lease is held, and
cancelled when it is lost; the process goes on and campaigns again. The decisions are
``kube.election``'s; here are the requests, the pauses and the deadlines.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from agent import log
from agent.config.election import JITTER
from agent.kube import election
from agent.kube.election import Observation
from agent.kube.errors import Conflict, Forbidden, KubeError, NotFound
from agent.kube.fence import Clock, LeaseFence, clock
from agent.kube.lease import LeaseLock, Record, Stored, micro_time, whole_seconds

logger = logging.getLogger(__name__)

RELEASE = 5.0
"""Seconds that letting go of the Lease may take; it expires by itself otherwise."""

Term = Callable[[LeaseFence], Awaitable[None]]
"""The work of a leader. Ends by itself only when the process is to end."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The times of an election, in seconds; see ``config.model.LeaderElection``."""

    lease_duration: float
    renew_deadline: float
    retry_period: float

    @property
    def attempt(self) -> float:
        """Seconds that one attempt may take: two fit before a leader has to stop."""
        return self.renew_deadline / 2


class _Taken(Exception):
    """Somebody else holds the Lease."""


class Elector:
    """A candidate. ``name`` is the Lease's, ``holder`` who held it when it was last seen.

    ``identity`` must be this process' alone. ``handicap`` gives seconds to leave to others before
    a free Lease is taken.
    """

    def __init__(
        self,
        lock: LeaseLock,
        timing: Timing,
        *,
        identity: str,
        handicap: Callable[[], float] = lambda: 0.0,
        clock: Clock = clock,
    ) -> None:
        self.identity = identity
        self.is_leader = False
        self._lock = lock
        self._timing = timing
        self._handicap = handicap
        self._clock = clock
        self._duration = whole_seconds(timing.lease_duration)
        self._seen: Observation | None = None
        self._written: Record | None = None  # what we sent last, whether it arrived or not
        self._said = ""

    @property
    def name(self) -> str:
        """The Lease's name."""
        return self._lock.name

    @property
    def holder(self) -> str:
        """The identity in the Lease as it was last seen; "" for none."""
        return self._seen.record.holder if self._seen and self._seen.record else ""

    async def run(
        self, stop: asyncio.Event, *, lead: Term, stand_by: Callable[[], Awaitable[None]]
    ) -> None:
        """Campaign and lead, again and again, until ``stop``; the Lease is then let go.

        ``lead`` has to look after ``stop`` itself, so that it can end its work in peace while the
        Lease is still renewed. ``stand_by`` runs while somebody else leads. What either raises
        ends it.
        """
        while not stop.is_set():
            fence = await self._campaign(stop, stand_by)
            if fence is not None:
                await self._lead(fence, lead)

    # --- campaign ---------------------------------------------------------------------------------

    async def _campaign(
        self, stop: asyncio.Event, stand_by: Callable[[], Awaitable[None]]
    ) -> LeaseFence | None:
        """Return the fence of a new term, or None when the agent is to stop."""
        if (fence := await self._attempt(stop)) is not None:
            return fence
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(_called(stand_by), name=f"stand-by {self._lock}")
            while fence is None and not stop.is_set():
                await _either(stop, self._pause())
                fence = await self._attempt(stop)
            waiting.cancel()
        return fence

    def _pause(self) -> float:
        """Return the seconds until the next attempt: when the Lease expires, if that is sooner."""
        retry = self._timing.retry_period
        pause = retry * random.uniform(1, JITTER)  # noqa: S311  # jitter, not a secret
        left = self._held_for()
        return min(pause, left + retry * random.uniform(0, JITTER - 1)) if left else pause  # noqa: S311

    async def _attempt(self, stop: asyncio.Event) -> LeaseFence | None:
        """Try once to get the Lease; what stands in the way is logged once."""
        try:
            if not await self._is_free():
                return None
            if not self._was_ours() and (others_first := self._handicap()):
                await _either(stop, others_first)
                if stop.is_set() or not await self._is_free():
                    return None
            async with asyncio.timeout(self._timing.attempt):
                sent = await self._take()
        except (KubeError, TimeoutError) as error:
            self._complain(error)
            return None
        self._said = ""
        return LeaseFence(
            str(self._lock),
            good_for=self._timing.renew_deadline,
            renewed=sent,
            clock=self._clock,
        )

    async def _is_free(self) -> bool:
        async with asyncio.timeout(self._timing.attempt):
            await self._look()
        if self._was_ours() or not self._held_for():
            return True
        self._tell_holder()
        return False

    async def _look(self) -> Stored | None:
        stored = await self._lock.get()
        self._seen = election.observe(self._seen, stored, now=self._clock())
        return stored

    def _held_for(self) -> float:
        if self._seen is None:
            return 0.0
        fallback = self._timing.lease_duration
        return election.held_for(self._seen, now=self._clock(), fallback=fallback)

    def _was_ours(self) -> bool:
        """Tell whether the Lease says what we wrote last, so that nobody had it since.

        Our name alone is no proof: it may be there by hand while the holder still writes.
        """
        seen = self._seen
        return seen is not None and seen.stored is not None and seen.record == self._written

    async def _take(self) -> float:
        """Write ourselves into the Lease; return when that was sent. Raises KubeError."""
        seen = self._seen.record if self._seen else None
        return await self._write(
            election.acquired(
                seen, identity=self.identity, duration=self._duration, wall_time=micro_time()
            )
        )

    async def _write(self, record: Record) -> float:
        """Write over the Lease as it was seen; return when that was sent. Raises KubeError."""
        seen = self._seen.stored if self._seen else None
        self._written = record
        sent = self._clock()
        if seen is None:
            stored = await self._lock.create(record)
        else:
            stored = await self._lock.update(seen, record)
        # The server may round what it stores: from here on its words count.
        self._written = stored.record
        self._seen = election.observe(self._seen, stored, now=self._clock())
        return sent

    # --- lead -------------------------------------------------------------------------------------

    async def _lead(self, fence: LeaseFence, lead: Term) -> None:
        """Run the work until it ends or the Lease is lost; let the Lease go in the first case."""
        logger.info("leading", extra=log.fields(lease=str(self._lock), identity=self.identity))
        self.is_leader = True
        try:
            async with asyncio.TaskGroup() as tasks:
                work = tasks.create_task(_called(partial(lead, fence)), name=f"leader {self._lock}")
                renewal = tasks.create_task(self._renew(fence), name=f"renew {self._lock}")
                await asyncio.wait({work, renewal}, return_when=asyncio.FIRST_COMPLETED)
                work.cancel()
                renewal.cancel()
        finally:
            self.is_leader = False
            if not fence.lost.is_set():
                fence.close()
                await self._release()

    async def _renew(self, fence: LeaseFence) -> None:
        """Renew until the Lease is lost; the fence is then closed."""
        why = ""
        while left := fence.remaining():
            await _either(fence.lost, min(self._timing.retry_period, left))
            if not (left := fence.remaining()):
                break
            try:
                async with asyncio.timeout(min(self._timing.attempt, left)):
                    fence.extend(await self._renew_once())
                why = ""
            except _Taken:
                why = f"held by {self.holder}" if self.holder else "released by somebody"
                fence.close()
            except (KubeError, TimeoutError) as error:
                why = _reason(error)
        logger.error(
            "no longer leading",
            extra=log.fields(
                lease=str(self._lock), error=why or "not renewed in time: was the process stopped?"
            ),
        )

    async def _renew_once(self) -> float:
        """Renew the Lease as we know it, else as it turns out to be; return when that was sent.

        Raises _Taken when somebody else has it, KubeError when it could not be renewed.
        """
        with contextlib.suppress(Conflict, NotFound):
            return await self._write(self._renewed())
        stored = await self._look()
        # One that was deleted is made again: who saw us in it waits as if it were still there.
        if stored is not None and stored.record.holder != self.identity:
            raise _Taken
        return await self._write(self._renewed())

    def _renewed(self) -> Record:
        record = self._seen.record if self._seen else None
        if record is None:
            raise RuntimeError("a Lease is renewed that was never seen")
        return election.renewed(record, duration=self._duration, wall_time=micro_time())

    async def _release(self) -> None:
        """Let the next one in at once. Not renewing any more would do as well, only later."""
        try:
            async with asyncio.timeout(RELEASE):
                for _ in range(2):
                    if self._seen is None or self._seen.record is None:
                        return
                    free = election.released(self._seen.record, wall_time=micro_time())
                    with contextlib.suppress(Conflict, NotFound):
                        await self._write(free)
                        break
                    stored = await self._look()
                    if stored is None or stored.record.holder != self.identity:
                        return
        except (KubeError, TimeoutError) as error:
            reason = _reason(error)
            logger.warning(
                "Lease not released", extra=log.fields(lease=str(self._lock), error=reason)
            )
            return
        logger.info("Lease released", extra=log.fields(lease=str(self._lock)))

    # --- what is said -----------------------------------------------------------------------------

    def _tell_holder(self) -> None:
        said = f"held by {self.holder}"
        if said != self._said:
            extra = log.fields(lease=str(self._lock), holder=self.holder, identity=self.identity)
            logger.info("standing by", extra=extra)
        self._said = said

    def _complain(self, error: Exception) -> None:
        """Say once why the Lease cannot be had; a Conflict is somebody who was quicker."""
        said = type(error).__name__
        if said != self._said and not isinstance(error, Conflict):
            hint = ""
            if isinstance(error, Forbidden):
                hint = (
                    "; allow get, create and update of leases.coordination.k8s.io in namespace "
                    f"{self._lock.namespace}"
                )
            logger.warning(
                "no Lease, no work",
                extra=log.fields(lease=str(self._lock), error=f"{_reason(error)}{hint}"),
            )
        self._said = said


def _reason(error: Exception) -> str:
    return str(error) or "no answer from the API server in time"


async def _called(work: Callable[[], Awaitable[None]]) -> None:
    """Call and await: a task that is cancelled before it starts leaves no coroutine behind."""
    await work()


async def _either(event: asyncio.Event, pause: float) -> None:
    """Wait for an event, but not longer than ``pause`` seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(pause):
            await event.wait()
