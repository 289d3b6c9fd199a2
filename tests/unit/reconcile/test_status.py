"""The status says what is true, changes only when that changes, and stays small."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from agent.manifest.errors import ManifestError
from agent.manifest.keys import ObjectKey
from agent.plan.change import Action, Outcome
from agent.reconcile.reports import status
from agent.reconcile.reports.status import Findings, TrackStatus, derive
from agent.source.errors import FetchError, VerificationError
from agent.source.snapshot import Revision, Snapshot, Trust

NOW, LATER = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
EMPTY = TrackStatus(track="shop", repository="https://example.org/r")
REVISION = Revision("c" * 40, "refs/heads/main", 0, "Ada", "Change")
GOOD = Snapshot(Trust.NEW, REVISION, "tree")


def key(name: str) -> ObjectKey:
    return ObjectKey("", "ConfigMap", "shop", name)


def outcomes(*pairs: tuple[str, Outcome]) -> dict[ObjectKey, Outcome]:
    return {key(name): outcome for name, outcome in pairs}


def good(name: str) -> tuple[str, Outcome]:
    return name, Outcome(key(name), Action.UNCHANGED)


def failed(name: str, error: str = "boom") -> tuple[str, Outcome]:
    return name, Outcome(key(name), Action.UPDATE, error=error)


def ignored(name: str) -> tuple[str, Outcome]:
    return name, Outcome(key(name), Action.IGNORE, reason="by flag")


def whole(*pairs: tuple[str, Outcome]) -> Findings:
    return Findings(
        snapshot=GOOD, file_errors=(), outcomes=outcomes(*pairs or [good("a")]), prune_errors=()
    )


def states(found: TrackStatus) -> list[str]:
    return [condition.status for condition in found.conditions]


def test_a_good_pass_is_ready() -> None:
    found = derive(whole(), previous=EMPTY, now=NOW)
    assert found.ready
    assert states(found) == ["True"] * 4
    assert (found.revision, found.commit, found.source) == (
        "main@cccccccccccc",
        "c" * 40,
        "current",
    )


def test_a_failed_object_counts_as_ignored_and_keeps_its_error() -> None:
    found = derive(whole(good("a"), failed("b"), ignored("c")), previous=EMPTY, now=NOW)
    assert (found.discovered, found.applied, found.ignored, found.in_sync) == (3, 1, 2, 1)
    assert found.problems == {"ConfigMap shop/b": "boom", "ConfigMap shop/c": "by flag"}
    assert states(found) == ["True", "True", "False", "True"]


def test_an_ignored_object_is_no_failure() -> None:
    assert derive(whole(good("a"), ignored("b")), previous=EMPTY, now=NOW).ready


def test_a_step_that_was_not_reached_is_unknown_and_not_true() -> None:
    error = FetchError("https://example.org/r", "refused")
    before = derive(whole(good("a"), good("b")), previous=EMPTY, now=NOW)
    found = derive(
        Findings(snapshot=Snapshot(Trust.UNREADABLE, error=error)), previous=before, now=LATER
    )
    assert states(found) == ["False", "Unknown", "Unknown", "Unknown"]
    assert (found.discovered, found.in_sync) == (2, 2), "the counters of the last pass stay"
    assert found.revision == before.revision


def test_the_signer_is_that_of_the_revision_that_was_seen_last() -> None:
    signed = replace(GOOD, verified="SSH SHA256:x by ada")
    before = derive(replace(whole(), snapshot=signed), previous=EMPTY, now=NOW)
    assert before.verified == "SSH SHA256:x by ada"
    assert derive(Findings(), previous=before, now=LATER).verified == before.verified
    refused = Snapshot(Trust.UNREADABLE, error=VerificationError("u", "revoked"))
    assert derive(Findings(snapshot=refused), previous=before, now=LATER).verified == ""


def test_a_stale_source_tells_since_when_and_a_current_one_does_not() -> None:
    error = FetchError("https://example.org/r", "refused")
    stale = Snapshot(Trust.STALE, REVISION, "tree", error=error, checked_at=1_767_225_600.75)
    found = derive(Findings(snapshot=stale), previous=EMPTY, now=LATER)
    assert (found.source, found.stale_since) == ("stale", "2026-01-01T00:00:00Z")
    assert derive(Findings(snapshot=stale), previous=found, now="2031-01-01T00:00:00Z") == found
    assert derive(Findings(), previous=found, now=LATER).stale_since == found.stale_since
    current = derive(Findings(snapshot=replace(GOOD, checked_at=1.0)), previous=found, now=LATER)
    assert (current.source, current.stale_since) == ("current", "")


def test_a_broken_file_is_a_problem_under_its_own_name() -> None:
    findings = whole()
    findings.file_errors = (ManifestError("a.yaml", 3, "no"),)
    findings.prune_errors = None
    found = derive(findings, previous=EMPTY, now=NOW)
    assert found.problems == {"a.yaml": "no"}
    assert states(found) == ["True", "False", "True", "Unknown"]
    assert found.ignored == 1


def test_equal_findings_give_an_equal_status_whenever_they_are_made() -> None:
    first = derive(whole(good("a"), failed("b")), previous=EMPTY, now=NOW)
    assert derive(whole(good("a"), failed("b")), previous=first, now=LATER) == first


def test_the_message_follows_the_error_and_the_transition_time_the_status() -> None:
    first = derive(whole(failed("a", "one")), previous=EMPTY, now=NOW)
    second = derive(whole(failed("a", "two")), previous=first, now=LATER)
    assert "two" in second.conditions[2].message
    assert second.conditions[2].last_transition_time == NOW
    mended = derive(whole(good("a")), previous=second, now=LATER)
    assert mended.conditions[2].last_transition_time == LATER


def test_a_held_plan_is_not_ready_and_names_itself() -> None:
    findings = whole()
    findings.held, findings.held_digest = "too many", "abc"
    found = derive(findings, previous=EMPTY, now=NOW)
    assert not found.ready
    assert (found.held, found.held_digest) == ("too many", "abc")


@pytest.mark.parametrize(
    ("count", "listed", "last"),
    [(1, 1, "ConfigMap shop/o0000"), (50, 50, "ConfigMap shop/o0049"), (51, 51, "and 1 more"),
     (5000, 51, "and 4950 more")],
)  # fmt: skip
def test_held_objects_are_listed_in_order_up_to_a_limit(count: int, listed: int, last: str) -> None:
    findings = whole()
    findings.held, findings.held_digest = "too many", "abc"
    findings.held_keys = tuple(key(f"o{number:04}") for number in reversed(range(count)))
    found = derive(findings, previous=EMPTY, now=NOW)
    assert len(found.held_objects) == listed
    assert found.held_objects[0] == "ConfigMap shop/o0000"
    assert found.held_objects[-1] == last


@pytest.mark.parametrize("count", [49, 50, 51, 5000])
def test_the_status_stays_small(count: int) -> None:
    many = [failed(f"o{number:04}", "x" * 5000) for number in range(count)]
    found = derive(whole(*many), previous=EMPTY, now=NOW)
    assert len(found.problems) <= 51
    assert len(status.write(found)["status"]) < 64 * 1024
    assert found.discovered == count


def test_notes_are_told_and_are_no_problem() -> None:
    findings = whole()
    findings.snapshot = replace(GOOD, notes=("submodule vendor/x is not entered",))
    found = derive(findings, previous=EMPTY, now=NOW)
    assert found.notes == ["submodule vendor/x is not entered"]
    assert found.problems == {}
    assert found.ready
    unreachable = Snapshot(Trust.STALE, REVISION, "tree", notes=findings.snapshot.notes)
    assert derive(Findings(snapshot=unreachable), previous=found, now=LATER).notes == found.notes
    assert derive(whole(), previous=found, now=LATER).notes == []


def test_of_many_notes_the_first_are_told() -> None:
    findings = whole()
    findings.snapshot = replace(GOOD, notes=tuple(f"note {number:04}" for number in range(5000)))
    notes = derive(findings, previous=EMPTY, now=NOW).notes
    assert (len(notes), notes[0], notes[-1]) == (21, "note 0000", "and 4980 more")


def test_the_status_reads_back_as_it_was_written() -> None:
    found = derive(whole(good("a"), failed("b")), previous=EMPTY, now=NOW)
    assert status.read(status.write(found)) == found


@pytest.mark.parametrize("data", [{}, {"status": ""}, {"status": "[]"}, {"status": '{"x": 1}'}])
def test_what_is_no_status_reads_as_none(data: dict[str, str]) -> None:
    assert status.read(data) is None


def fought_over(name: str, remaining: float) -> tuple[str, Outcome]:
    return name, Outcome(key(name), Action.HOLD, error="fought over", retry_in=remaining)


def test_it_says_until_when_an_object_is_left_alone_and_only_of_such_objects() -> None:
    found = derive(whole(fought_over("a", 60), failed("b"), good("c")), previous=EMPTY, now=NOW)
    assert found.retries == {"ConfigMap shop/a": "2026-01-01T00:01:00Z"}


def test_a_pause_that_goes_on_changes_nothing_in_the_status() -> None:
    first = derive(whole(fought_over("a", 60)), previous=EMPTY, now=NOW)
    later = "2026-01-01T00:00:21Z"
    assert derive(whole(fought_over("a", 38.4)), previous=first, now=later) == first


def test_a_new_pause_is_told() -> None:
    first = derive(whole(fought_over("a", 10)), previous=EMPTY, now=NOW)
    found = derive(whole(fought_over("a", 20)), previous=first, now="2026-01-01T00:00:11Z")
    assert found.retries == {"ConfigMap shop/a": "2026-01-01T00:00:31Z"}


def test_the_answer_to_a_request_is_kept() -> None:
    answered = msgspec.structs.replace(EMPTY, last_handled_reconcile_at="x")
    assert derive(whole(), previous=answered, now=NOW).last_handled_reconcile_at == "x"
