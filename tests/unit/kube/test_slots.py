"""Slots are given in order, never more than the limit allows, and none is lost."""

from __future__ import annotations

import asyncio

import pytest

from agent.kube.limit import Limit
from agent.kube.slots import Slot, Slots

pytestmark = pytest.mark.asyncio


def slots(allowed: int) -> Slots:
    return Slots(Limit(floor=1, start=allowed, cap=allowed))


async def turns(rounds: int = 5) -> None:
    """Let all others go on until they wait for something."""
    for _ in range(rounds):
        await asyncio.sleep(0)


async def test_slots_are_given_in_order_and_never_more_than_are_allowed() -> None:
    places, began, leave = slots(2), list[int](), asyncio.Event()

    async def one(number: int) -> None:
        async with Slot(places, urgent=False):
            began.append(number)
            await leave.wait()

    tasks = [asyncio.ensure_future(one(number)) for number in range(5)]
    await turns()
    assert began == [0, 1]
    leave.set()
    await asyncio.gather(*tasks)
    assert began == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("when", ["waiting", "given"])
async def test_who_is_cancelled_takes_no_slot_with_it(when: str) -> None:
    places = slots(1)
    await places.take()
    first, second = (asyncio.ensure_future(places.take()) for _ in range(2))
    await turns()
    if when == "given":
        places.give_back()
        first.cancel()
    else:
        first.cancel()
        await turns()
        places.give_back()
    await asyncio.wait_for(second, 10)
    assert first.cancelled()


async def test_who_stands_back_is_the_first_again() -> None:
    places, order = slots(1), list[str]()
    refused = Slot(places, urgent=False)
    await refused.__aenter__()

    async def other() -> None:
        async with Slot(places, urgent=False):
            order.append("other")

    task = asyncio.ensure_future(other())
    await turns()
    await refused.stand_back(0.01, everybody=True)
    order.append("refused")
    await refused.__aexit__(None, None, None)
    await task
    assert order == ["refused", "other"]


async def test_a_pause_ends_by_itself_for_those_who_came_during_it() -> None:
    places = slots(4)
    places.refused(0.05)
    tasks = [asyncio.ensure_future(places.take()) for _ in range(2)]
    await turns()
    assert not any(task.done() for task in tasks)
    await asyncio.wait_for(asyncio.gather(*tasks), 10)


async def test_an_urgent_request_passes_all_slots_and_pauses() -> None:
    places = slots(1)
    await places.take()
    places.refused(60)
    async with asyncio.timeout(10), Slot(places, urgent=True):
        pass
    places.close()
