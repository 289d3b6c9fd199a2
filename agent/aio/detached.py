"""Blocking calls that may never return: files on a server that is gone, a FIFO nobody writes to.

asyncio's own threads are few and everybody's: a handful of calls that hang would stop whatever else
needs one, and the process could not even end. So these calls have a thread each, which nobody waits
for at the end, and for one key there is never a second beside one that hangs.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from contextlib import suppress
from typing import Final, TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")

_locks: Final[WeakValueDictionary[Hashable, asyncio.Lock]] = WeakValueDictionary()


async def in_own_thread(key: Hashable, function: Callable[[], T]) -> T:
    """Call ``function`` in a thread of its own, after the call that runs for ``key``, if any.

    The caller keeps the deadline: when it is cancelled the thread goes on, and is left alone.
    """
    loop = asyncio.get_running_loop()
    lock = _locks.setdefault((loop, key), asyncio.Lock())
    await lock.acquire()

    def release(_: Future[T]) -> None:
        with suppress(RuntimeError):  # the loop has ended, and nobody waits any more
            loop.call_soon_threadsafe(lock.release)

    future: Future[T] = Future()
    future.set_running_or_notify_cancel()  # from now on it cannot be cancelled
    future.add_done_callback(release)
    try:
        threading.Thread(target=_run, args=(function, future), daemon=True).start()
    except RuntimeError as error:  # the machine has no thread for it
        future.set_exception(error)
    return await asyncio.wrap_future(future)


def _run(function: Callable[[], T], future: Future[T]) -> None:
    try:
        result = function()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)
