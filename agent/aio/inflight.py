"""Work that a cancellation must not cut in half: it is waited for instead, up to a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class InFlight:
    """Runs coroutines in tasks of their own; cancelling the caller leaves them running.

    ``drain`` at the end waits for them. Used for writes: an answer nobody waits for is an object
    whose state nobody knows.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        """Return how many pieces of work are under way."""
        return len(self._tasks)

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Await ``work``; if the caller is cancelled, ``work`` goes on."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def drain(self, deadline: float) -> int:
        """Wait up to ``deadline`` seconds, then cancel what is left; return how many those were."""
        tasks = set(self._tasks)
        if not tasks:
            return 0
        _, unfinished = await asyncio.wait(tasks, timeout=deadline)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return len(unfinished)
