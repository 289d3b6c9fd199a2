"""Run many small pieces of work at once, but not too many."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
S = TypeVar("S")


async def each(work: Callable[[T], Awaitable[S]], items: Iterable[T], *, limit: int) -> list[S]:
    """Await ``work(item)`` for each item, at most ``limit`` at a time; results in order.

    The first exception cancels the rest and is raised.
    """
    pending = list(items)
    results: dict[int, S] = {}
    queue = iter(enumerate(pending))

    async def worker() -> None:
        for index, item in queue:
            results[index] = await work(item)

    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(limit, len(pending))):
                tasks.create_task(worker())
    except* Exception as group:
        raise group.exceptions[0] from None
    return [results[index] for index in range(len(pending))]
