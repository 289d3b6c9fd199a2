"""Every panel of the dashboard asks for something that a scraped agent has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.monitoring.prometheus import Prometheus
from tests.integration.monitoring.test_scrape import target
from tests.integration.serve.conftest import MANIFEST, Door

pytestmark = [pytest.mark.asyncio, pytest.mark.integration]

DASHBOARD = Path(__file__).parents[3] / "packaging" / "monitoring" / "grafana-dashboard.json"

QUIET = {"Objects out of step", "Leaders"}
"""Panels that are empty when all is well, or without leader election."""

_TRACKS = 'exported_namespace=~".+", customresource_kind=~"Kustomization|HelmRelease"'
_SOURCES = 'exported_namespace=~".+", customresource_kind=~"GitRepository|OCIRepository"'
_DURATION = 'namespace="operator", exported_namespace=~".+", kind=~"Kustomization|HelmRelease"'
FLUX = (
    f"count(gotk_resource_info{{{_TRACKS}}})",
    f"count(gotk_resource_info{{{_SOURCES}}})",
    f'gotk_resource_info{{{_TRACKS}, ready="True", suspended="False"}}',
    f"sum by (kind, name) (gotk_reconcile_duration_seconds_sum{{{_DURATION}}})",
    f"sum by (kind) (rate(gotk_reconcile_duration_seconds_count{{{_DURATION}}}[5m]))",
)
"""How the public Flux Cluster Stats asks; in a cluster, ``namespace`` is Prometheus' label."""


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return found


def expressions() -> list[tuple[str, str]]:
    """Return title and expression of each query, with Grafana's variables filled in."""
    filled = {"$__rate_interval": "30s", "$job": ".*", "$track": ".*"}
    found = []
    for panel in dashboard()["panels"]:
        for asked in panel["targets"]:
            text = asked["expr"]
            for variable, value in filled.items():
                text = text.replace(variable, value)
            assert "$" not in text
            found.append((panel["title"], text))
    return found


async def test_every_panel_gets_an_answer_and_those_that_should_have_data_do(
    door: Door, tmp_path: Path
) -> None:
    door.world.commit({"web.yaml": MANIFEST})
    async with door.world.running(), Prometheus(tmp_path, target(door)) as prometheus:
        await prometheus.scraped('faros_gittrackobject_in_sync{name="web"}')
        door.world.commit({"web.yaml": MANIFEST.replace("v}", "new}")})
        await prometheus.scraped('lightkeeper_object_changes_total{action="update"}')
        for title, expression in expressions():
            if title in QUIET:
                await prometheus.query(expression)
            else:
                await prometheus.scraped(expression)
        for expression in FLUX:
            await prometheus.scraped(expression)


async def test_panels_do_not_lie_on_top_of_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


async def test_panels_have_ids_and_titles_of_their_own() -> None:
    panels = dashboard()["panels"]
    for key in ("id", "title"):
        assert len({panel[key] for panel in panels}) == len(panels)
