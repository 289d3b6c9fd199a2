"""What git names in any way it could be meant is no leftover."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.manifest.keys import ObjectKey
from agent.plan.change import Action, Outcome
from agent.plan.leftovers import in_git, leftovers
from agent.plan.ownership import Record

OLD = ObjectKey("extensions", "Ingress", "shop", "web")
NEW = OLD._replace(group="networking.k8s.io")
LIVE = Record(OLD, "uid-1", "1", "default/lightkeeper.shop", False, b"")


def good(uid: str, action: Action = Action.UNCHANGED) -> Outcome:
    return Outcome(NEW, action, live=replace(LIVE, key=NEW, uid=uid))


@pytest.mark.parametrize(
    ("outcome", "left"),
    [
        (good("uid-1"), False),  # the same object, seen in its new group
        (good("uid-2"), True),  # another object that only has the same name
        (Outcome(NEW, Action.UPDATE, error="422"), False),  # which one it is, is not known
        (Outcome(NEW, Action.IGNORE, reason="by flag"), False),
        (None, False),
    ],
)
def test_an_object_that_git_names_under_another_group(outcome: Outcome | None, left: bool) -> None:
    outcomes = {NEW: outcome} if outcome else {}
    assert bool(leftovers([LIVE], in_git([NEW], outcomes))) is left


def test_a_namespace_written_on_a_cluster_scoped_object_does_not_count() -> None:
    role = ObjectKey("rbac.authorization.k8s.io", "ClusterRole", "", "r")
    git = in_git([role._replace(namespace="shop")], {})
    assert leftovers([replace(LIVE, key=role)], git) == []


def test_what_git_does_not_name_is_a_leftover_unless_it_is_going_already() -> None:
    git = in_git([ObjectKey("", "ConfigMap", "shop", "a")], {})
    assert leftovers([LIVE, replace(LIVE, deleting=True)], git) == [LIVE]


def test_new_objects_are_alive_but_were_not_kept() -> None:
    key = ObjectKey("", "ConfigMap", "shop", "a")
    outcomes = {NEW: good("uid-1"), key: good("uid-2", Action.CREATE)}
    git = in_git(outcomes, outcomes)
    assert (git.alive, git.kept) == (2, 1)
