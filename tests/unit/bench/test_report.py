"""The bench's page says what was measured, and whether that is enough."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.bench.drift import Drift, Storm
from tests.bench.fleet import Fleet
from tests.bench.measure import Cost, Memory
from tests.bench.report import render
from tests.bench.results import ONE_TRACK, Results
from tests.bench.running import Commit, Rest, Restart
from tests.bench.targets import MB, targets
from tests.controlplane.server import find_assets

ROOT = Path(__file__).parents[3]
ABOUT = ROOT / "tests/bench/about.md"
PAGE = ROOT / "docs/performance.md"


def results(apps: int, *, cold: float = 4.0, megabytes: float = 60.0) -> Results:
    found = Results(Fleet(apps))
    found.costs["cold", "floor"] = [Cost(2.0, 1.0, 40.0)]
    found.costs["cold", "lightkeeper"] = [Cost(9.0, 2.0, 60.0, 35.0), Cost(cold, 2.0, 60.0, 35.0)]
    found.costs["cold", "lightkeeper"].append(Cost(0.1, 2.0, 60.0, 35.0))
    for key in found.costs:
        found.counts[key] = Counter({"create": 4, "patch (dry-run)": 1, "list": 7})
    memory = Memory(megabytes * MB, 50.0, 0.0)
    found.rests["https"] = Rest(10, 120.0, 0.1, memory, Counter(watch=3))
    found.rests[ONE_TRACK] = Rest(1, 120.0, 0.1, memory, Counter(watch=3))
    found.restarts = [Restart(1.0, 0.5, Counter(list=12))]
    storms = (Storm(3.0, 1.0), Storm(2.0, 1.0), Storm(9.0, 2.0))
    found.drift = Drift(100, 0.01, 0.05, storms, 500)
    found.commit = Commit(9, 0.5, 0.05, Counter(patch=18))
    return found


def test_each_target_of_the_two_fleets_is_judged() -> None:
    lines = targets([results(10), results(100), results(1000, cold=40, megabytes=90)])
    assert [(line.what, line.met) for line in lines] == [
        ("cold, 1,010 objects", True),
        ("at rest, 10 tracks, 1 min polls", True),
        ("memory at rest, 1,010 objects", True),
        ("requests in 120 s of rest", True),
        ("restart, 1,010 objects", True),
        ("a commit of one file", True),
        ("drift, median", True),
        ("drift, 99th of 100", True),
        ("500 objects edited at once", True),
        ("memory at rest, 10,100 objects", True),
        ("10 x the objects: cold", True),
        ("10 x the objects: memory", True),
        ("10 x the objects: at rest", True),
    ]


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        ({"cold": 4.1}, "cold, 1,010 objects"),
        ({"megabytes": 70.1}, "memory at rest, 1,010 objects"),
    ],
)
def test_what_is_not_reached_is_said(change: dict[str, float], missed: str) -> None:
    assert [line.what for line in targets([results(100, **change)]) if not line.met] == [missed]


def test_a_write_at_rest_or_at_a_restart_is_one_too_many() -> None:
    found = results(100)
    found.rests["https"].requests["patch"] = 1
    found.restarts[0].requests["create"] = 1
    missed = [line.what for line in targets([found]) if not line.met]
    assert missed == ["requests in 120 s of rest", "restart, 1,010 objects"]


def test_the_page_in_the_documentation_has_the_text_of_now() -> None:
    head, _, tail = ABOUT.read_text().partition("<!-- tables -->\n")
    page = PAGE.read_text()
    assert page.startswith(head.rstrip())
    assert page.endswith(tail.lstrip())


def test_the_page_has_medians_and_ratios_within_the_run() -> None:
    page = render([results(100)], program="this checkout", assets=find_assets())
    assert "| cold | lightkeeper | 3 | 4.00 | 2.00 | 2.00 | 63 | 37 | 5 | 7 |" in page
    assert "| cold, 1,010 objects | <= 2.0 x the floor | 2.00 x | yes |" in page
    assert page.startswith("# Performance\n")
    assert "<!-- tables -->" not in page
    assert page.endswith(ABOUT.read_text().splitlines()[-1] + "\n")
