"""The bench's table: medians of alternated runs, and ratios within the same bench."""

from __future__ import annotations

import os
import platform
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from tests.bench import measure
from tests.bench.fleet import Fleet
from tests.bench.measure import Cost
from tests.bench.running import Drift, Rest
from tests.controlplane.server import ControlPlane

_WRITES = ("POST", "PUT", "PATCH", "APPLY", "DELETE")


@dataclass(slots=True)
class Results:
    """What was measured of one fleet."""

    fleet: Fleet
    rest: Rest | None = None
    drift: Drift | None = None
    commit: tuple[float, Counter[str]] | None = None
    costs: dict[tuple[str, str], list[Cost]] = field(default_factory=lambda: defaultdict(list))
    counts: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)
    _seen: Counter[str] = field(default_factory=Counter)

    def cold(self, name: str, cost: Cost, plane: ControlPlane) -> None:
        """Note a first run on a fresh control plane."""
        self._seen = Counter()
        self._note("cold", name, cost, plane)

    def unchanged(self, name: str, cost: Cost, plane: ControlPlane) -> None:
        """Note a second run, right after the first."""
        self._note("unchanged", name, cost, plane)

    def _note(self, case: str, name: str, cost: Cost, plane: ControlPlane) -> None:
        self.costs[case, name].append(cost)
        seen = measure.requests(plane)
        self.counts[case, name] = seen - self._seen
        self._seen = seen


def render(results: list[Results]) -> str:
    """Return the whole page in Markdown."""
    lines = ["# Performance", "", _machine(), ""]
    for result in results:
        lines += [
            f"## {len(result.fleet.objects):,} objects in {len(result.fleet.files)} files",
            "",
        ]
        lines += [*_table(result), "", *_running(result), ""]
    return "\n".join(lines)


def _table(result: Results) -> list[str]:
    lines = [
        "| case | who | seconds | x floor | CPU s | peak MiB | writes | reads |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    floor = median(cost.wall for cost in result.costs["cold", "floor"])
    for (case, name), costs in sorted(result.costs.items()):
        wall, cpu = median(c.wall for c in costs), median(c.cpu for c in costs)
        peak = median(c.peak for c in costs)
        counts = result.counts[case, name]
        writes = sum(count for verb, count in counts.items() if verb in _WRITES)
        lines.append(
            f"| {case} | {name} | {wall:.2f} | {wall / floor:.2f} | {cpu:.2f} | {peak:.0f} "
            f"| {writes} | {sum(counts.values()) - writes} |"
        )
    return lines


def _running(result: Results) -> list[str]:
    lines = []
    if result.rest:
        rest = result.rest
        lines.append(
            f"- at rest, {rest.tracks} tracks polled once a minute, {rest.seconds:.0f} s: "
            f"{rest.share:.2f} % of a core, {rest.resident:.0f} MiB, requests {dict(rest.requests)}"
        )
    if result.commit:
        seconds, counts = result.commit
        lines.append(
            f"- a commit of one file, polled once a second: {seconds:.2f} s from the push to the "
            f"changed object, requests {dict(counts)}"
        )
    if result.drift:
        drift = result.drift
        lines.append(
            f"- drift: repaired {1000 * drift.p50:.0f} ms (p50), {1000 * drift.p99:.0f} ms (p99) "
            f"after its watch event; {drift.storm_size} edits at once {drift.storm:.2f} s, "
            f"{drift.storm / drift.storm_floor:.1f} x the same number of bare patches"
        )
    return lines


def _machine() -> str:
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    model = models[0] if models else "unknown"
    return (
        f"`make bench` on {os.cpu_count()} cores ({model}) shared with etcd and the API server, "
        f"Python {platform.python_version()}. Medians of alternated runs, each on a fresh control "
        "plane."
    )
