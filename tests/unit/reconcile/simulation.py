"""Replicas, a Lease and time, all simulated, around the real elector and the real fence.

Time is the event loop's and jumps from one event to the next. Each replica has a clock of its own
that is off by what it likes, and may be paused: its tasks are then not run, as by SIGSTOP, while
answers arrive and timers fall due. Requests take their time, get lost, or take effect and lose
their answer.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from random import Random
from types import TracebackType
from typing import Any

from agent.kube.errors import Conflict, TransportError
from agent.kube.fence import LeaseFence, LostLease
from agent.kube.lease import LeaseLock, Record, Stored
from agent.reconcile.leadership.elector import Elector, Timing

TIMING = Timing(lease_duration=15.0, renew_deadline=10.0, retry_period=2.0)

_replica: ContextVar[Replica | None] = ContextVar("_replica", default=None)


class _Skipping(selectors.DefaultSelector):
    """Does not wait for a timer: notes that it waited.

    Each look takes a microsecond, as nothing takes no time: a remainder below the resolution of a
    clock would otherwise never pass.
    """

    waited = 0.0

    def select(self, timeout: float | None = None) -> Any:
        self.waited += (timeout or 0.0) + 1e-6
        return super().select(None if timeout is None else 0)


class TimeLoop(asyncio.SelectorEventLoop):
    """An event loop that never waits: with nothing to do, it is the time of the next timer."""

    def __init__(self) -> None:
        self._skipping = _Skipping()
        super().__init__(self._skipping)
        self.set_task_factory(_start)  # type: ignore[arg-type]  # typeshed allows generators, too

    def time(self) -> float:
        return self._skipping.waited


def _start(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **options: Any
) -> asyncio.Task[Any]:
    replica = _replica.get()
    return asyncio.Task(_Pausable(work, replica) if replica else work, loop=loop, **options)


class _Pausable(Coroutine[Any, Any, Any]):
    """A task's coroutine that is resumed only when its replica runs."""

    def __init__(self, work: Coroutine[Any, Any, Any], replica: Replica) -> None:
        self._work = work
        self._replica = replica
        self._due: BaseException | None = None

    def send(self, value: Any) -> Any:
        if wait := self._replica.pause():
            return wait
        due, self._due = self._due, None
        return self._work.send(value) if due is None else self._work.throw(due)

    def throw(
        self,
        kind: Any,
        value: BaseException | object = None,
        traceback: TracebackType | None = None,
    ) -> Any:
        error: Any = kind if value is None else value
        if wait := self._replica.pause():
            self._due = error
            return wait
        self._due = None
        return self._work.throw(error)

    def close(self) -> None:
        self._work.close()

    def __await__(self) -> Any:
        return (yield from self._work.__await__())


@dataclass
class Server:
    """One Lease with compare-and-swap, behind a network that loses requests and answers."""

    random: Random
    loss: float
    slowest: float
    lease: Stored | None = None
    version: int = 0
    writes: list[tuple[float, str]] = field(default_factory=list)

    async def travel(self) -> None:
        """Be on the way for a while, or for ever: until somebody's deadline."""
        if self.random.random() < self.loss:
            if self.random.random() < 0.5:
                raise TransportError("cut")
            await asyncio.Event().wait()
        await asyncio.sleep(self.random.uniform(0, self.slowest))

    def put(self, record: Record) -> Stored:
        self.version += 1
        self.lease = Stored(record, {"version": self.version})
        return self.lease


class SimulatedLock(LeaseLock):
    """One replica's way to the server."""

    def __init__(self, server: Server, name: str = "x") -> None:
        self.namespace, self.name = "ns", name
        self._server = server

    async def get(self) -> Stored | None:
        await self._server.travel()
        found = self._server.lease
        await self._server.travel()
        return found

    async def create(self, record: Record) -> Stored:
        await self._server.travel()
        if self._server.lease is not None:
            raise _conflict()
        made = self._server.put(record)
        await self._server.travel()
        return made

    async def update(self, seen: Stored, record: Record) -> Stored:
        await self._server.travel()
        if self._server.lease is not seen:
            raise _conflict()
        made = self._server.put(record)
        await self._server.travel()
        return made


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _conflict() -> Conflict:
    return Conflict(status=409, reason="Conflict", message="changed", request="PUT x")


class Replica:
    """A candidate that writes all the time while its fence lets it.

    ``pauses`` are (from, length) in seconds, ``skew`` is how far its clock is off.
    """

    def __init__(
        self, name: str, server: Server, *, skew: float, pauses: Sequence[tuple[float, float]]
    ) -> None:
        self.name = name
        self.fence: LeaseFence | None = None
        self.stop = asyncio.Event()
        self.rivals: Sequence[Replica] = ()
        self.faults: list[str] = []
        self.wrote = 0
        self.refused = 0
        self._pauses = pauses
        self._loop = asyncio.get_running_loop()
        self.elector = Elector(
            SimulatedLock(server), TIMING, identity=name, clock=lambda: self._loop.time() + skew
        )

    def pause(self) -> Any:
        """Return what a task has to wait for before it is resumed, None while we run."""
        now = self._loop.time()
        ends = [start + length for start, length in self._pauses if start <= now < start + length]
        if not ends:
            return None
        waiter = self._loop.create_future()
        self._loop.call_at(max(ends), _wake, waiter)
        waiter._asyncio_future_blocking = True
        return waiter

    async def run(self) -> None:
        _replica.set(self)
        await asyncio.create_task(
            self.elector.run(self.stop, lead=self._lead, stand_by=asyncio.Event().wait)  # type: ignore[arg-type]
        )

    async def _lead(self, fence: LeaseFence) -> None:
        self.fence = fence
        while not self.stop.is_set():
            try:
                fence.check("PATCH x")
            except LostLease:
                self.refused += 1
                await asyncio.Event().wait()  # until we are cancelled
            self._write()
            await asyncio.sleep(0.1)

    def _write(self) -> None:
        self.wrote += 1
        for rival in self.rivals:
            if rival is not self and rival.fence is not None and rival.fence.remaining() > 0:
                self.faults.append(f"at {self._loop.time()}: {self.name} and {rival.name}")
