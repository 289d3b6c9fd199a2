"""``make bench``: alternated runs on fresh control planes, one page, docs/performance.md."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.bench import drift, report, running
from tests.bench.contestants import NAMES, Course, apply
from tests.bench.fleet import Fleet
from tests.bench.results import MANY_TRACKS, ONE_TRACK, Results
from tests.controlplane.server import ControlPlane, find_assets
from tests.gitservers.https import HttpsServer

_MANY_TRACKS = 200
_STORM = 500


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument(
        "--apps", type=int, nargs="+", default=[10, 100, 1000], help="ten objects each"
    )
    parser.add_argument("--rounds", type=int, default=3, help="alternated runs of each contestant")
    parser.add_argument("--rest", type=float, default=160, help="seconds the agent is left alone")
    parser.add_argument(
        "--kubectl-up-to",
        type=int,
        default=100,
        metavar="APPS",
        help="kubectl's largest fleet",
    )
    parser.add_argument("--binary", type=Path, help="the agent to measure; this checkout's if none")
    parser.add_argument("--write", type=Path, help="write the page to this file")
    arguments = parser.parse_args()
    bench = Bench(find_assets(), arguments)
    results = [bench.measure(Fleet(apps)) for apps in arguments.apps]
    text = report.render(results, program=_program(arguments.binary), assets=bench.assets)
    print(text)
    if arguments.write:
        arguments.write.write_text(text)


class Bench:
    """Runs the cases of a fleet, each on a control plane of its own."""

    def __init__(self, assets: Path, arguments: argparse.Namespace) -> None:
        self.assets = assets
        self._rounds: int = arguments.rounds
        self._rest: float = arguments.rest
        self._kubectl_up_to: int = arguments.kubectl_up_to
        self._binary: Path | None = arguments.binary

    def measure(self, fleet: Fleet) -> Results:
        """Run all contestants, one after the other in changing order, and the agent's own cases."""
        results = Results(fleet)
        self._side_by_side(results)
        self._as_it_runs(results)
        self._at_rest(results)
        return results

    def _side_by_side(self, results: Results) -> None:
        fleet = results.fleet
        names = [name for name in NAMES if name != "kubectl" or fleet.apps <= self._kubectl_up_to]
        for number in range(self._rounds if fleet.apps <= 100 else 1):
            turn = number % len(names)
            for name in (*names[turn:], *names[:turn]):
                _say(fleet, f"{name}, round {number + 1}")
                with self._course(fleet) as course:
                    run = partial(apply, name, course)
                    results.note("cold", name, run, course.plane)
                    if name != "floor":
                        results.note("unchanged", name, run, course.plane)

    def _as_it_runs(self, results: Results) -> None:
        fleet = results.fleet
        with self._course(fleet) as course:
            _say(fleet, "restarts")
            apply("lightkeeper", course)
            results.restarts = running.restarts(course, times=3)
            _say(fleet, "drift")
            results.drift = drift.drift(course, edits=100, storm=_STORM, storms=5)
            _say(fleet, "commits")
            results.commit = running.commits_of_one_file(course, times=9)
            if fleet.apps >= 100:
                _say(fleet, "rest")
                rest = running.at_rest(course, sub_paths=[""], seconds=self._rest)
                results.rests[ONE_TRACK] = rest

    def _at_rest(self, results: Results) -> None:
        fleet = results.fleet
        if fleet.apps != 100:
            return
        teams = [namespace["metadata"]["name"] for namespace in fleet.namespaces]
        for name, https in (("https", True), ("file", False)):
            _say(fleet, f"rest, {name}")
            with self._course(fleet) as course:
                course.create_namespaces()
                results.rests[name] = running.at_rest(
                    course, sub_paths=teams, seconds=self._rest, https=https
                )
        _say(fleet, f"rest, {_MANY_TRACKS} tracks")
        many = Fleet(_MANY_TRACKS)
        with self._course(many) as course:
            course.create_namespaces()
            files = [path for path in many.files if "app-" in path]
            results.rests[MANY_TRACKS] = running.at_rest(
                course, sub_paths=files, seconds=self._rest
            )

    @contextmanager
    def _course(self, fleet: Fleet) -> Iterator[Course]:
        """Start a fresh control plane with the fleet's repository before it."""
        with (
            tempfile.TemporaryDirectory(prefix="lightkeeper-bench-") as name,
            ControlPlane(self.assets) as plane,
        ):
            folder = Path(name)
            (folder / "git").mkdir()
            git = HttpsServer(folder / "git", folder)
            course = Course(fleet, plane, folder, git, self._binary)
            course.prepare()
            git.start()
            try:
                yield course
            finally:
                git.stop()


def _program(binary: Path | None) -> str:
    """Say what was measured; a checkout by its commit."""
    if binary:
        return f"the binary {binary.name}"
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"a checkout of {done.stdout.strip() or 'an unknown commit'}"


def _say(fleet: Fleet, what: str) -> None:
    print(f"{fleet.apps} apps: {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
