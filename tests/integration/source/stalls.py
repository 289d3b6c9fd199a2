"""What a process holds, before and after a hundred polls that hang."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.integration.source.processes import eventually, worker_pids

POLLS = 100
_AT_ONCE = 5


@dataclass(frozen=True)
class Held:
    """What a process holds."""

    threads: int
    children: int
    descriptors: int
    tasks: int

    @classmethod
    def now(cls) -> Held:
        """Count it."""
        descriptors = len(os.listdir("/proc/self/fd"))
        tasks = len(asyncio.all_tasks())
        return cls(threading.active_count(), len(worker_pids()), descriptors, tasks)

    def is_no_more_than(self, other: Held) -> bool:
        """Whether nothing has been added."""
        return (
            self.threads <= other.threads
            and self.children <= other.children
            and self.descriptors <= other.descriptors
            and self.tasks <= other.tasks
        )


async def poll_again_and_again(poll: Callable[[], Awaitable[object]]) -> None:
    """Poll a hundred times; fail unless no more is held then than after the first few."""
    # The pool of threads of the event loop is filled first: it grows to its size by chance.
    await asyncio.gather(*(asyncio.to_thread(time.sleep, 0.1) for _ in range(64)))
    await asyncio.gather(*(poll() for _ in range(_AT_ONCE)))
    before = Held.now()
    for _ in range(POLLS // _AT_ONCE):
        await asyncio.gather(*(poll() for _ in range(_AT_ONCE)))
    # c-ares keeps the socket of a question nobody waits for any more until its own time is up.
    await eventually(lambda: Held.now().is_no_more_than(before), seconds=40)
