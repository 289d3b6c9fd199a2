"""What was measured of one fleet."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

from tests.bench import measure
from tests.bench.drift import Drift
from tests.bench.fleet import Fleet
from tests.bench.measure import Cost
from tests.bench.running import Commit, Rest, Restart
from tests.controlplane.server import ControlPlane

WRITES = ("create", "update", "patch", "delete", "deletecollection")


ONE_TRACK = "https, a single track, restarted"
MANY_TRACKS = "https, two thousand objects"
"""Names of cases at rest, next to "https" and "file"."""


@dataclass(slots=True)
class Results:
    """The cases of one fleet; a case that was not run is None or empty."""

    fleet: Fleet
    restarts: list[Restart] = field(default_factory=list)
    drift: Drift | None = None
    commit: Commit | None = None
    rests: dict[str, Rest] = field(default_factory=dict)
    costs: dict[tuple[str, str], list[Cost]] = field(default_factory=lambda: defaultdict(list))
    counts: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)

    def note(self, case: str, name: str, run: Callable[[], Cost], plane: ControlPlane) -> None:
        """Have a contestant run, and note what that costs and how many requests it makes."""
        since = plane.mark()
        self.costs[case, name].append(run())
        self.counts[case, name] = measure.requests(plane, since, of=name)

    @property
    def size(self) -> int:
        """The number of objects."""
        return len(self.fleet.objects)

    @property
    def ratio(self) -> float:
        """How many times as long as the floor the agent's first run takes: medians."""
        return self.wall("cold", "lightkeeper") / self.wall("cold", "floor")

    def wall(self, case: str, name: str) -> float:
        """Return the median of the seconds a contestant took."""
        return median(cost.wall for cost in self.costs[case, name])


def writes(counts: Counter[str]) -> int:
    """Return how many of the requests change something, or would: dry-runs count."""
    return sum(count for verb, count in counts.items() if verb.startswith(WRITES))
