"""Repeats are counted, similar Events combined, spam dropped; nothing grows without end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.kube.eventseries import (
    BURST,
    COMBINED,
    MAX_SIMILAR,
    MESSAGE_LIMIT,
    REFILL,
    WINDOW,
    Correlator,
    Event,
    ObjectReference,
    Series,
)

NOW = 1_800_000_000.0
TRACK = ObjectReference("v1", "ConfigMap", "shop", "lightkeeper.shop", "uid-1")


def event(message: str = "Created child 'a'", reason: str = "CreateSuccessful") -> Event:
    return Event(TRACK, "Normal", reason, message)


def test_an_equal_event_is_counted_and_not_a_new_one() -> None:
    correlator = Correlator()
    first = correlator.observe(event(), now=NOW)
    again = correlator.observe(event(), now=NOW + 60)
    assert again is first
    assert (first.count, first.first, first.last) == (2, NOW, NOW + 60)


@pytest.mark.parametrize(
    "other",
    [
        event("Created child 'b'"),
        event(reason="UpdateSuccessful"),
        Event(TRACK, "Warning", "CreateSuccessful", "Created child 'a'"),
        Event(ObjectReference("v1", "ConfigMap", "shop", "x", "u"), "Normal", "CreateSuccessful",
              "Created child 'a'"),
    ],
    ids=["message", "reason", "type", "object"],
)  # fmt: skip
def test_an_event_that_differs_is_one_of_its_own(other: Event) -> None:
    correlator = Correlator()
    assert correlator.observe(event(), now=NOW) is not correlator.observe(other, now=NOW)


@pytest.mark.parametrize(
    ("pause", "same"),
    [(WINDOW, True), (WINDOW + 1, False), (-WINDOW, True), (-WINDOW - 1, False)],
    ids=["within", "after", "clock a little back", "clock far back"],
)
def test_a_repeat_counts_only_within_the_window(pause: float, same: bool) -> None:
    correlator = Correlator()
    first = correlator.observe(event(), now=NOW)
    assert (correlator.observe(event(), now=NOW + pause) is first) is same


def test_a_series_lives_as_long_as_it_is_repeated() -> None:
    correlator = Correlator()
    seen = {id(correlator.observe(event(), now=NOW + n * WINDOW)) for n in range(20)}
    assert len(seen) == 1


def test_many_similar_events_share_one_that_tells_the_latest() -> None:
    correlator = Correlator()
    series = [correlator.observe(event(f"Created child '{n}'"), now=NOW) for n in range(100)]
    assert len({id(s) for s in series}) == MAX_SIMILAR + 1
    assert series[-1].count == 100 - MAX_SIMILAR
    assert series[-1].message == f"{COMBINED}Created child '99'"
    assert correlator.observe(event("Created child '0'"), now=NOW) is series[0]


def test_spam_is_stopped_a_reason_at_a_time_and_let_through_again_later() -> None:
    correlator = Correlator()
    assert [correlator.admit(event(), now=NOW) for _ in range(BURST + 1)] == [True] * BURST + [
        False
    ]
    assert correlator.admit(event(reason="PruneHeld"), now=NOW), "drowned by another reason"
    assert not correlator.admit(event(), now=NOW + REFILL - 1)
    assert correlator.admit(event(), now=NOW + REFILL)
    assert not correlator.admit(event(), now=NOW + REFILL)


def test_a_clock_set_back_lets_nothing_through_and_blocks_nothing_for_ever() -> None:
    correlator = Correlator()
    while correlator.admit(event(), now=NOW):
        pass
    assert not correlator.admit(event(), now=NOW - 1_000_000)
    assert correlator.admit(event(), now=NOW - 1_000_000 + REFILL)


@given(
    st.lists(st.tuples(st.text(max_size=2000), st.sampled_from(["A", "B"]), st.floats(0, 900))),
)
def test_whatever_comes_each_event_is_counted_once_and_fits(
    happenings: list[tuple[str, str, float]],
) -> None:
    correlator = Correlator()
    found: dict[int, Series] = {}
    now = NOW
    for message, reason, pause in happenings:
        now += pause
        series = correlator.observe(event(message, reason), now=now)
        found[id(series)] = series
        assert len(series.message) <= MESSAGE_LIMIT
        assert series.last == now
    assert sum(series.count for series in found.values()) == len(happenings)
