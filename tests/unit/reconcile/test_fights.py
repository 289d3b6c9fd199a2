"""The course of a fight: found out, left alone for longer and longer, and over."""

from __future__ import annotations

import logging

import pytest

from agent.manifest.keys import ObjectKey
from agent.plan.fights import TIMES, WINDOW, Writer
from agent.reconcile.passes.fights import FIRST, LIMIT, LONGEST, Fight, Fights

KEY = ObjectKey("", "ConfigMap", "shop", "a")
GIT, OTHER = b"git", b"another commit"
FIELDS = ("/data/x",)
WRITER = Writer("other-controller", "Update", "2026-01-01T00:00:00Z")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fights(clock: Clock) -> Fights:
    return Fights(clock)


def put_back(fights: Fights, *, times: int = 1, fields: tuple[str, ...] = FIELDS) -> Fight | None:
    found = None
    for _ in range(times):
        found = fights.put_back(KEY, GIT, fields, WRITER)
    return found


def test_drift_now_and_then_is_no_fight(fights: Fights, clock: Clock) -> None:
    for _ in range(20):
        assert put_back(fights) is None
        assert fights.pausing(KEY, GIT, in_step=False) is None
        clock.now += WINDOW / (TIMES - 1.5)


def test_the_fifth_time_in_a_row_it_is_one_and_is_new_once(fights: Fights, clock: Clock) -> None:
    assert put_back(fights, times=TIMES - 1) is None
    clock.now += 3
    found = put_back(fights)
    assert found is not None
    assert (found.new, found.remaining) == (True, FIRST)
    assert f"put back {TIMES} times in 3s" in found.text
    assert '"other-controller" (Update' in found.text
    clock.now += 4
    again = fights.pausing(KEY, GIT, in_step=False)
    assert again == Fight(found.text, FIRST - 4)


def test_each_time_that_is_undone_again_doubles_the_pause_up_to_the_longest(
    fights: Fights, clock: Clock
) -> None:
    put_back(fights, times=TIMES)
    pauses: list[float] = []
    for _ in range(9):
        pause = fights.pausing(KEY, GIT, in_step=False)
        assert pause is not None
        clock.now += pause.remaining
        assert fights.pausing(KEY, GIT, in_step=False) is None
        found = put_back(fights)
        assert found is not None
        assert not found.new
        assert f"put back {TIMES + len(pauses) + 1} times" in found.text
        pauses.append(found.remaining)
    assert pauses == [20, 40, 80, 160, 320, 600, 600, 600, LONGEST]


def test_an_object_that_stays_in_step_for_a_pause_ends_it(
    fights: Fights, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    put_back(fights, times=TIMES)
    assert fights.pausing(KEY, GIT, in_step=True) is not None, "it is not quiet for long enough"
    clock.now += FIRST
    with caplog.at_level(logging.INFO):
        assert fights.pausing(KEY, GIT, in_step=True) is None
    assert caplog.messages == ["fight over"]
    assert len(fights) == 0
    assert put_back(fights, times=TIMES - 1) is None


def test_an_object_that_needs_nothing_after_a_pause_ends_it(fights: Fights, clock: Clock) -> None:
    put_back(fights, times=TIMES)
    clock.now += FIRST
    assert fights.pausing(KEY, GIT, in_step=False) is None
    fights.found_in_step(KEY)
    assert len(fights) == 0


def test_a_look_that_finds_nothing_to_do_does_not_forget_what_was_counted(fights: Fights) -> None:
    put_back(fights, times=TIMES - 1)
    fights.found_in_step(KEY)
    assert put_back(fights) is not None


def test_a_new_commit_that_changes_the_object_ends_it(fights: Fights) -> None:
    put_back(fights, times=TIMES)
    assert fights.pausing(KEY, OTHER, in_step=False) is None
    assert len(fights) == 0


def test_drift_of_other_fields_after_a_pause_is_another_matter(
    fights: Fights, clock: Clock
) -> None:
    put_back(fights, times=TIMES)
    clock.now += FIRST
    assert put_back(fights, fields=("/data/y",)) is None
    assert fights.pausing(KEY, GIT, in_step=False) is None


def test_another_object_is_not_concerned(fights: Fights) -> None:
    put_back(fights, times=TIMES)
    other = KEY._replace(name="b")
    assert fights.pausing(other, GIT, in_step=False) is None
    assert not fights.is_watched(other)
    assert fights.is_watched(KEY)


def test_objects_of_which_nothing_is_heard_are_forgotten(fights: Fights, clock: Clock) -> None:
    put_back(fights, times=TIMES)
    clock.now += FIRST + WINDOW + 1
    fights.put_back(KEY._replace(name="b"), GIT, FIELDS, None)
    assert len(fights) == 1


def test_no_more_than_the_limit_is_kept_in_mind(fights: Fights, clock: Clock) -> None:
    for number in range(2 * LIMIT):
        clock.now += 0.001
        fights.put_back(KEY._replace(name=str(number)), GIT, FIELDS, None)
    assert len(fights) == LIMIT
    assert fights.is_watched(KEY._replace(name=str(2 * LIMIT - 1)))
