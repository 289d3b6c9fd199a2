"""Time from commit to cluster: once for each object and revision that changed it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.manifest.keys import GroupVersionKind, ObjectKey
from agent.manifest.model import Manifest, Origin
from agent.metrics import Metrics
from agent.plan.change import Action, Outcome
from agent.reconcile.reports.measures import Labels, Measures
from agent.source.snapshot import Revision, Snapshot, Trust

LABELS = Labels(track="shop", namespace="", state_namespace="default", repository="https://h/r")
A, B = (ObjectKey("", "ConfigMap", "ns", name) for name in "ab")
FIRST = Revision("1" * 40, "refs/heads/main", 1000, "", "")
SECOND = replace(FIRST, commit="2" * 40, committed_at=2000)
THIRD = replace(FIRST, commit="3" * 40, committed_at=2500)


def manifest(key: ObjectKey, content: str) -> Manifest:
    gvk = GroupVersionKind("", "v1", "ConfigMap")
    return Manifest(b"{}", gvk, key, Origin("f", 1, 0), content.encode())


OLD = {A: manifest(A, "1"), B: manifest(B, "1")}
NEW_A = {A: manifest(A, "2"), B: manifest(B, "1")}
NEW_BOTH = {A: manifest(A, "2"), B: manifest(B, "2")}

UPDATED = {key: Outcome(key, Action.UPDATE) for key in (A, B)}
UNCHANGED = {key: Outcome(key, Action.UNCHANGED) for key in (A, B)}
FAILED = {key: Outcome(key, Action.UPDATE, error="refused") for key in (A, B)}


class Story:
    """A track at the time 2100, whose first revision has been there for who knows how long."""

    def __init__(self) -> None:
        self.now = 2100.0
        self.metrics = Metrics(version="1")
        self.measures = Measures(self.metrics, LABELS, clock=lambda: self.now)
        self.measures.polled(Snapshot(Trust.NEW, FIRST), 0.1)
        self.measures.expect({}, OLD, FIRST)

    def looked_at(self, *outcomes: Outcome) -> None:
        for outcome in outcomes:
            self.measures.reconciled(outcome, 0.1)

    def samples(self) -> tuple[float, float]:
        """Return how many there are and their sum in seconds."""
        child = self.metrics.time_to_deploy.labels("shop", "", "https://h/r")
        [family] = child.collect()
        found = {sample.name.rpartition("_")[2]: sample.value for sample in family.samples}
        return found["count"], found["sum"]


@pytest.fixture
def story() -> Story:
    return Story()


def test_what_the_first_revision_brings_tells_nothing(story: Story) -> None:
    story.looked_at(*UPDATED.values())
    assert story.samples() == (0, 0)


def test_each_object_that_a_revision_changes_counts_once(story: Story) -> None:
    story.measures.expect(OLD, NEW_BOTH, SECOND)
    story.looked_at(*UPDATED.values())
    assert story.samples() == (2, 200)


def test_an_object_that_the_revision_does_not_change_does_not_count(story: Story) -> None:
    story.measures.expect(OLD, NEW_A, SECOND)
    story.looked_at(*UPDATED.values())
    assert story.samples() == (1, 100)


def test_a_later_look_at_the_same_revision_does_not_count(story: Story) -> None:
    for _ in range(2):
        story.measures.expect(OLD, NEW_BOTH, SECOND)
        story.looked_at(*UPDATED.values())
    assert story.samples() == (2, 200)


def test_an_object_that_fails_at_first_counts_when_it_succeeds(story: Story) -> None:
    story.measures.expect(OLD, NEW_A, SECOND)
    story.looked_at(FAILED[A])
    story.now = 2300.0
    story.looked_at(UPDATED[A])
    assert story.samples() == (1, 300)


def test_a_change_that_changes_nothing_in_the_cluster_does_not_count(story: Story) -> None:
    story.measures.expect(OLD, NEW_A, SECOND)
    story.looked_at(UNCHANGED[A], UPDATED[A])
    assert story.samples() == (0, 0)


def test_an_older_change_that_still_waits_keeps_its_age(story: Story) -> None:
    story.measures.expect(OLD, NEW_A, SECOND)
    story.looked_at(FAILED[A])
    story.measures.expect(NEW_A, NEW_BOTH, THIRD)
    story.now = 2600.0
    story.looked_at(*UPDATED.values())
    assert story.samples() == (2, 600 + 100)


def test_what_a_revision_drops_is_not_waited_for(story: Story) -> None:
    story.measures.expect(OLD, NEW_A, SECOND)
    story.measures.expect(NEW_A, {B: NEW_A[B]}, THIRD)
    story.looked_at(UPDATED[A])
    assert story.samples() == (0, 0)


def test_a_committer_whose_clock_is_ahead_counts_as_at_once(story: Story) -> None:
    story.now = 1990.0
    story.measures.expect(OLD, NEW_A, SECOND)
    story.looked_at(UPDATED[A])
    assert story.samples() == (1, 0)


def test_a_revision_found_after_an_outage_was_first_seen_by_a_running_agent() -> None:
    story = Story()
    story.measures.polled(Snapshot(Trust.STALE, FIRST), 0.1)
    story.measures.polled(Snapshot(Trust.NEW, SECOND), 0.1)
    story.measures.expect(OLD, NEW_A, SECOND)
    story.looked_at(UPDATED[A])
    assert story.samples() == (1, 100)


def test_the_source_answered_last_when_it_answered_last(story: Story) -> None:
    assert story.measures.checked_at is None
    story.measures.polled(Snapshot(Trust.UNCHANGED, FIRST, checked_at=2050.0), 0.1)
    story.measures.polled(Snapshot(Trust.STALE, FIRST, checked_at=2000.0), 0.1)
    assert story.measures.checked_at == 2050.0
