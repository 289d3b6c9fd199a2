"""Places for requests under way: as many as the limit allows now, first come, first served."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Hashable
from types import TracebackType

from agent.kube.limit import Limit


class Slots:
    """Gives out places, and none during a pause. One event loop only.

    Whoever waits does so without a deadline: each place comes back within that of its holder.
    """

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def allowed(self) -> int:
        """How many places there are now."""
        return self._limit.allowed

    def answered(self, kind: Hashable, seconds: float) -> None:
        """Tell of an answer, as ``Limit.answered``."""
        self._limit.answered(kind, seconds, now=time.monotonic(), wanted=bool(self._waiting))

    def refused(self, seconds: float) -> None:
        """Tell of a server that asks everybody to wait for so many seconds."""
        self._limit.refused(seconds, now=time.monotonic())

    async def take(self, *, first: bool = False) -> None:
        """Wait for a place and take it; ``first`` goes before all that wait already."""
        if not self._waiting and self._is_free():
            self._taken += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if first:
            self._waiting.appendleft(turn)
        else:
            self._waiting.append(turn)
        self._serve()  # nobody may come to give a place back: all of them wait for a pause's end
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was given, and will not be used
                self.give_back()
            raise

    def give_back(self) -> None:
        """Give a place back, to whoever is next."""
        self._taken -= 1
        self._serve()

    def _is_free(self) -> bool:
        return self._taken < self._limit.allowed and not self._limit.pause(time.monotonic())

    def _serve(self) -> None:
        """Give free places to those who wait; during a pause, do so when it is over."""
        while self._waiting and self._taken < self._limit.allowed:
            if pause := self._limit.pause(time.monotonic()):
                self._come_back(pause)
                return
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                self._taken += 1

    def _come_back(self, pause: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(pause, self._pause_over)

    def _pause_over(self) -> None:
        self._timer = None
        self._serve()

    def close(self) -> None:
        """Forget the end of a pause that nobody waits for any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Slot:
    """One request's place; use ``async with``. An ``urgent`` request needs none, and never waits
    for others."""

    def __init__(self, slots: Slots, *, urgent: bool) -> None:
        self._slots = slots
        self._urgent = urgent
        self._held = False

    async def __aenter__(self) -> Slot:
        """Wait for a place."""
        await self._take(first=False)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give it back."""
        self._leave()

    async def stand_back(self, seconds: float, *, everybody: bool) -> None:
        """Wait as the server asks, with the place free; then be the first to have one again.

        ``everybody`` has to wait when the server refuses requests as such; others go on when it
        is about what was asked for, such as a kind that it is just setting up.
        """
        if everybody:
            self._slots.refused(seconds)
        self._leave()
        if self._urgent or not everybody:
            await asyncio.sleep(seconds)
        await self._take(first=True)

    async def _take(self, *, first: bool) -> None:
        if not self._urgent:
            await self._slots.take(first=first)
            self._held = True

    def _leave(self) -> None:
        if self._held:
            self._held = False
            self._slots.give_back()
