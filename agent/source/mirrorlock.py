"""Who changes a mirror's files: one task of this process, and one process of all that share them.

Two agents may have one state folder, and ``plan`` or ``run --once`` may be called beside an agent.
What looks like a killed process's leftovers to the one is the other's fetch.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from agent.aio.detached import in_own_thread
from agent.source import durable

_PAUSE: Final = 0.05  # seconds between two looks at what another process holds


class MirrorBusy(TimeoutError):
    """Another process holds the mirror for longer than the caller can wait."""


class MirrorLock:
    """The lock of one mirror. It ends with its process, whatever ends that."""

    def __init__(self, mirror: Path) -> None:
        self._file = mirror.parent.with_name("locks") / mirror.name  # where nothing is swept
        self._ours = asyncio.Lock()

    @asynccontextmanager
    async def hold(self, seconds: float) -> AsyncIterator[None]:
        """Hold it, after a wait of no more than ``seconds``.

        Raises MirrorBusy, plain TimeoutError when it was a task of this process that held it for so
        long, and OSError.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        async with asyncio.timeout_at(end):
            await self._ours.acquire()
        try:
            descriptor = await self._claimed(until=end)
            try:
                yield
            finally:
                os.close(descriptor)
        finally:
            self._ours.release()

    async def _claimed(self, *, until: float) -> int:
        try:
            async with asyncio.timeout_at(until):
                while (descriptor := await self._try()) is None:  # noqa: ASYNC110  # tells nobody
                    await asyncio.sleep(_PAUSE)
        except TimeoutError:
            why = f"another process holds {self._file}, or its disk does not answer,"
            raise MirrorBusy(why) from None
        return descriptor

    async def _try(self) -> int | None:
        attempt = asyncio.ensure_future(in_own_thread(self._file, lambda: _lock(self._file)))
        try:
            return await asyncio.shield(attempt)
        except asyncio.CancelledError:
            attempt.add_done_callback(_give_back)  # the disk may answer later
            raise


def _lock(file: Path) -> int | None:
    """Return a descriptor that holds the lock, None when another one does."""
    durable.make_folder(file.parent)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        return descriptor  # no locks on this file system: it is not shared then
    return descriptor


def _give_back(attempt: asyncio.Future[int | None]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        descriptor = attempt.result()
        if descriptor is not None:
            os.close(descriptor)
