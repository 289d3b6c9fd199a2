"""A coalescing queue of keys, as client-go's workqueue with its rate limiter.

A key that is added while it waits is there once; added while it is worked on, it is worked on once
more afterwards: never two workers on one key, and never a lost change. A key that failed comes
back after its own back-off.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar

from agent.aio.backoff import Backoff

K = TypeVar("K", bound=Hashable)


class Observer(Protocol):
    """Who hears what happens in a queue; must be quick. Times are seconds."""

    def added(self) -> None:
        """A key was added that did not wait already."""

    def retried(self) -> None:
        """A key was put off."""

    def taken(self, waited: float) -> None:
        """A worker took a key."""

    def finished(self, worked: float) -> None:
        """The work on a key has ended."""


class Unobserved:
    """The observer of a queue that nobody measures."""

    def added(self) -> None:
        """Do nothing."""

    def retried(self) -> None:
        """Do nothing."""

    def taken(self, waited: float) -> None:
        """Do nothing."""

    def finished(self, worked: float) -> None:
        """Do nothing."""


class WorkQueue(Generic[K]):
    """Keys waiting for a worker. Not thread-safe: one event loop only.

    ``first`` and ``longest`` bound a key's back-off in seconds; ``observer`` hears what happens.
    """

    def __init__(self, *, first: float, longest: float, observer: Observer | None = None) -> None:
        self._observer = observer or Unobserved()
        self._limits = (first, longest)
        self._ready: asyncio.Queue[K] = asyncio.Queue()
        self._waiting: dict[K, float] = {}  # since when
        self._working: dict[K, float] = {}
        self._again: set[K] = set()
        self._backoffs: dict[K, Backoff] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        """Return how many keys wait or are worked on; keys in back-off do not count."""
        return len(self._waiting) + len(self._working)

    @property
    def depth(self) -> int:
        """How many keys wait for a worker."""
        return len(self._waiting)

    def working(self) -> list[float]:
        """Return for how many seconds each key under work has been."""
        now = time.monotonic()
        return [now - since for since in self._working.values()]

    def add(self, key: K) -> None:
        """Ask for ``key`` to be worked on as soon as possible; ends its back-off pause."""
        self._cancel_timer(key)
        if key in self._working:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting[key] = time.monotonic()
            self._ready.put_nowait(key)
            self._observer.added()

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
        self._observer.retried()
        return pause

    def forget(self, key: K) -> None:
        """Reset the back-off of ``key`` after a success, and drop a pending retry."""
        self._backoffs.pop(key, None)
        self._cancel_timer(key)

    async def get(self) -> K:
        """Wait for a key and take it; the caller must call ``done`` with it."""
        key = await self._ready.get()
        now = time.monotonic()
        self._observer.taken(now - self._waiting.pop(key))
        self._working[key] = now
        return key

    def done(self, key: K) -> None:
        """Say that the work on ``key`` has ended, well or not."""
        self._observer.finished(time.monotonic() - self._working.pop(key))
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
