"""Back-off, locks, bounded concurrency, drain, supervision."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import pytest

from agent.aio import supervise
from agent.aio.backoff import Backoff
from agent.aio.concurrent import each
from agent.aio.inflight import InFlight
from agent.aio.locks import KeyedLocks

pytestmark = pytest.mark.asyncio


async def test_backoff_doubles_to_its_limit_and_starts_again() -> None:
    backoff = Backoff(1, 8)
    pauses = [backoff.next() for _ in range(6)]
    for pause, full in zip(pauses, [1, 2, 4, 8, 8, 8], strict=True):
        assert full * 2 / 3 <= pause <= full
    backoff.reset()
    assert backoff.next() <= 1


async def test_backoff_survives_any_number_of_failures() -> None:
    backoff = Backoff(1, 8)
    assert all(backoff.next() <= 8 for _ in range(5000))


async def test_each_keeps_order_and_the_limit() -> None:
    running = most = 0

    async def work(item: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001 * (5 - item % 5))
        running -= 1
        return item * 2

    assert await each(work, range(20), limit=4) == [item * 2 for item in range(20)]
    assert most == 4


async def test_each_of_nothing_is_nothing() -> None:
    async def work(item: int) -> int:
        return item

    assert await each(work, [], limit=4) == []


async def test_each_raises_the_error_itself_and_stops() -> None:
    done: list[int] = []

    async def work(item: int) -> None:
        if item == 2:
            raise ValueError("two")
        await asyncio.sleep(0)
        done.append(item)

    with pytest.raises(ValueError, match="two"):
        await each(work, range(100), limit=3)
    assert len(done) < 10


async def test_one_holder_a_key_and_no_lock_is_left_behind() -> None:
    locks: KeyedLocks[str] = KeyedLocks()
    order: list[str] = []

    async def hold(key: str, name: str) -> None:
        async with locks.hold(key):
            order.append(f"+{name}")
            await asyncio.sleep(0.001)
            order.append(f"-{name}")

    await asyncio.gather(hold("a", "1"), hold("a", "2"), hold("b", "3"))
    assert order.index("-1") < order.index("+2")
    assert order.index("+3") < order.index("-1")
    assert len(locks) == 0


async def test_a_lock_is_released_when_its_holder_or_a_waiter_is_cancelled() -> None:
    locks: KeyedLocks[str] = KeyedLocks()

    async def hold() -> None:
        async with locks.hold("a"):
            await asyncio.Event().wait()

    tasks = [asyncio.create_task(hold()) for _ in range(2)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(locks) == 0


async def test_work_in_flight_survives_the_cancellation_of_its_caller() -> None:
    in_flight = InFlight()
    written: list[str] = []

    async def write() -> None:
        await asyncio.sleep(0.01)
        written.append("whole")

    caller = asyncio.create_task(in_flight.run(write()))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert await in_flight.drain(1) == 0
    assert written == ["whole"]
    assert len(in_flight) == 0


async def test_the_drain_gives_up_at_its_deadline() -> None:
    in_flight = InFlight()
    caller = asyncio.create_task(in_flight.run(asyncio.sleep(60)))
    await asyncio.sleep(0)
    caller.cancel()
    assert await in_flight.drain(0.01) == 1
    with pytest.raises(asyncio.CancelledError):
        await caller


@pytest.fixture
def quick_restarts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(supervise, "Backoff", lambda first, longest: Backoff(0.001, 0.001))
    yield


@pytest.mark.usefixtures("quick_restarts")
async def test_a_loop_that_fails_is_started_again_and_the_failure_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    starts = 0
    fourth = asyncio.Event()

    async def work() -> None:
        nonlocal starts
        starts += 1
        if starts < 3:
            raise RuntimeError("boom")
        if starts == 3:
            return
        fourth.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(supervise.forever("loop", work))
    await fourth.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert said == ["loop failed; starting it again"] * 2 + [
        "loop ended, which it must not; starting it again"
    ]
