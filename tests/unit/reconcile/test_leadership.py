"""Elections in simulated time: whatever is paused, lost or skewed, never two writers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.kube.fence import LeaseFence
from agent.reconcile.leadership.elector import Elector, Timing
from agent.reconcile.leadership.sharing import Share
from tests.unit.reconcile.simulation import TIMING, Replica, Server, SimulatedLock, TimeLoop

END = 200.0  # simulated seconds in which anything may go wrong
QUIET = 60.0  # simulated seconds of peace after which somebody must lead

Pauses = Sequence[tuple[float, float]]


def simulate(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=TimeLoop) as runner:
        runner.run(scenario())


pauses = st.lists(
    st.tuples(st.floats(0, END), st.floats(0.01, 60).map(lambda s: round(s, 2))), max_size=6
)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    replicas=st.lists(st.tuples(st.floats(-1e6, 1e6), pauses), min_size=2, max_size=3),
    loss=st.sampled_from([0.0, 0.05, 0.3]),
    slowest=st.sampled_from([0.01, 1.0, 4.0]),
)
def test_never_two_writers_and_always_one_again(
    seed: int, replicas: list[tuple[float, Pauses]], loss: float, slowest: float
) -> None:
    async def scenario() -> None:
        server = Server(Random(seed), loss, slowest)
        rivals = [
            Replica(f"r{number}", server, skew=skew, pauses=pausing)
            for number, (skew, pausing) in enumerate(replicas)
        ]
        async with asyncio.TaskGroup() as tasks:
            for replica in rivals:
                replica.rivals = rivals
                tasks.create_task(replica.run())
            await asyncio.sleep(END + 60)
            server.loss, server.slowest = 0.0, 0.01
            await asyncio.sleep(QUIET)
            leading = [replica for replica in rivals if replica.elector.is_leader]
            for replica in rivals:
                replica.stop.set()
        assert not [fault for replica in rivals for fault in replica.faults]
        assert len(leading) == 1
        assert server.lease is not None
        assert server.lease.record.holder == ""

    simulate(scenario)


def two(server: Server, *, first: Pauses = (), second: Pauses = ()) -> list[Replica]:
    pair = [
        Replica("a", server, skew=0, pauses=first),
        Replica("b", server, skew=500, pauses=[(0, 1), *second]),
    ]
    for replica in pair:
        replica.rivals = pair
    return pair


def reliable() -> Server:
    return Server(Random(1), loss=0.0, slowest=0.01)


def test_a_leader_that_is_paused_too_long_writes_nothing_more() -> None:
    async def scenario() -> None:
        a, b = two(reliable(), first=[(20, 40)])
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(a.run())
            tasks.create_task(b.run())
            await asyncio.sleep(19.95)
            wrote = a.wrote
            await asyncio.sleep(80)
            assert a.wrote <= wrote + 1, "between the last look and the pause, and none after it"
            assert b.elector.is_leader
            assert b.wrote > 0
            a.stop.set()
            b.stop.set()
        assert not a.faults + b.faults

    simulate(scenario)


def test_a_short_pause_costs_no_leadership() -> None:
    async def scenario() -> None:
        a, b = two(reliable(), first=[(20, 7)])
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(a.run())
            tasks.create_task(b.run())
            await asyncio.sleep(60)
            assert a.elector.is_leader
            assert a.refused == b.wrote == 0
            a.stop.set()
            b.stop.set()

    simulate(scenario)


def test_a_dead_leader_is_followed_when_its_lease_expires_and_not_sooner() -> None:
    async def scenario() -> None:
        a, b = two(reliable(), first=[(20, 1000)])
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(a.run())
            tasks.create_task(b.run())
            await asyncio.sleep(20 + TIMING.lease_duration - TIMING.retry_period)
            assert not b.elector.is_leader
            await asyncio.sleep(2 * TIMING.retry_period)
            assert b.elector.is_leader
            a.stop.set()
            b.stop.set()
        assert not a.faults + b.faults

    simulate(scenario)


def test_a_released_lease_is_taken_at_the_next_attempt() -> None:
    async def scenario() -> None:
        a, b = two(reliable())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(a.run())
            tasks.create_task(b.run())
            await asyncio.sleep(20)
            a.stop.set()
            await asyncio.sleep(1.3 * TIMING.retry_period)
            assert b.elector.is_leader
            b.stop.set()

    simulate(scenario)


def test_a_name_put_into_the_lease_by_hand_is_no_leadership() -> None:
    """Somebody writes "b" over "a", and "a" learns of it at its next renewal only."""

    async def scenario() -> None:
        server = reliable()
        a, b = two(server)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(a.run())
            tasks.create_task(b.run())
            await asyncio.sleep(20)
            assert server.lease is not None
            record = server.lease.record
            server.put(type(record)("b", 15, "t", "t", record.transitions))
            await asyncio.sleep(14)
            assert not a.elector.is_leader
            assert not b.elector.is_leader
            await asyncio.sleep(20)
            assert a.elector.is_leader != b.elector.is_leader
            a.stop.set()
            b.stop.set()
        assert not a.faults + b.faults

    simulate(scenario)


def test_a_deleted_lease_is_made_again_by_its_holder_and_respected_meanwhile() -> None:
    async def scenario() -> None:
        server = reliable()
        a, b = two(server)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(a.run())
            tasks.create_task(b.run())
            await asyncio.sleep(20)
            for _ in range(8):
                server.lease = None
                # So long that b, whatever its jitter, sees it between two deletions.
                await asyncio.sleep(3.65 * TIMING.retry_period)
            assert a.elector.is_leader
            assert b.wrote == 0
            a.stop.set()
            b.stop.set()

    simulate(scenario)


def test_a_renewal_is_one_request() -> None:
    async def scenario() -> None:
        class Counting(SimulatedLock):
            reads = 0

            async def get(self) -> Any:
                Counting.reads += 1
                return await super().get()

        elector = Elector(Counting(reliable()), TIMING, identity="a")
        stop = asyncio.Event()

        async def lead(_: LeaseFence) -> None:
            before = Counting.reads
            await asyncio.sleep(100)
            assert Counting.reads == before
            stop.set()

        await elector.run(stop, lead=lead, stand_by=asyncio.Event().wait)  # type: ignore[arg-type]

    simulate(scenario)


def test_work_that_fails_releases_the_lease_and_says_why() -> None:
    async def scenario() -> None:
        server = reliable()
        elector = Elector(SimulatedLock(server), TIMING, identity="a")

        async def lead(_: LeaseFence) -> None:
            raise ValueError("broken")

        with pytest.raises(ExceptionGroup) as caught:
            await elector.run(asyncio.Event(), lead=lead, stand_by=asyncio.Event().wait)  # type: ignore[arg-type]
        assert caught.group_contains(ValueError, match="broken")
        assert server.lease is not None
        assert server.lease.record.holder == ""

    simulate(scenario)


@pytest.mark.parametrize("seed", range(5))
def test_replicas_that_start_together_share_the_tracks_about_evenly(seed: int) -> None:
    tracks = 40

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        servers = [Server(Random(seed), 0.0, 0.01) for _ in range(tracks)]
        stop = asyncio.Event()
        replicas = []
        for name in ("a", "b"):
            share = Share(tracks, retry_period=2.0, clock=loop.time)
            electors = [
                Elector(
                    SimulatedLock(server),
                    Timing(15.0, 10.0, 2.0),
                    identity=name,
                    handicap=share.handicap,
                    clock=loop.time,
                )
                for server in servers
            ]
            share.among(electors)
            replicas.append(electors)

        async def lead(_: LeaseFence) -> None:
            await stop.wait()

        async with asyncio.TaskGroup() as tasks:
            for elector in (elector for electors in replicas for elector in electors):
                tasks.create_task(elector.run(stop, lead=lead, stand_by=stop.wait))  # type: ignore[arg-type]
            await asyncio.sleep(12)
            held = [sum(elector.is_leader for elector in electors) for electors in replicas]
            stop.set()
        assert sum(held) == tracks, "each track has exactly one leader"
        assert min(held) >= tracks // 4

    simulate(scenario)
