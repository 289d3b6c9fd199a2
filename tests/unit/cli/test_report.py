"""The status as people read it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from agent.cli import output, report
from agent.reconcile.reports.status import Condition, TrackStatus

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
CONDITIONS = [
    Condition(kind, "True", "Good", last_transition_time="2026-01-01T11:00:00Z")
    for kind in ("FilesFetched", "FilesParsed", "ChildrenUpToDate", "ChildrenGarbageCollected")
]
GOOD = TrackStatus(
    "shop", "r", revision="main@abc", source="current", in_sync=3, applied=3, discovered=4,
    conditions=CONDITIONS,
)  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (7199, "119m"), (7200, "2h"),
     (172799, "47h"), (172800, "2d"), (1e7, "115d")],
)  # fmt: skip
def test_ages_are_in_their_largest_unit(seconds: float, text: str) -> None:
    assert report.age(seconds) == text


def test_a_row_says_how_the_track_stands() -> None:
    assert report.row(GOOD, now=NOW) == (
        "shop", "True", "main@abc", "current", "3", "3", "4", "-", "-", "60m",
    )  # fmt: skip


def test_a_row_of_a_track_that_nobody_has_worked_on_has_dashes() -> None:
    empty = TrackStatus("shop", "r")
    assert report.row(empty, now=NOW) == ("shop", "False", *"--------")


def test_held_deletions_are_counted_also_when_the_list_is_cut() -> None:
    held = TrackStatus("shop", "r", held="too many", held_objects=["a", "b", "and 9 more"])
    assert report.row(held, now=NOW)[7] == "11"


def test_problems_name_suspension_failures_and_what_releases_held_deletions() -> None:
    failed = Condition("ChildrenGarbageCollected", "False", "Bad", "cannot list pods")
    status = TrackStatus(
        "shop", "r", suspended="since then by ada", held="too many", conditions=[failed],
        problems={"ConfigMap shop/a": "fought over"},
        retries={"ConfigMap shop/a": "2026-01-01T12:10:00Z"},
    )  # fmt: skip
    assert report.problems(status) == [
        "suspended: since then by ada",
        "ConfigMap shop/a: fought over (next try at 2026-01-01T12:10:00Z)",
        "cannot list pods",
        "deletions held: too many; lightkeeper approve shop",
    ]


def test_json_is_the_status_and_whether_it_is_ready() -> None:
    assert report.as_json(GOOD)["ready"] is True
    assert report.as_json(GOOD)["inSync"] == 3


class Terminal:
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "expected"),
    [({}, "\x1b[31mx\x1b[0m"), ({"NO_COLOR": "1"}, "x"), ({"TERM": "dumb"}, "x")],
    ids=["a terminal", "NO_COLOR", "a dumb terminal"],
)
def test_colours_are_for_terminals_that_want_them(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: str
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout", Terminal())
    assert output.paint("x", "red") == expected


def test_columns_stay_in_line_with_colours(capsys: pytest.CaptureFixture[str]) -> None:
    output.write_table(("a", "b"), [("\x1b[31mred\x1b[0m", "1"), ("plain", "2")])
    header, red, plain = capsys.readouterr().out.splitlines()
    assert header == "A       B"
    assert red == "\x1b[31mred\x1b[0m     1"
    assert plain == "plain   2"
