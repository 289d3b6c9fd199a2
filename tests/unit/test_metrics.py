"""The instruments have the names, labels and buckets that dashboards of the field ask for."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent import metrics
from agent.metrics import Metrics

pytestmark = pytest.mark.asyncio

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
PLAIN = "text/plain"

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def shown(instruments: Metrics) -> Samples:
    page, _ = await instruments.page(PLAIN)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def fill(instruments: Metrics, track: str = "shop") -> None:
    """Use every instrument once."""
    instruments.follow_track(track)
    instruments.reconciled(metrics.TRACKS, "error", 1.0)
    instruments.requested("GET", "10.0.0.1:6443", 200, 0.1)
    queue = instruments.queue(metrics.OBJECTS)
    for count in (queue.added, queue.retried):
        count()
    for measure in (queue.taken, queue.finished):
        measure(0.5)
    instruments.fetches.labels(track, "new").inc()
    instruments.fetch_seconds.labels(track).observe(1)
    instruments.changes.labels(track, "create").inc()
    instruments.drift_repairs.labels(track).inc()
    instruments.flux_seconds.labels("Kustomization", track, "default").observe(1)
    instruments.time_to_deploy.labels(track, "", "https://h/r").observe(61)


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("controller_runtime_reconcile_total", {"controller": "gittrack-controller",
                                                "result": "error"}, 1),
        ("controller_runtime_reconcile_errors_total", {"controller": "gittrack-controller"}, 1),
        ("controller_runtime_reconcile_time_seconds_count",
         {"controller": "gittrack-controller"}, 1),
        ("workqueue_adds_total", {"name": "gittrackobject-controller"}, 1),
        ("workqueue_retries_total", {"name": "gittrackobject-controller"}, 1),
        ("workqueue_queue_duration_seconds_sum", {"name": "gittrackobject-controller"}, 0.5),
        ("workqueue_work_duration_seconds_sum", {"name": "gittrackobject-controller"}, 0.5),
        ("rest_client_requests_total", {"code": "200", "host": "10.0.0.1:6443", "method": "GET"},
         1),
        ("rest_client_request_duration_seconds_count", {"host": "10.0.0.1:6443", "verb": "GET"}, 1),
        ("gotk_reconcile_duration_seconds_count",
         {"kind": "Kustomization", "name": "shop", "namespace": "default"}, 1),
        ("faros_gittrack_time_to_deploy_seconds_count",
         {"name": "shop", "namespace": "", "repository": "https://h/r"}, 1),
        ("lightkeeper_source_polls_total", {"track": "shop", "result": "new"}, 1),
        ("lightkeeper_object_changes_total", {"track": "shop", "action": "create"}, 1),
        ("lightkeeper_drift_repairs_total", {"track": "shop"}, 1),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
async def test_an_instrument_has_the_name_and_labels_of_the_field(
    name: str, labels: dict[str, str], value: float
) -> None:
    instruments = Metrics(version="1")
    fill(instruments)
    assert (await shown(instruments))[name, tuple(sorted(labels.items()))] == value


@pytest.mark.parametrize(
    ("name", "buckets"),
    [
        ("faros_gittrack_time_to_deploy_seconds",
         [60, 120, 180, 240, 300, 600, 900, 1200, 1500, 1800, 2400, 3000, 3600]),
        ("gotk_reconcile_duration_seconds",
         [0.01, 0.0384, 0.147, 0.565, 2.17, 8.31, 31.9, 122, 469, 1800]),
    ],
    ids=["Faros", "Flux"],
)  # fmt: skip
async def test_a_histogram_has_the_buckets_of_its_original(name: str, buckets: list[float]) -> None:
    instruments = Metrics(version="1")
    fill(instruments)
    limits = [
        float(dict(labels)["le"])
        for sample, labels in await shown(instruments)
        if sample == f"{name}_bucket"
    ]
    assert limits == [*buckets, float("inf")]


async def test_the_process_and_the_build_are_there_from_the_start() -> None:
    names = {name for name, _ in await shown(Metrics(version="1"))}
    assert {"process_resident_memory_bytes", "process_open_fds", "lightkeeper_build_info"} <= names


async def test_a_request_without_an_answer_is_an_error_as_in_client_go() -> None:
    instruments = Metrics(version="1")
    instruments.requested("GET", "h:1", None, 30.0)
    key = (("code", "<error>"), ("host", "h:1"), ("method", "GET"))
    assert (await shown(instruments))["rest_client_requests_total", key] == 1


@pytest.mark.parametrize(
    ("accept", "content_type", "end"),
    [
        pytest.param(OPENMETRICS, "application/openmetrics-text; version=1.0.0", b"# EOF\n",
                     id="OpenMetrics"),
        pytest.param(PLAIN, "text/plain; version=0.0.4", b"\n", id="plain text"),
        pytest.param("", "text/plain; version=0.0.4", b"\n", id="no header"),
    ],
)  # fmt: skip
async def test_the_page_has_the_format_that_is_asked_for(
    accept: str, content_type: str, end: bytes
) -> None:
    page, given = await Metrics(version="1").page(accept)
    assert given.startswith(content_type)
    assert page.endswith(end)


@pytest.mark.parametrize("accept", [OPENMETRICS, PLAIN], ids=["OpenMetrics", "plain text"])
async def test_times_of_creation_are_left_out(accept: str) -> None:
    instruments = Metrics(version="1")
    fill(instruments)
    page, _ = await instruments.page(accept)
    assert b"_created" not in page


async def test_what_was_counted_for_a_track_goes_with_it() -> None:
    instruments = Metrics(version="1")
    fill(instruments, "shop")
    fill(instruments, "gone")
    instruments.retain_tracks({"shop"})
    series = {labels for _, labels in await shown(instruments)}
    assert not any("gone" in dict(labels).values() for labels in series)
    assert any("shop" in dict(labels).values() for labels in series)


async def test_two_agents_count_apart() -> None:
    one, other = Metrics(version="1"), Metrics(version="1")
    fill(one)
    assert not [key for key in await shown(other) if key[0] == "lightkeeper_drift_repairs_total"]


async def test_a_task_that_is_left_over_is_seen() -> None:
    instruments = Metrics(version="1")
    tasks = ("lightkeeper_event_loop_tasks", ())
    before = (await shown(instruments))[tasks]
    left_over = asyncio.create_task(asyncio.sleep(60))
    assert (await shown(instruments))[tasks] == before + 1
    left_over.cancel()
