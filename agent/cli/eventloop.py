"""Where a command's coroutine runs. Must import nothing of the agent's but its errors."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from agent.errors import AgentError

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work``; an AgentError out of its task groups comes out as itself."""
    try:
        return asyncio.run(work)
    except BaseExceptionGroup as group:
        known = group.subgroup(AgentError)
        if known is None:
            raise
        error: BaseException = known
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from group
