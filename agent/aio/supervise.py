"""Where defects of ours stop: the one module with a broad ``except``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from agent.aio.backoff import Backoff

T = TypeVar("T")

logger = logging.getLogger(__name__)

_HEALTHY = 60.0  # seconds of work after which an earlier crash is forgotten


async def forever(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Run ``work`` again whenever it ends or fails, with back-off, until cancelled.

    An error that reaches this point is a defect of ours: it is logged with its traceback and the
    loop goes on, because one broken loop must not stop the others.
    """
    backoff = Backoff(0.2, 30.0)
    loop = asyncio.get_running_loop()
    while True:
        started = loop.time()
        try:
            await work()
            logger.error("%s ended, which it must not; starting it again", name)
        except Exception:
            logger.exception("%s failed; starting it again", name)
        if loop.time() - started > _HEALTHY:
            backoff.reset()
        await asyncio.sleep(backoff.next())


async def contained(name: str, work: Awaitable[T], instead: Callable[[Exception], T]) -> T:
    """Await ``work``; what must not happen is logged and answered by ``instead``.

    For one of many: a defect that one object brings to light must not stop the others.
    """
    try:
        return await work
    except Exception as error:
        logger.exception("%s failed", name)
        return instead(error)
