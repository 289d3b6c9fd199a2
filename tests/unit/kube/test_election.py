"""The rules of the election, and of the fence, by a clock of the test's own."""

from __future__ import annotations

import re

import pytest

from agent.kube.election import Observation, acquired, held_for, observe, released, renewed
from agent.kube.fence import OPEN, SHUT, LeaseFence, LostLease, clock
from agent.kube.lease import Record, Stored, micro_time, whole_seconds

A = Record(holder="a", duration=15, acquired="t0", renewed="t1", transitions=3)
A_RENEWED = Record(holder="a", duration=15, acquired="t0", renewed="t2", transitions=3)
FREE = Record(holder="", duration=1, acquired="t2", renewed="t2", transitions=3)


def stored(record: Record, version: str = "1") -> Stored:
    return Stored(record, {"metadata": {"resourceVersion": version}})


SEEN = Observation(A, 100.0, stored(A))


@pytest.mark.parametrize(
    ("before", "found", "record", "since"),
    [
        (None, None, None, 107.0),
        (None, stored(A), A, 107.0),
        (SEEN, stored(A), A, 100.0),
        (SEEN, stored(A, "2"), A, 100.0),
        (SEEN, stored(A_RENEWED), A_RENEWED, 107.0),
        (SEEN, None, A, 100.0),
        (Observation(A, 100.0, None), stored(A), A, 100.0),
    ],
    ids=[
        "nothing ever",
        "first sight counts from now, whatever its times say",
        "unchanged counts on",
        "an annotation is no sign of life",
        "a renewal counts anew",
        "a vanished Lease keeps its holder's claim",
        "one that came back as it was counts on",
    ],
)
def test_a_record_counts_from_when_it_was_first_seen(
    before: Observation | None, found: Stored | None, record: Record | None, since: float
) -> None:
    seen = observe(before, found, now=107.0)
    assert (seen.record, seen.since, seen.stored) == (record, since, found)


@pytest.mark.parametrize(
    ("seen", "now", "left"),
    [
        (Observation(None, 0.0, None), 0.0, 0.0),
        (Observation(A, 100.0, stored(A)), 100.0, 15.0),
        (Observation(A, 100.0, stored(A)), 114.0, 1.0),
        (Observation(A, 100.0, stored(A)), 115.0, 0.0),
        (Observation(A, 100.0, None), 114.0, 1.0),
        (Observation(FREE, 100.0, stored(FREE)), 100.0, 0.0),
        (Observation(Record("a", 0, "", "", 0), 100.0, None), 101.0, 9.0),
    ],
    ids=["none", "fresh", "old", "expired", "deleted", "released", "no duration"],
)
def test_a_holder_is_respected_for_the_duration_it_wrote(
    seen: Observation, now: float, left: float
) -> None:
    assert held_for(seen, now=now, fallback=10.0) == left


def test_transitions_count_changes_of_the_holder_only() -> None:
    def takes(seen: Record | None, who: str) -> Record:
        return acquired(seen, identity=who, duration=15, wall_time="t9")

    assert takes(None, "b") == Record("b", 15, "t9", "t9", 0)
    assert takes(A, "b") == Record("b", 15, "t9", "t9", 4)
    assert takes(FREE, "b") == Record("b", 15, "t9", "t9", 4)
    assert takes(A, "a") == Record("a", 15, "t0", "t9", 3)
    assert renewed(A, duration=20, wall_time="t9") == Record("a", 20, "t0", "t9", 3)
    assert released(A, wall_time="t9") == Record("", 1, "t9", "t9", 3)


@pytest.mark.parametrize(("seconds", "written"), [(15.0, 15), (1.5, 2), (0.2, 1)], ids=str)
def test_a_lease_says_no_less_than_it_lasts(seconds: float, written: int) -> None:
    assert whole_seconds(seconds) == written


def test_times_are_written_as_micro_time() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", micro_time())


class Hand:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


def test_a_fence_lets_through_until_the_renewal_is_too_old() -> None:
    hand = Hand()
    fence = LeaseFence("ns/x", good_for=10.0, renewed=50.0, clock=hand)
    hand.now = 59.9
    fence.check("PATCH /x")
    fence.extend(55.0)
    fence.extend(52.0)  # an answer that comes late says nothing of the present
    hand.now = 64.9
    fence.check("PATCH /x")
    assert not fence.lost.is_set()
    hand.now = 65.0
    with pytest.raises(LostLease, match="not sent, because Lease ns/x is no longer held: PATCH /x"):
        fence.check("PATCH /x")
    assert fence.lost.is_set()


def test_a_fence_that_closed_stays_closed() -> None:
    hand = Hand()
    fence = LeaseFence("ns/x", good_for=10.0, renewed=50.0, clock=hand)
    hand.now = 61.0
    assert fence.remaining() == 0
    fence.extend(61.0)
    with pytest.raises(LostLease):
        fence.check("PATCH /x")


def test_without_election_all_is_allowed_and_without_a_lease_nothing() -> None:
    OPEN.check("PATCH /x")
    with pytest.raises(LostLease, match="belongs to no Lease: PATCH /x"):
        SHUT.check("PATCH /x")


def test_the_clock_runs_on() -> None:
    assert clock() <= clock()
