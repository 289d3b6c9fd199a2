"""The queue coalesces, never gives one key to two workers, and never loses a change."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agent.aio.workqueue import WorkQueue

pytestmark = pytest.mark.asyncio


def queue(first: float = 0.01, longest: float = 0.1) -> WorkQueue[str]:
    return WorkQueue(first=first, longest=longest)


async def test_a_waiting_key_is_there_once() -> None:
    q = queue()
    for key in ("a", "b", "a"):
        q.add(key)
    assert [await q.get(), await q.get()] == ["a", "b"]
    assert len(q) == 2  # both are worked on
    q.done("a")
    q.done("b")
    assert len(q) == 0


async def test_a_key_added_while_worked_on_comes_again_afterwards() -> None:
    q = queue()
    q.add("a")
    await q.get()
    q.add("a")
    q.add("a")
    waiting = asyncio.create_task(q.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    q.done("a")
    assert await waiting == "a"
    q.done("a")
    assert len(q) == 0


async def test_a_worker_waits_until_there_is_a_key() -> None:
    q = queue()
    waiting = asyncio.create_task(q.get())
    await asyncio.sleep(0)
    q.add("a")
    assert await waiting == "a"


async def test_a_key_wakes_one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    q = queue()
    workers = [asyncio.create_task(q.get()) for _ in range(32)]
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    call_soon, woken = loop.call_soon, []

    def counting(callback: Any, *args: Any, **options: Any) -> asyncio.Handle:
        woken.append(callback)
        return call_soon(callback, *args, **options)

    monkeypatch.setattr(loop, "call_soon", counting)
    q.add("a")
    assert len(woken) == 1
    monkeypatch.undo()
    await asyncio.sleep(0)
    assert [worker.result() for worker in workers if worker.done()] == ["a"]
    for worker in workers:
        worker.cancel()


async def test_a_worker_that_is_cancelled_as_a_key_comes_leaves_it_to_another() -> None:
    q = queue()
    first, second = (asyncio.create_task(q.get()) for _ in range(2))
    await asyncio.sleep(0)
    q.add("a")
    first.cancel()
    assert await second == "a"
    assert first.cancelled()


async def test_a_failed_key_comes_back_after_a_growing_pause() -> None:
    q = queue()
    pauses = []
    for _ in range(5):
        pauses.append(q.retry("a"))
        assert len(q) == 0
        assert await q.get() == "a"
        q.done("a")
    assert pauses[0] <= 0.01
    assert 0.06 <= pauses[4] <= 0.1


async def test_asking_for_a_retry_again_and_again_does_not_put_it_off() -> None:
    q = queue(first=0.05, longest=100)
    first = q.retry("a")
    assert all(q.retry("a") <= first for _ in range(50))
    assert await asyncio.wait_for(q.get(), 1) == "a"


async def test_a_pause_of_the_callers_own_comes_in_place_of_the_back_off() -> None:
    q = queue(first=100, longest=100)
    assert q.retry("a", after=0.01) == 0.01
    assert await asyncio.wait_for(q.get(), 1) == "a"


async def test_success_resets_the_pause_and_drops_a_pending_retry() -> None:
    q = queue(first=0.01, longest=100)
    for _ in range(4):
        q.retry("a")
        q.add("a")
        q.done(await q.get())
    q.retry("a")
    q.forget("a")
    assert q.retry("a") <= 0.01


async def test_a_change_does_not_wait_for_the_pause_of_an_earlier_failure() -> None:
    q = queue(first=100, longest=100)
    q.retry("a")
    q.add("a")
    assert await asyncio.wait_for(q.get(), 1) == "a"


async def test_close_cancels_pending_retries() -> None:
    q = queue()
    q.retry("a")
    q.close()
    await asyncio.sleep(0.03)
    assert len(q) == 0


class Listener:
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def added(self) -> None:
        self.heard.append("added")

    def retried(self) -> None:
        self.heard.append("retried")

    def taken(self, waited: float) -> None:
        assert waited >= 0
        self.heard.append("taken")

    def finished(self, worked: float) -> None:
        assert worked >= 0
        self.heard.append("finished")


async def test_an_observer_hears_what_happens() -> None:
    listener = Listener()
    q: WorkQueue[str] = WorkQueue(first=10.0, longest=10.0, observer=listener)
    q.add("a")
    q.add("a")  # waits already
    q.done(await q.get())
    q.retry("a")
    q.close()
    assert listener.heard == ["added", "taken", "finished", "retried"]


async def test_a_queue_tells_what_waits_and_what_is_under_work() -> None:
    q = queue()
    q.add("a")
    q.add("b")
    await q.get()
    assert q.depth == 1
    [seconds] = q.working()
    assert seconds >= 0
    q.done("a")
    assert q.working() == []
