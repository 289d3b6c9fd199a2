"""Metrics: every name the agent shows to Prometheus, with its labels and what it counts.

Names are those that dashboards and alerts of the field already ask for: Faros' (faros.md section
12, with its faults mended), controller-runtime's and client-go's for the loops, Flux's for its
public dashboard, and ``lightkeeper_`` for what is ours. What *happened* is kept here; what *is* (a
track's state, an object's) is read when Prometheus asks, see ``reconcile.reports.gauges``.

Bottom layer: knows nothing of tracks but their names. No global registry: one ``Metrics`` an agent.
"""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

TRACKS = "gittrack-controller"
"""The passes of tracks, as Faros names the controller."""

OBJECTS = "gittrackobject-controller"
"""The work on single objects, as Faros names the controller."""

KUSTOMIZATION = "Kustomization"
"""What a track's passes are to Flux' dashboard."""

GIT_REPOSITORY = "GitRepository"
"""What a track's polls are to Flux' dashboard."""

DEPLOY_BUCKETS = (60, 120, 180, 240, 300, 600, 900, 1200, 1500, 1800, 2400, 3000, 3600)
"""Seconds from a commit to its objects in the cluster, as in Faros."""

FLUX_BUCKETS = (0.01, 0.0384, 0.147, 0.565, 2.17, 8.31, 31.9, 122, 469, 1800)
"""Seconds, log-spaced as Flux has them."""

_RECONCILE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_REQUEST_BUCKETS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60)  # client-go's
_QUEUE_BUCKETS = (1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100, 1000)  # client-go's, from 10 µs on
_LAG_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """All instruments of one agent, and the page that shows them."""

    def __init__(self, *, version: str) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._build(version)
        self._make_loops()
        self._make_requests()
        self._make_tracks()
        self.event_loop_lag = Histogram(
            "lightkeeper_event_loop_lag_seconds",
            "How late the event loop woke up, measured once a second.",
            buckets=_LAG_BUCKETS,
            registry=self._registry,
        )
        Gauge(
            "lightkeeper_event_loop_tasks",
            "Tasks on the event loop: as many an hour later, or something leaks.",
            registry=self._registry,
        ).set_function(lambda: len(asyncio.all_tasks()))

    def _build(self, version: str) -> None:
        info = Gauge(
            "lightkeeper_build_info",
            "Always 1; version of the agent and of Python.",
            ["version", "python"],
            registry=self._registry,
        )
        info.labels(version, platform.python_version()).set(1)
        self.configuration_good = Gauge(
            "lightkeeper_config_last_reload_successful",
            "Whether the configuration's file, as it is now, is in force.",
            registry=self._registry,
        )
        self.configuration_good.set(1)

    def _make_loops(self) -> None:
        self._reconciles = Counter(
            "controller_runtime_reconcile_total",
            "Passes of tracks and looks at single objects, by result.",
            ["controller", "result"],
            registry=self._registry,
        )
        self._errors = Counter(
            "controller_runtime_reconcile_errors_total",
            "Passes of tracks and looks at single objects that failed.",
            ["controller"],
            registry=self._registry,
        )
        self._reconcile_seconds = Histogram(
            "controller_runtime_reconcile_time_seconds",
            "Seconds that a pass of a track, or a look at an object, took.",
            ["controller"],
            buckets=_RECONCILE_BUCKETS,
            registry=self._registry,
        )
        for controller in (TRACKS, OBJECTS):
            self._errors.labels(controller)
        self._queues = _QueueInstruments(self._registry)

    def _make_requests(self) -> None:
        self._requests = Counter(
            "rest_client_requests_total",
            'Answers of the API server, by status code; "<error>" where there was none.',
            ["code", "method", "host"],
            registry=self._registry,
        )
        self._request_seconds = Histogram(
            "rest_client_request_duration_seconds",
            "Seconds until the API server's answer began.",
            ["verb", "host"],
            buckets=_REQUEST_BUCKETS,
            registry=self._registry,
        )
        self.request_limit = Gauge(
            "lightkeeper_request_limit",
            "Requests to the API server that may be under way at once: fewer while it is busy.",
            registry=self._registry,
        )

    def _make_tracks(self) -> None:
        registry = self._registry
        self.fetches = Counter(
            "lightkeeper_source_polls_total",
            "Looks at a track's repository: new, unchanged, stale, empty or unreadable.",
            ["track", "result"],
            registry=registry,
        )
        self.fetch_seconds = Histogram(
            "lightkeeper_source_poll_duration_seconds",
            "Seconds that a look at a track's repository took, with the fetch if there was one.",
            ["track"],
            buckets=FLUX_BUCKETS,
            registry=registry,
        )
        self.changes = Counter(
            "lightkeeper_object_changes_total",
            "Objects that were created, updated, recreated or pruned.",
            ["track", "action"],
            registry=registry,
        )
        self.drift_repairs = Counter(
            "lightkeeper_drift_repairs_total",
            "Objects put back that somebody else had changed or deleted.",
            ["track"],
            registry=registry,
        )
        self.flux_seconds = Histogram(
            "gotk_reconcile_duration_seconds",
            "Seconds that a pass (Kustomization) or a poll (GitRepository) of a track took.",
            ["kind", "name", "namespace"],
            buckets=FLUX_BUCKETS,
            registry=registry,
        )
        self.time_to_deploy = Histogram(
            "faros_gittrack_time_to_deploy_seconds",
            "Seconds from a commit to the first time that an object it changed was in step.",
            ["name", "namespace", "repository"],
            buckets=DEPLOY_BUCKETS,
            registry=registry,
        )
        self._by_track = (
            (self.fetches, "track"),
            (self.fetch_seconds, "track"),
            (self.changes, "track"),
            (self.drift_repairs, "track"),
            (self.flux_seconds, "name"),
            (self.time_to_deploy, "name"),
        )
        self._tracks: set[str] = set()

    def reconciled(self, controller: str, result: str, seconds: float) -> None:
        """Count one pass (TRACKS) or one look at an object (OBJECTS).

        ``result`` is ``success``, ``error`` or ``requeue_after``, as in controller-runtime.
        """
        self._reconciles.labels(controller, result).inc()
        if result == "error":
            self._errors.labels(controller).inc()
        self._reconcile_seconds.labels(controller).observe(seconds)

    def requested(self, method: str, host: str, code: int | None, seconds: float) -> None:
        """Count one request to the API server; ``code`` None when no answer came."""
        self._requests.labels("<error>" if code is None else str(code), method, host).inc()
        self._request_seconds.labels(method, host).observe(seconds)

    def queue(self, name: str) -> QueueMetrics:
        """Return the observer of a work queue; queues of one name are counted as one."""
        return QueueMetrics(name, self._queues)

    def add(self, collector: Collector) -> None:
        """Show also what ``collector`` finds whenever Prometheus asks."""
        self._registry.register(collector)

    def follow_track(self, name: str) -> None:
        """Say that things will be counted for a track, so that they can be forgotten."""
        self._tracks.add(name)

    def retain_tracks(self, names: Collection[str]) -> None:
        """Forget what was counted for tracks that are not among these."""
        for gone in self._tracks - set(names):
            for instrument, label in self._by_track:
                instrument.remove_by_labels({label: gone})
        self._tracks &= set(names)

    async def page(self, accept: str) -> tuple[bytes, str]:
        """Return the page and its Content-Type, in the format that the header ``accept`` asks for.

        State is read on the event loop, where nothing changes meanwhile; the text is written in a
        thread, because thousands of series take a while.
        """
        families = [_without_created(family) for family in self._registry.collect()]
        encode, content_type = choose_encoder(accept)
        return await asyncio.to_thread(encode, _Collected(families)), content_type


@dataclass(frozen=True, slots=True)
class _Collected(Collector):
    """What a registry held at one moment, for the encoders."""

    families: list[Metric]

    def collect(self) -> Iterable[Metric]:
        return self.families


def _without_created(family: Metric) -> Metric:
    """Leave out the times of creation that the library adds: twice the series, and nobody asks."""
    family.samples = [s for s in family.samples if not s.name.endswith("_created")]
    return family


class _QueueInstruments:
    """client-go's instruments of work queues (k8s.io/component-base/metrics/workqueue)."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ["name"]
        self.adds = Counter(
            "workqueue_adds_total", "Keys that were added.", labels, registry=registry
        )
        self.retries = Counter(
            "workqueue_retries_total", "Keys that were put off.", labels, registry=registry
        )
        self.waited = Histogram(
            "workqueue_queue_duration_seconds",
            "Seconds that a key waited for a worker.",
            labels,
            buckets=_QUEUE_BUCKETS,
            registry=registry,
        )
        self.worked = Histogram(
            "workqueue_work_duration_seconds",
            "Seconds that the work on a key took.",
            labels,
            buckets=_QUEUE_BUCKETS,
            registry=registry,
        )


class QueueMetrics:
    """Counts for one work queue what happens in it; an observer for ``aio.workqueue``."""

    def __init__(self, name: str, instruments: _QueueInstruments) -> None:
        self._adds = instruments.adds.labels(name)
        self._retries = instruments.retries.labels(name)
        self._waited = instruments.waited.labels(name)
        self._worked = instruments.worked.labels(name)

    def added(self) -> None:
        """Count a key that was added."""
        self._adds.inc()

    def retried(self) -> None:
        """Count a key that was put off."""
        self._retries.inc()

    def taken(self, waited: float) -> None:
        """Count a key that a worker took after ``waited`` seconds."""
        self._waited.observe(waited)

    def finished(self, worked: float) -> None:
        """Count a key on which the work has ended after ``worked`` seconds."""
        self._worked.observe(worked)
