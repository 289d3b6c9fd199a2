"""The prune guard holds what may be a mistake, and an approval releases exactly that."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.manifest.keys import ObjectKey
from agent.plan.guard import judge, plan_digest
from agent.plan.ownership import Record


def record(number: int, kind: str = "ConfigMap", group: str = "") -> Record:
    return Record(
        key=ObjectKey(group, kind, "shop", f"o{number}"),
        uid=f"uid-{number}",
        resource_version="1",
        owner="lightkeeper/platform",
        deleting=False,
        digest=b"",
    )


def records(count: int) -> list[Record]:
    return [record(number) for number in range(count)]


@pytest.mark.parametrize(
    ("leftovers", "owned", "limit", "held"),
    [
        (0, 0, 50, False),
        (0, 20, 50, False),
        (1, 2, 50, False),  # below ten objects the percentage does not count
        (8, 9, 50, False),
        (9, 9, 50, True),  # everything, however little it is
        (1, 1, 100, True),
        (5, 10, 50, False),
        (6, 10, 50, True),
        (10, 20, 0, True),
        (19, 20, 100, False),
    ],
)
def test_holds_everything_and_more_than_the_limit(
    leftovers: int, owned: int, limit: int, held: bool
) -> None:
    verdict = judge(
        records(leftovers),
        kept=owned - leftovers,
        alive=owned - leftovers,
        limit_percent=limit,
        approved="",
    )
    assert bool(verdict.held) is held
    assert len(verdict.held) + len(verdict.prune) == leftovers
    assert bool(verdict.reason) is held


@pytest.mark.parametrize(
    ("group", "kind"),
    [
        ("", "Namespace"),
        ("", "PersistentVolume"),
        ("", "PersistentVolumeClaim"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ],
)
def test_kinds_that_take_data_with_them_are_held_alone(group: str, kind: str) -> None:
    protected, plain = record(1, kind, group), record(2)
    verdict = judge([protected, plain], kept=18, alive=18, limit_percent=50, approved="")
    assert verdict.held == (protected,)
    assert verdict.prune == (plain,)
    assert kind in verdict.reason


def test_new_objects_in_place_of_all_old_ones_do_not_hide_the_deletion() -> None:
    verdict = judge(records(11), kept=1, alive=12, limit_percent=50, approved="")
    assert len(verdict.held) == 11


def test_a_renamed_object_in_a_small_track_is_simply_replaced() -> None:
    verdict = judge(records(1), kept=0, alive=1, limit_percent=50, approved="")
    assert not verdict.held


def test_an_approval_releases_exactly_the_plan_it_was_given_for() -> None:
    plan = records(9)
    held = judge(plan, kept=0, alive=0, limit_percent=50, approved="")
    released = judge(plan, kept=0, alive=0, limit_percent=50, approved=held.digest)
    assert released.prune == tuple(plan)
    assert not released.held
    bigger = judge(records(10), kept=0, alive=0, limit_percent=50, approved=held.digest)
    assert len(bigger.held) == 10


def test_the_plans_name_does_not_depend_on_order_but_on_the_objects() -> None:
    plan = records(3)
    assert plan_digest(plan) == plan_digest(plan[::-1])
    assert plan_digest(plan) != plan_digest(plan[:2])


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 100))
def test_what_is_deleted_unapproved_never_exceeds_the_limit(
    leftovers: int, others: int, limit: int
) -> None:
    owned = leftovers + others
    verdict = judge(
        records(leftovers),
        kept=owned - leftovers,
        alive=owned - leftovers,
        limit_percent=limit,
        approved="",
    )
    if owned >= 10:
        assert len(verdict.prune) * 100 <= limit * owned
    assert not verdict.prune or len(verdict.prune) < owned
