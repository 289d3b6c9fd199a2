"""The status of tracks as text and as JSON, for every command that shows one.

Must not ask anybody anything: it is handed a status.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from msgspec import to_builtins

from agent.cli import output
from agent.reconcile.reports.status import COLLECTED, FETCHED, TrackStatus

HEADER = ("track", "ready", "revision", "source", "in sync", "applied", "discovered", "held",
          "suspended", "age")  # fmt: skip
"""The columns of the table; age is how long ago a condition last changed."""

_AGES = ((2 * 86400, 86400, "d"), (2 * 3600, 3600, "h"), (2 * 60, 60, "m"))


def as_json(status: TrackStatus) -> dict[str, Any]:
    """Return the status as the ConfigMap has it, and ``ready``, which follows from it."""
    return {**to_builtins(status), "ready": status.ready}


def write(statuses: Iterable[TrackStatus]) -> None:
    """Print the table, and below it what keeps each track from being ready."""
    statuses = list(statuses)
    now = datetime.now(UTC)
    output.write_table(HEADER, [row(status, now=now) for status in statuses])
    for status in statuses:
        if found := problems(status):
            output.write("")
            output.write(output.paint(f"{status.track}:", "bold"))
            for line in found:
                output.write(f"  {line}")


def row(status: TrackStatus, *, now: datetime) -> tuple[str, ...]:
    """Return the cells of one track; "-" where there is nothing to say."""
    good = status.source in ("", "current")
    counters = map(str, (status.in_sync, status.applied, status.discovered))
    return (
        status.track,
        output.paint("True", "green") if status.ready else output.paint("False", "red"),
        status.revision or "-",
        status.source or "-" if good else output.paint(status.source, "yellow"),
        *(counters if status.conditions else "---"),
        output.paint(_held(status), "yellow") or "-",
        output.paint("yes" if status.suspended else "", "yellow") or "-",
        _age(status, now),
    )


def problems(status: TrackStatus) -> list[str]:
    """Return what is wrong with a track or worth telling, a line each."""
    lines = [f"suspended: {status.suspended}"] if status.suspended else []
    if not status.conditions and not status.suspended:
        lines.append("no agent has made a pass of this track yet")
    lines += [_problem(place, reason, status) for place, reason in status.problems.items()]
    lines += [
        condition.message
        for condition in status.conditions
        if condition.status == "False" and condition.type in (FETCHED, COLLECTED)
    ]
    if status.stale_since:
        unheard = datetime.now(UTC) - datetime.fromisoformat(status.stale_since)
        lines.append(
            f"stale: the source last answered at {status.stale_since}, "
            f"{age(unheard.total_seconds())} ago; nothing is pruned until it answers again"
        )
    if status.held:
        lines.append(f"deletions held: {status.held}; lightkeeper approve {status.track}")
    return lines


def _problem(place: str, reason: str, status: TrackStatus) -> str:
    until = status.retries.get(place)
    return f"{place}: {reason}" + (f" (next try at {until})" if until else "")


def _held(status: TrackStatus) -> str:
    """Count the held deletions; the list may end with "and N more"."""
    if not status.held:
        return ""
    more = [line for line in status.held_objects if line.startswith("and ")]
    return str(len(status.held_objects) - len(more) + sum(int(line.split()[1]) for line in more))


def _age(status: TrackStatus, now: datetime) -> str:
    times = [c.last_transition_time for c in status.conditions if c.last_transition_time]
    if not times:
        return "-"
    return age((now - datetime.fromisoformat(max(times))).total_seconds())


def age(seconds: float) -> str:
    """Return a duration as kubectl shows ages, in its largest unit from two on: ``90s``, ``2m``."""
    for least, unit, letter in _AGES:
        if seconds >= least:
            return f"{int(seconds // unit)}{letter}"
    return f"{max(0, int(seconds))}s"
