"""What the agent is to reach, and whether it does, by what this very run measured. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from tests.bench.results import MANY_TRACKS, ONE_TRACK, Results, writes

MB = 1e6 / 2**20
"""A million bytes in MiB."""


@dataclass(frozen=True, slots=True)
class Target:
    """One line: what, what is to be reached, and what was measured; ``met`` says both agree."""

    what: str
    target: str
    measured: str
    met: bool


def targets(results: list[Results]) -> list[Target]:
    """Return the lines that these fleets can tell."""
    by_size = {found.size: found for found in results}
    lines: list[Target] = []
    if middle := by_size.get(1010):
        lines += _of_middle(middle)
    if large := by_size.get(10_100):
        lines += _of_large(large)
    if middle and large:
        lines += _growth(middle, large)
    return lines


def _of_middle(found: Results) -> Iterator[Target]:
    yield Target(
        "cold, 1,010 objects",
        "<= 2.0 x the floor",
        f"{found.ratio:.2f} x",
        found.ratio <= 2,
    )
    if rest := found.rests.get("https"):
        yield Target(
            "at rest, 10 tracks, 1 min polls",
            "< 0.2 % of a core",
            f"{rest.share:.2f} %",
            rest.share < 0.2,
        )
        yield Target(
            "memory at rest, 1,010 objects",
            "<= 70 MB",
            f"{rest.memory.agent / MB:.0f} MB",
            rest.memory.agent <= 70 * MB,
        )
        others = {verb: count for verb, count in rest.requests.items() if verb != "watch"}
        yield Target(
            f"requests in {rest.seconds:.0f} s of rest",
            "watches only",
            f"{others or 'none'}",
            not others,
        )
    if many := found.rests.get(MANY_TRACKS):
        yield Target(
            f"{many.tracks} tracks in one process, at rest",
            "works",
            f"{many.share:.2f} % of a core, {many.memory.agent / MB:.0f} MB",
            True,
        )
    if found.restarts:
        wall = median(restart.wall for restart in found.restarts)
        count = max(writes(restart.requests) for restart in found.restarts)
        yield Target(
            "restart, 1,010 objects",
            "<= 1.5 s, 0 writes",
            f"{wall:.2f} s, {count} writes",
            wall <= 1.5 and not count,
        )
    if commit := found.commit:
        yield Target(
            "a commit of one file",
            "<= 150 ms after the fetch",
            f"{1000 * commit.from_fetch:.0f} ms",
            commit.from_fetch <= 0.15,
        )
    if drift := found.drift:
        yield Target("drift, median", "<= 30 ms", f"{1000 * drift.p50:.0f} ms", drift.p50 <= 0.03)
        yield Target(
            "drift, 99th of 100", "<= 200 ms", f"{1000 * drift.p99:.0f} ms", drift.p99 <= 0.2
        )
        yield Target(
            f"{drift.size} objects edited at once",
            "<= 3 x the bare patches",
            f"{drift.ratio:.1f} x",
            drift.ratio <= 3,
        )


def _of_large(found: Results) -> Iterator[Target]:
    if rest := found.rests.get(ONE_TRACK):
        yield Target(
            "memory at rest, 10,100 objects",
            "<= 110 MB",
            f"{rest.memory.agent / MB:.0f} MB",
            rest.memory.agent <= 110 * MB,
        )


def _growth(small: Results, large: Results) -> Iterator[Target]:
    times = large.wall("cold", "lightkeeper") / small.wall("cold", "lightkeeper")
    yield Target("10 x the objects: cold", "<= 11 x the time", f"{times:.1f} x", times <= 11)
    before, after = small.rests.get(ONE_TRACK), large.rests.get(ONE_TRACK)
    if before and after:
        growth = after.memory.agent / before.memory.agent
        yield Target("10 x the objects: memory", "<= 1.6 x", f"{growth:.2f} x", growth <= 1.6)
        yield Target(
            "10 x the objects: at rest",
            "the same",
            f"{before.share:.2f} % and {after.share:.2f} %",
            after.share <= before.share + 0.05,
        )
