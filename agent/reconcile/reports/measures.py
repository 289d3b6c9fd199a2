"""What is counted of one track's doings, and the time from commit to cluster.

Turns snapshots and outcomes into ``metrics``' counters. Decides nothing, asks nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from agent.manifest.keys import ObjectKey
from agent.manifest.model import Manifest
from agent.metrics import GIT_REPOSITORY, KUSTOMIZATION, OBJECTS, TRACKS, Metrics
from agent.plan.change import Outcome
from agent.source.snapshot import Revision, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """How a track is called: ``namespace`` is its scope's, "" for the cluster.

    ``repository`` is the redacted URL, ``state_namespace`` where its ConfigMap is.
    """

    track: str
    namespace: str
    state_namespace: str
    repository: str


class Measures:
    """Counts for one track. ``clock`` gives Unix seconds, ``monotonic`` seconds that only grow.

    ``checked_at`` is when the source answered last (Unix seconds), ``last_sign`` when the track
    last got on with anything, which tells a slow pass from one that hangs.
    """

    def __init__(
        self,
        metrics: Metrics,
        labels: Labels,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.labels = labels
        self.checked_at: float | None = None
        self.last_sign = monotonic()
        self._metrics = metrics
        self._clock = clock
        self._monotonic = monotonic
        self._revision: str | None = None  # of which the objects are expected, or no news
        self._expected: dict[ObjectKey, int] = {}  # when the commit was made that changes it
        metrics.follow_track(labels.track)
        metrics.drift_repairs.labels(labels.track)
        self._flux_names = (labels.track, labels.state_namespace)
        self._deploy = metrics.time_to_deploy.labels(
            labels.track, labels.namespace, labels.repository
        )

    def sign(self) -> None:
        """Note that the track got on with something."""
        self.last_sign = self._monotonic()

    def polled(self, snapshot: Snapshot, seconds: float) -> None:
        """Count one look at the source."""
        self.sign()
        track = self.labels.track
        if snapshot.checked_at is not None:
            self.checked_at = max(snapshot.checked_at, self.checked_at or 0.0)
        if self._revision is None and snapshot.revision is not None:
            self._revision = snapshot.revision.commit  # how long it has been there, nobody knows
        self._metrics.fetches.labels(track, snapshot.trust.value).inc()
        self._metrics.fetch_seconds.labels(track).observe(seconds)
        self._metrics.flux_seconds.labels(GIT_REPOSITORY, *self._flux_names).observe(seconds)

    def expect(
        self,
        before: Mapping[ObjectKey, Manifest],
        after: Mapping[ObjectKey, Manifest],
        revision: Revision | None,
    ) -> None:
        """Take note of the objects that a revision changes, once a revision."""
        if revision is None or revision.commit == self._revision:
            return
        self._revision = revision.commit
        self._expected = {k: at for k, at in self._expected.items() if k in after}
        for key, manifest in after.items():
            if key not in before or before[key].digest != manifest.digest:
                self._expected[key] = revision.committed_at

    def passed(self, seconds: float, *, good: bool, idle: bool) -> None:
        """Count one pass; ``idle`` when it found that there was nothing to look at."""
        self.sign()
        self._metrics.reconciled(TRACKS, "success" if good else "error", seconds)
        if not idle:
            self._metrics.flux_seconds.labels(KUSTOMIZATION, *self._flux_names).observe(seconds)

    def reconciled(self, outcome: Outcome, seconds: float) -> None:
        """Count one look at an object, and the commit that has come to the cluster with it."""
        self.sign()
        self._metrics.reconciled(OBJECTS, _result(outcome), seconds)
        if not outcome.in_sync:
            return
        committed_at = self._expected.pop(outcome.key, None)
        if committed_at is not None and outcome.wrote:
            self._deploy.observe(max(0.0, self._clock() - committed_at))

    def changed(self, outcome: Outcome, *, drift: bool) -> None:
        """Count one object that was written or pruned; ``drift`` when nobody committed anything."""
        if outcome.wrote:
            self._metrics.changes.labels(self.labels.track, outcome.action.value).inc()
            if drift:
                self._metrics.drift_repairs.labels(self.labels.track).inc()


def _result(outcome: Outcome) -> str:
    if not outcome.error:
        return "success"
    return "error" if outcome.retry_in is None else "requeue_after"
