"""Wait for something to become true, with a deadline and a message that says what did not."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any


async def eventually(
    check: Callable[[], Any | Awaitable[Any]], *, within: float = 10.0, what: str = ""
) -> Any:
    """Return the first true result of ``check``, asked again and again for ``within`` seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    result: Any = None
    while loop.time() < deadline:
        result = check()
        if inspect.isawaitable(result):
            result = await result
        if result:
            return result
        await asyncio.sleep(0.02)
    raise AssertionError(f"not within {within:g} s: {what or check}; last: {result!r}")
