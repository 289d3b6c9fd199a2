"""Inventory crash-safety: kill -9 at the points of a pass, a restart, and all is as without it.

Nothing is leaked, nothing that git names is deleted, nothing that is not ours is touched, and the
inventory says what it would say. Every second trial loses its state folder with its process.

Here each point of the scenario that a crash is most likely to leak in, and every fourth of the
others. ``LIGHTKEEPER_CRASH_ALL=1`` is every point of all, with and without the state folder.
"""

from __future__ import annotations

import os
import queue
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.controlplane.server import ControlPlane
from tests.integration.crash import scenarios
from tests.integration.crash.judge import judge
from tests.integration.crash.launcher import Launcher
from tests.integration.crash.scenarios import Address, Scenario
from tests.integration.crash.trial import Played, Trial

ALL = bool(os.environ.get("LIGHTKEEPER_CRASH_ALL"))

STRIDES = [
    (scenarios.FIRST_APPLY, 4),
    (scenarios.LAST_OF_ITS_KIND, 1),
    (scenarios.GIT_MOVES_ON, 4),
    (scenarios.ADOPTION, 4),
    (scenarios.RECREATE, 4),
]

STEPS = (0, 0, 1, -2)
"""Where to aim: at the point, and as long as the kill missed again, right behind it, before it.

A few points exist in some runs only, such as an answer that comes in two pieces.
"""

SHOWN = 10
"""Trials whose faults are shown in full: one defect usually shows at many points."""


@dataclass(frozen=True, slots=True)
class Death:
    """Where a pass is killed, and whether its state folder goes with it."""

    point: str
    lose_state: bool

    def __str__(self) -> str:
        return f"killed at {self.point}{', state folder lost' if self.lose_state else ''}"


@pytest.mark.timeout(3600 if ALL else 600)
@pytest.mark.parametrize(
    ("scenario", "stride"), STRIDES, ids=[scenario.name for scenario, _ in STRIDES]
)
def test_a_pass_killed_anywhere_is_made_good_by_the_next(
    scenario: Scenario,
    stride: int,
    control_plane: ControlPlane,
    launchers: list[Launcher],
    tmp_path: Path,
) -> None:
    mark = control_plane.mark()
    measure = Trial(control_plane, launchers[0], tmp_path).play(scenario)
    assert measure.landing.ready, measure.landing.complaints
    inventory = ("configmaps", "AGENT.shop")
    assert measure.after.keys() == scenario.wanted | measure.not_ours | {inventory}
    points = measure.landing.points
    aims = missed = list(_deaths(points, stride))
    trials: list[tuple[Death, Played]] = []
    for step in STEPS:
        missed = [_aside(death, points, step) for death in missed]
        played = _play_all(scenario, missed, control_plane, launchers, tmp_path)
        trials += zip(missed, played, strict=True)
        missed = [d for d, trial in zip(missed, played, strict=True) if not trial.landing.killed]
    deleted = _deletions(control_plane, mark)
    assert not _faults(scenario, measure, measure, deleted[measure.namespace])
    faults = {
        str(death): found
        for death, trial in trials
        if (found := _faults(scenario, measure, trial, deleted[trial.namespace]))
    }
    killed = len(aims) - len(missed)
    print(f"{scenario.name}: {len(points)} points, {killed}/{len(aims)} killed")
    assert not faults, _report(faults, of=len(trials))
    assert killed > 0.9 * len(aims)


def _deaths(points: tuple[str, ...], stride: int) -> Iterator[Death]:
    if ALL:
        yield from (Death(point, lost) for point in points for lost in (False, True))
    else:
        for number, point in enumerate(points[::stride]):
            yield Death(point, lose_state=number % 2 == 1)


def _aside(death: Death, points: tuple[str, ...], step: int) -> Death:
    """Return a death like this one, so many points later."""
    there = points.index(death.point) + step
    return replace(death, point=points[min(max(there, 0), len(points) - 1)])


def _play_all(
    scenario: Scenario,
    deaths: Iterable[Death],
    control_plane: ControlPlane,
    launchers: list[Launcher],
    folder: Path,
) -> list[Played]:
    """Play the trials, as many at a time as there are launchers; return them in order."""
    free: queue.SimpleQueue[Launcher] = queue.SimpleQueue()
    for launcher in launchers:
        free.put(launcher)

    def play(death: Death) -> Played:
        launcher = free.get()
        try:
            trial = Trial(control_plane, launcher, folder)
            return trial.play(scenario, deadly=death.point, lose_state=death.lose_state)
        finally:
            free.put(launcher)

    with ThreadPoolExecutor(len(launchers)) as threads:
        return list(threads.map(play, deaths))


def _deletions(control_plane: ControlPlane, since: int) -> dict[str, set[Address]]:
    """Return what the agents asked to have deleted, by namespace."""
    deleted: dict[str, set[Address]] = defaultdict(set)
    for request in control_plane.audit(since, user_agent="lightkeeper/"):
        if request.verb in ("delete", "deletecollection"):
            deleted[request.namespace].add((request.resource, request.name))
    return deleted


def _faults(scenario: Scenario, measure: Played, trial: Played, deleted: set[Address]) -> list[str]:
    faults = judge(
        scenario,
        before=trial.before,
        after=trial.after,
        wanted=measure.after,
        not_ours=trial.not_ours,
    )
    if not trial.restarted.ready:
        faults.append(f"not ready after the restart: {trial.restarted.complaints}")
    faults += [f"deleted: {'/'.join(found)}" for found in deleted - scenario.may_be_deleted]
    return faults


def _report(faults: dict[str, list[str]], *, of: int) -> str:
    shown = [
        f"{death}\n" + "\n".join(f"    {fault}" for fault in found)
        for death, found in list(faults.items())[:SHOWN]
    ]
    return f"{len(faults)} of {of} trials went wrong:\n" + "\n".join(shown)
