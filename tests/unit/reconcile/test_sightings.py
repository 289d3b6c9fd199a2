"""Bodies wait for their repair, the newest of each, within a budget."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from agent.reconcile.sightings import Sightings

BODY = {"metadata": {"name": "a", "resourceVersion": "1"}}
NEWER = {"metadata": {"name": "a", "resourceVersion": "2"}}
SIZE = len(msgspec.json.encode(BODY))


def test_the_newest_body_is_given_out_once() -> None:
    sightings: Sightings[str] = Sightings()
    sightings.keep("a", BODY)
    sightings.keep("a", NEWER)
    assert sightings.take("a") == NEWER
    assert sightings.take("a") is None


def test_an_event_without_a_body_makes_the_older_one_worthless() -> None:
    sightings: Sightings[str] = Sightings()
    sightings.keep("a", BODY)
    sightings.keep("a", None)
    assert sightings.take("a") is None


def test_what_is_over_budget_is_not_kept_and_leaves_nothing_old_behind() -> None:
    sightings: Sightings[str] = Sightings(budget=2 * SIZE)
    for key in "abc":
        sightings.keep(key, BODY)
    assert [sightings.take(key) for key in "abc"] == [BODY, BODY, None]
    sightings.keep("a", BODY)
    sightings.keep("a", {**BODY, "data": {"x": "x" * 3 * SIZE}})
    assert sightings.take("a") is None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["keep", "none", "take"]))))
def test_whatever_comes_and_goes_the_budget_is_whole_in_the_end(
    steps: list[tuple[str, str]],
) -> None:
    sightings: Sightings[str] = Sightings(budget=2 * SIZE)
    for key, step in steps:
        if step == "take":
            sightings.take(key)
        else:
            sightings.keep(key, BODY if step == "keep" else None)
        assert len(sightings) <= 2
    for key in "abc":
        sightings.take(key)
    for key in "ab":
        sightings.keep(key, BODY)
    assert len(sightings) == 2
