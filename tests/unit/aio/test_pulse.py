"""The pulse tells how late the event loop is."""

from __future__ import annotations

import asyncio
import time

import pytest

from agent.aio.pulse import Pulse

pytestmark = pytest.mark.asyncio


async def test_a_blocked_event_loop_is_late() -> None:
    beats: asyncio.Queue[float] = asyncio.Queue()
    pulse = Pulse(beats.put_nowait, interval=0.01)
    async with asyncio.timeout(30):
        beating = asyncio.create_task(pulse.run())
        await beats.get()
        time.sleep(0.2)  # noqa: ASYNC251  # what must not happen
        assert pulse.silence() > 0.15
        assert await beats.get() > 0.15
    beating.cancel()


async def test_between_two_beats_there_is_no_silence() -> None:
    assert Pulse(lambda _: None, interval=1000.0).silence() == 0
