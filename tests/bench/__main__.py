"""``make bench``: alternated runs on fresh control planes, one table, docs/performance.md."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench import report, running
from tests.bench.contestants import NAMES, Course, apply
from tests.bench.fleet import Fleet
from tests.bench.report import Results
from tests.controlplane.server import ControlPlane, find_assets


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("--apps", type=int, nargs="+", default=[10, 100], help="ten objects each")
    parser.add_argument("--rounds", type=int, default=3, help="alternated runs of each contestant")
    parser.add_argument("--rest", type=float, default=120, help="seconds the agent is left alone")
    parser.add_argument("--write", type=Path, help="write the table to this file")
    arguments = parser.parse_args()
    assets = find_assets()
    results = [
        measure(assets, Fleet(apps), rounds=arguments.rounds, rest=arguments.rest)
        for apps in arguments.apps
    ]
    text = report.render(results)
    print(text)
    if arguments.write:
        arguments.write.write_text(text)


def measure(assets: Path, fleet: Fleet, *, rounds: int, rest: float) -> Results:
    """Run all contestants, one after the other in changing order, and the agent's own cases."""
    results = Results(fleet)
    for number in range(rounds):
        turn = number % len(NAMES)
        for name in (*NAMES[turn:], *NAMES[:turn]):
            with _course(assets, fleet) as course:
                results.cold(name, apply(name, course), course.plane)
                if name != "floor":
                    results.unchanged(name, apply(name, course), course.plane)
    with _course(assets, fleet) as course:
        apply("lightkeeper", course)
        results.drift = running.drift(course, edits=100, storm=500)
        results.commit = running.commit_of_one_file(course)
    with _course(assets, fleet) as course:
        results.rest = running.at_rest(course, seconds=rest)
    return results


@contextmanager
def _course(assets: Path, fleet: Fleet) -> Iterator[Course]:
    """Start a fresh control plane with the fleet's files before it."""
    with (
        tempfile.TemporaryDirectory(prefix="lightkeeper-bench-") as folder,
        ControlPlane(assets) as plane,
    ):
        course = Course(fleet, plane, Path(folder))
        course.prepare()
        yield course


if __name__ == "__main__":
    main()
