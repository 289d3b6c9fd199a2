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
from typing import Any, Final, TypeVar

T = TypeVar("T")

_running: Final[dict[Hashable, Future[Any]]] = {}


async def in_own_thread(key: Hashable, function: Callable[[], T]) -> T:
    """Call ``function`` in a thread of its own, after the call that runs for ``key``, if any.

    The caller keeps the deadline: when it is cancelled the thread goes on, and is left alone.
    """
    while (before := _running.get(key)) is not None:
        await asyncio.wait([asyncio.wrap_future(before)])
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()  # from now on it cannot be cancelled
    _running[key] = future
    try:
        threading.Thread(target=_run, args=(key, function, future), daemon=True).start()
    except RuntimeError:  # the machine has no thread for it
        del _running[key]
        raise
    return await asyncio.wrap_future(future)


def _run(key: Hashable, function: Callable[[], T], future: Future[T]) -> None:
    try:
        result = function()
    except BaseException as error:
        del _running[key]
        future.set_exception(error)
    else:
        del _running[key]
        future.set_result(result)
