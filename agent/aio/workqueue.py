"""A coalescing queue of keys, as client-go's workqueue with its rate limiter.

A key that is added while it waits is there once; added while it is worked on, it is worked on once
more afterwards: never two workers on one key, and never a lost change. A key that failed comes
back after its own back-off.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from agent.aio.backoff import Backoff

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """Keys waiting for a worker. Not thread-safe: one event loop only.

    ``first`` and ``longest`` bound a key's back-off in seconds.
    """

    def __init__(self, *, first: float, longest: float) -> None:
        self._limits = (first, longest)
        self._ready: deque[K] = deque()
        self._waiting: set[K] = set()
        self._working: set[K] = set()
        self._again: set[K] = set()
        self._backoffs: dict[K, Backoff] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._arrived = asyncio.Event()

    def __len__(self) -> int:
        """Return how many keys wait or are worked on; keys in back-off do not count."""
        return len(self._waiting) + len(self._working)

    def add(self, key: K) -> None:
        """Ask for ``key`` to be worked on as soon as possible; ends its back-off pause."""
        self._cancel_timer(key)
        if key in self._working:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.append(key)
            self._arrived.set()

    def retry(self, key: K, *, after: float | None = None) -> float:
        """Ask for ``key`` after its back-off, which grows; return the pause in seconds.

        ``after`` is a pause in place of the back-off, for those who know when it makes sense.
        A retry that is pending already stays as it is: asking often must not put it off.
        """
        loop = asyncio.get_running_loop()
        if (pending := self._timers.get(key)) is not None:
            return pending.when() - loop.time()
        pause = after
        if pause is None:
            pause = self._backoffs.setdefault(key, Backoff(*self._limits)).next()
        self._timers[key] = loop.call_later(pause, self.add, key)
        return pause

    def forget(self, key: K) -> None:
        """Reset the back-off of ``key`` after a success, and drop a pending retry."""
        self._backoffs.pop(key, None)
        self._cancel_timer(key)

    async def get(self) -> K:
        """Wait for a key and take it; the caller must call ``done`` with it."""
        while not self._ready:
            self._arrived.clear()
            await self._arrived.wait()
        key = self._ready.popleft()
        self._waiting.discard(key)
        self._working.add(key)
        return key

    def done(self, key: K) -> None:
        """Say that the work on ``key`` has ended, well or not."""
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def close(self) -> None:
        """Cancel all pending retries."""
        for key in list(self._timers):
            self._cancel_timer(key)

    def _cancel_timer(self, key: K) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
