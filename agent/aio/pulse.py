"""The event loop's pulse: how late it wakes up, which is how long everybody waits for a turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

INTERVAL = 1.0
"""Seconds between two beats."""


class Pulse:
    """``run`` beats until it is cancelled; ``observe`` hears how late each beat is, in seconds."""

    def __init__(self, observe: Callable[[float], None], *, interval: float = INTERVAL) -> None:
        self._observe = observe
        self._interval = interval
        self._last = time.monotonic()

    async def run(self) -> None:
        """Beat for ever."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(self._interval)
            self._last = time.monotonic()
            self._observe(max(0.0, self._last - before - self._interval))

    def silence(self) -> float:
        """Return the seconds since the last beat, without what lies between two of them."""
        return max(0.0, time.monotonic() - self._last - self._interval)
