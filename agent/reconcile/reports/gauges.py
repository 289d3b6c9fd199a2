"""What tracks, queues and elections are like at the moment, read when Prometheus asks.

Nothing is kept between two questions: the series of a track or object that has gone, or that
another replica works on now, are gone with it (Faros kept them for ever). Names as in faros.md
section 12 and flux.md section 4.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice
from operator import itemgetter
from typing import Protocol

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agent.manifest.keys import ObjectKey
from agent.metrics import GIT_REPOSITORY, KUSTOMIZATION, OBJECTS, Metrics
from agent.plan.change import Action, Outcome
from agent.reconcile.reports.measures import Measures
from agent.reconcile.reports.status import FETCHED, TrackStatus

OBJECT_SERIES = 5000
"""Objects that get a series of their own. Those out of step come first; the rest is a number."""


class Shown(Protocol):
    """What is read of a track; ``reconcile.track.Track`` has it."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def status(self) -> TrackStatus:
        """Its status after the last pass or repair."""

    @property
    def outcomes(self) -> Mapping[ObjectKey, Outcome]:
        """What came of each of its objects."""

    @property
    def measures(self) -> Measures:
        """What was counted of it."""

    @property
    def held(self) -> int:
        """How many deletions wait for an approval."""

    @property
    def fights(self) -> int:
        """How many objects are fought over."""


_CHILD_STATUS = ("discovered", "applied", "ignored", "inSync")
_FLUX_LABELS = (
    "customresource_group",
    "customresource_kind",
    "customresource_version",
    "exported_namespace",
    "name",
    "ready",
    "suspended",
    "revision",
    "source_name",
    "url",
)
_FLUX_GROUPS = {
    KUSTOMIZATION: "kustomize.toolkit.fluxcd.io",
    GIT_REPOSITORY: "source.toolkit.fluxcd.io",
}
_TRACK_GAUGES: Mapping[str, tuple[str, Callable[[Shown], float | None]]] = {
    "lightkeeper_track_ready": (
        "1 when every condition of the track is True and nothing is held, else 0; "
        "absent before the first pass, as on a standby.",
        lambda track: track.status.ready if track.status.conditions else None,
    ),
    "lightkeeper_source_age_seconds": (
        "Seconds since the track's repository answered last; absent when it never did.",
        lambda track: _age(track.measures.checked_at),
    ),
    "lightkeeper_source_stale": (
        "1 when the track's repository could not be read at the last poll.",
        lambda track: track.status.source in ("stale", "unreadable"),
    ),
    "lightkeeper_held_prunes": (
        "Deletions that wait for lightkeeper approve.",
        lambda track: track.held,
    ),
    "lightkeeper_fights": (
        "Objects that somebody else keeps writing, and that are left alone for the time being.",
        lambda track: track.fights,
    ),
}


class Queue(Protocol):
    """What is read of a work queue; ``aio.workqueue.WorkQueue`` has it."""

    @property
    def depth(self) -> int:
        """Keys that wait for a worker."""

    def working(self) -> list[float]:
        """Seconds for which each key under work has been."""


class Work(Protocol):
    """All that this process works on at the moment; ``reconcile.terms.Terms`` has it."""

    @property
    def tracks(self) -> Mapping[str, Shown]:
        """The tracks by name."""

    @property
    def queues(self) -> Sequence[Queue]:
        """The queues of repairs."""


class Candidate(Protocol):
    """What is read of an election; ``reconcile.leadership.Elector`` has it."""

    @property
    def name(self) -> str:
        """The Lease's name."""

    @property
    def is_leader(self) -> bool:
        """Whether this process holds the Lease."""


class Gauges(Collector):
    """The collector of what is now. ``electors`` is empty without leader election."""

    def __init__(self, metrics: Metrics, work: Work, electors: Collection[Candidate]) -> None:
        self._metrics = metrics
        self._work = work
        self._electors = electors

    def describe(self) -> Iterable[Metric]:
        """Name nothing in advance, so that registering does not ask tracks that are not there."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Return what is known now."""
        tracks = self._work.tracks
        self._metrics.retain_tracks(tracks)
        yield from _queues(self._work.queues)
        yield _leading(self._electors)
        yield from _tracks(tracks.values())
        yield _children(tracks.values())
        yield _resources(tracks.values())
        yield from _objects(tracks.values())


def _queues(queues: Sequence[Queue]) -> Iterable[Metric]:
    """Show the queues of all terms as one, by client-go's names."""
    working = [seconds for queue in queues for seconds in queue.working()]
    for name, text, value in (
        ("depth", "Keys that wait for a worker.", sum(queue.depth for queue in queues)),
        (
            "unfinished_work_seconds",
            "Seconds of work done on keys that are not finished, summed up.",
            sum(working),
        ),
        (
            "longest_running_processor_seconds",
            "Seconds that the longest work has been going on.",
            max(working, default=0.0),
        ),
    ):
        family = GaugeMetricFamily(f"workqueue_{name}", text, labels=["name"])
        family.add_metric([OBJECTS], value)
        yield family


def _leading(electors: Iterable[Candidate]) -> Metric:
    family = GaugeMetricFamily(
        "leader_election_master_status",
        "1 while this process holds the Lease, else 0; absent without leader election.",
        labels=["name"],
    )
    for elector in electors:
        family.add_metric([elector.name], float(elector.is_leader))
    return family


def _age(since: float | None) -> float | None:
    return None if since is None else max(0.0, time.time() - since)


def _tracks(tracks: Iterable[Shown]) -> Iterable[Metric]:
    for name, (text, value) in _TRACK_GAUGES.items():
        family = GaugeMetricFamily(name, text, labels=["track"])
        for track in tracks:
            if (found := value(track)) is not None:
                family.add_metric([track.name], float(found))
        yield family


def _children(tracks: Iterable[Shown]) -> Metric:
    family = GaugeMetricFamily(
        "faros_gittrack_child_status",
        "Objects of a track: discovered in git, applied, ignored, in step with git.",
        labels=["name", "namespace", "status"],
    )
    for track in tracks:
        status = track.status
        counters = (status.discovered, status.applied, status.ignored, status.in_sync)
        for kind, count in zip(_CHILD_STATUS, counters, strict=True):
            family.add_metric([track.name, track.measures.labels.namespace, kind], count)
    return family


def _resources(tracks: Iterable[Shown]) -> Metric:
    family = GaugeMetricFamily(
        "gotk_resource_info",
        "Always 1; a track and its source, as Flux shows a Kustomization and a GitRepository.",
        labels=_FLUX_LABELS,
    )
    for track in tracks:
        status, labels = track.status, track.measures.labels
        rows = (
            (KUSTOMIZATION, _ready(status), track.name, ""),
            (GIT_REPOSITORY, _fetched(status), "", labels.repository),
        )
        for kind, ready, source, url in rows:
            names = (labels.state_namespace, track.name)
            values = [_FLUX_GROUPS[kind], kind, "v1", *names]
            suspended = "True" if status.suspended else "False"
            family.add_metric([*values, ready, suspended, status.revision, source, url], 1)
    return family


def _ready(status: TrackStatus) -> str:
    return str(status.ready) if status.conditions else "Unknown"


def _fetched(status: TrackStatus) -> str:
    found = (c.status for c in status.conditions if c.type == FETCHED)
    return next(found, "Unknown")


def _objects(tracks: Iterable[Shown]) -> Iterable[Metric]:
    """Say of each object whether it is in step; one that is left to others is not ours to judge."""
    states: dict[tuple[str, str, str], bool] = {}
    for track in tracks:
        for key, outcome in track.outcomes.items():
            if _is_judged(outcome):
                # Two groups may have a kind of the same name; the worse one counts.
                names = (key.kind, key.name, key.namespace)
                states[names] = states.get(names, True) and outcome.in_sync
    family = GaugeMetricFamily(
        "faros_gittrackobject_in_sync",
        "1 when the object is as git says, else 0.",
        labels=["kind", "name", "namespace"],
    )
    bad_first = sorted(states.items(), key=itemgetter(1))
    for names, in_sync in islice(bad_first, OBJECT_SERIES):
        family.add_metric(names, float(in_sync))
    yield family
    omitted = max(0, len(states) - OBJECT_SERIES)
    text = "Objects that have no faros_gittrackobject_in_sync, because there are too many."
    yield GaugeMetricFamily("lightkeeper_object_series_omitted", text, value=omitted)


def _is_judged(outcome: Outcome) -> bool:
    return bool(outcome.error) or outcome.action is not Action.IGNORE
