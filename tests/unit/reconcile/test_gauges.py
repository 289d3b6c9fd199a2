"""What the tracks are like is read when it is asked for, and bounded."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry

from agent.manifest.keys import ObjectKey
from agent.metrics import Metrics
from agent.plan.change import Action, Outcome
from agent.reconcile.reports import gauges
from agent.reconcile.reports.gauges import Gauges
from agent.reconcile.reports.measures import Labels, Measures
from agent.reconcile.reports.status import Condition, TrackStatus
from agent.source.snapshot import Revision, Snapshot, Trust

CONDITIONS = ("FilesFetched", "FilesParsed", "ChildrenUpToDate", "ChildrenGarbageCollected")


@dataclass
class OneTrack:
    """A track as far as the gauges look."""

    name: str
    status: TrackStatus
    measures: Measures
    outcomes: dict[ObjectKey, Outcome] = field(default_factory=dict)
    held: int = 0
    fights: int = 0


def make(metrics: Metrics, name: str = "shop", *, bad: str = "", known: bool = True) -> OneTrack:
    """Make a track whose condition ``bad`` is False; without conditions when not ``known``."""
    conditions = [Condition(c, str(c != bad), "R") for c in CONDITIONS] if known else []
    repository = "https://***@h/r"
    status = TrackStatus(
        track=name,
        repository=repository,
        revision="main@123",
        source="stale" if bad == "FilesFetched" else "current",
        discovered=4,
        applied=3,
        ignored=1,
        in_sync=2,
        conditions=conditions,
    )
    labels = Labels(track=name, namespace="", state_namespace="gitops", repository=repository)
    return OneTrack(name, status, Measures(metrics, labels))


@dataclass
class Busy:
    """A queue as far as the gauges look."""

    depth: int
    seconds: list[float]

    def working(self) -> list[float]:
        return self.seconds


@dataclass
class Election:
    """A candidate as far as the gauges look."""

    name: str
    is_leader: bool


@dataclass
class Shop:
    """Work and the registry that shows it."""

    metrics: Metrics = field(default_factory=lambda: Metrics(version="1"))
    tracks: dict[str, OneTrack] = field(default_factory=dict)
    queues: list[Busy] = field(default_factory=list)
    electors: list[Election] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(Gauges(self.metrics, self, self.electors))

    def add(self, track: OneTrack) -> OneTrack:
        self.tracks[track.name] = track
        return track

    def value(self, name: str, /, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    def series(self, name: str) -> list[dict[str, str]]:
        return [
            sample.labels
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name == name
        ]


@pytest.fixture
def shop() -> Shop:
    return Shop()


def objects(count: int, *, bad: int = 0) -> dict[ObjectKey, Outcome]:
    """Return outcomes of so many ConfigMaps, the last ones failed."""
    keys = [ObjectKey("", "ConfigMap", "ns", f"c{number:05}") for number in range(count)]
    return {
        key: Outcome(key, Action.UPDATE, error="refused" if number >= count - bad else "")
        for number, key in enumerate(keys)
    }


@pytest.mark.parametrize(
    ("status", "count"), [("discovered", 4), ("applied", 3), ("ignored", 1), ("inSync", 2)]
)
def test_the_counters_of_a_track_are_a_gauge_of_faros(shop: Shop, status: str, count: int) -> None:
    shop.add(make(shop.metrics))
    found = shop.value("faros_gittrack_child_status", name="shop", namespace="", status=status)
    assert found == count


@pytest.mark.parametrize(
    ("bad", "known", "kustomization", "repository"),
    [
        pytest.param("", True, "True", "True", id="all well"),
        pytest.param("ChildrenUpToDate", True, "False", "True", id="an object failed"),
        pytest.param("FilesFetched", True, "False", "False", id="git away"),
        pytest.param("", False, "Unknown", "Unknown", id="no pass yet"),
    ],
)
def test_a_track_is_a_kustomization_and_its_source_to_the_dashboard_of_flux(
    shop: Shop, bad: str, known: bool, kustomization: str, repository: str
) -> None:
    shop.add(make(shop.metrics, bad=bad, known=known))
    found = {row["customresource_kind"]: row for row in shop.series("gotk_resource_info")}
    common = {
        "customresource_version": "v1",
        "exported_namespace": "gitops",
        "name": "shop",
        "suspended": "False",
        "revision": "main@123",
    }
    assert found == {
        "Kustomization": common
        | {
            "customresource_group": "kustomize.toolkit.fluxcd.io",
            "customresource_kind": "Kustomization",
            "ready": kustomization,
            "source_name": "shop",
            "url": "",
        },
        "GitRepository": common
        | {
            "customresource_group": "source.toolkit.fluxcd.io",
            "customresource_kind": "GitRepository",
            "ready": repository,
            "source_name": "",
            "url": "https://***@h/r",
        },
    }


def test_the_series_of_a_track_that_vanished_are_gone(shop: Shop) -> None:
    gone = shop.add(make(shop.metrics, "gone"))
    gone.outcomes = objects(1)
    shop.add(make(shop.metrics, "shop"))
    gone.measures.polled(Snapshot(Trust.NEW, Revision("1" * 40, "refs/heads/main", 1, "", "")), 1)
    assert shop.value("lightkeeper_track_ready", track="gone") == 1
    del shop.tracks["gone"]
    everything = [s.labels for family in shop.registry.collect() for s in family.samples]
    assert everything
    assert not [labels for labels in everything if "gone" in labels.values()]
    assert not shop.series("faros_gittrackobject_in_sync")
    counted = [s.labels for f in shop.metrics.fetches.collect() for s in f.samples]
    assert not [labels for labels in counted if labels["track"] == "gone"]


@pytest.mark.parametrize(
    ("outcome", "value"),
    [
        pytest.param(Outcome(ObjectKey("", "A", "n", "x"), Action.UNCHANGED), 1.0, id="in step"),
        pytest.param(
            Outcome(ObjectKey("", "A", "n", "x"), Action.UPDATE, error="no"), 0.0, id="failed"
        ),
        pytest.param(
            Outcome(ObjectKey("", "A", "n", "x"), Action.HOLD, error="f"), 0.0, id="fought over"
        ),
        pytest.param(
            Outcome(ObjectKey("", "A", "n", "x"), Action.IGNORE, error="no kind"), 0.0,
            id="kind unknown",
        ),
        pytest.param(
            Outcome(ObjectKey("", "A", "n", "x"), Action.IGNORE, reason="scope"), None,
            id="left to others",
        ),
    ],
)  # fmt: skip
def test_an_object_is_in_sync_or_not(shop: Shop, outcome: Outcome, value: float | None) -> None:
    shop.add(make(shop.metrics)).outcomes = {outcome.key: outcome}
    found = shop.value("faros_gittrackobject_in_sync", kind="A", name="x", namespace="n")
    assert found == value


def test_kinds_of_one_name_share_a_series_and_the_worse_one_counts(shop: Shop) -> None:
    good, bad = ObjectKey("g", "Ingress", "n", "x"), ObjectKey("h", "Ingress", "n", "x")
    shop.add(make(shop.metrics)).outcomes = {
        bad: Outcome(bad, Action.UPDATE, error="no"),
        good: Outcome(good, Action.UNCHANGED),
    }
    assert len(shop.series("faros_gittrackobject_in_sync")) == 1
    assert shop.value("faros_gittrackobject_in_sync", kind="Ingress", name="x", namespace="n") == 0


def test_series_of_objects_are_capped_and_those_out_of_step_are_kept(shop: Shop) -> None:
    shop.add(make(shop.metrics)).outcomes = objects(gauges.OBJECT_SERIES + 10, bad=3)
    found = shop.series("faros_gittrackobject_in_sync")
    assert len(found) == gauges.OBJECT_SERIES
    assert shop.value("lightkeeper_object_series_omitted") == 10
    for labels in list(objects(gauges.OBJECT_SERIES + 10))[-3:]:
        named = {"kind": labels.kind, "name": labels.name, "namespace": labels.namespace}
        assert shop.value("faros_gittrackobject_in_sync", **named) == 0


def test_nothing_is_omitted_as_long_as_there_is_room(shop: Shop) -> None:
    shop.add(make(shop.metrics)).outcomes = objects(10)
    assert len(shop.series("faros_gittrackobject_in_sync")) == 10
    assert shop.value("lightkeeper_object_series_omitted") == 0


def test_the_age_of_a_source_grows_from_its_last_answer(shop: Shop) -> None:
    track = shop.add(make(shop.metrics))
    assert shop.value("lightkeeper_source_age_seconds", track="shop") is None
    track.measures.checked_at = time.time() - 100
    age = shop.value("lightkeeper_source_age_seconds", track="shop")
    assert age is not None
    assert 100 <= age < 1000


def test_a_track_without_a_pass_is_neither_ready_nor_not(shop: Shop) -> None:
    shop.add(make(shop.metrics, known=False))
    assert shop.value("lightkeeper_track_ready", track="shop") is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("depth", 5), ("unfinished_work_seconds", 6), ("longest_running_processor_seconds", 3)],
)
def test_the_queues_of_all_terms_are_one(shop: Shop, name: str, value: float) -> None:
    shop.queues += [Busy(2, [1.0, 2.0]), Busy(3, [3.0]), Busy(0, [])]
    assert shop.value(f"workqueue_{name}", name="gittrackobject-controller") == value


def test_a_queue_that_is_not_there_is_empty(shop: Shop) -> None:
    assert shop.value("workqueue_depth", name="gittrackobject-controller") == 0


def test_who_leads_is_shown_for_each_lease(shop: Shop) -> None:
    assert not shop.series("leader_election_master_status")
    shop.electors += [Election("a", True), Election("b", False)]
    assert shop.value("leader_election_master_status", name="a") == 1
    assert shop.value("leader_election_master_status", name="b") == 0


def test_what_waits_for_a_person_is_a_number(shop: Shop) -> None:
    track = shop.add(make(shop.metrics, bad="FilesFetched"))
    track.held, track.fights = 7, 2
    for name, value in (
        ("lightkeeper_held_prunes", 7),
        ("lightkeeper_fights", 2),
        ("lightkeeper_source_stale", 1),
        ("lightkeeper_track_ready", 0),
    ):
        assert shop.value(name, track="shop") == value
