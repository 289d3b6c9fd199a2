"""A real Prometheus reads a real agent."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.eventually import eventually
from tests.integration.monitoring.prometheus import Prometheus, promtool
from tests.integration.serve.conftest import MANIFEST, Door, Pair

pytestmark = [pytest.mark.asyncio, pytest.mark.integration]


def target(door: Door, **more: Any) -> dict[str, Any]:
    """Return a scrape with the label that Prometheus gives a pod; ours becomes exported_..."""
    targets = [f"127.0.0.1:{door.metrics_port}"]
    return {"static_configs": [{"targets": targets, "labels": {"namespace": "operator"}}], **more}


async def test_promtool_finds_nothing_to_complain_of(door: Door) -> None:
    door.world.commit({"web.yaml": MANIFEST})
    async with door.world.running():
        await eventually(door.is_ready, within=60)
        page = (await door.metrics("/metrics")).text
    done = await asyncio.to_thread(promtool, "check", "metrics", stdin=page)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


async def test_prometheus_scrapes_the_agent_and_sees_a_drift_put_back(
    door: Door, tmp_path: Path
) -> None:
    door.world.commit({"web.yaml": MANIFEST})
    async with door.world.running(), Prometheus(tmp_path, target(door)) as prometheus:
        await prometheus.scraped('faros_gittrackobject_in_sync{name="web"} == 1')
        [created] = await prometheus.query("lightkeeper_object_changes_total")
        assert created["metric"]["action"] == "create"
        assert (await prometheus.query("lightkeeper_drift_repairs_total"))[0]["value"][1] == "0"
        await door.world.do("patch", "configmap", "web", "-p", '{"data":{"k":"drifted"}}')
        await prometheus.scraped("lightkeeper_drift_repairs_total == 1")
        [flux] = await prometheus.query(
            'gotk_resource_info{customresource_kind="Kustomization",ready="True"}'
        )
        assert flux["metric"]["exported_namespace"] == door.world.namespace


async def test_prometheus_scrapes_over_tls_with_its_token(
    door: Door, tmp_path: Path, reader: str
) -> None:
    pair = Pair.make(tmp_path, "one")
    door.secure(pair, "metrics-authorization = true")
    door.world.commit({"web.yaml": MANIFEST})
    job = target(
        door,
        scheme="https",
        tls_config={"ca_file": str(pair.cert)},
        authorization={"credentials": reader},
    )
    async with door.world.running(), Prometheus(tmp_path, job) as prometheus:
        await prometheus.scraped()
        assert await prometheus.query("lightkeeper_build_info")


async def test_the_series_of_an_object_that_git_drops_disappear(door: Door) -> None:
    other = MANIFEST.replace("web", "other")
    door.world.commit({"web.yaml": MANIFEST, "other.yaml": other})
    async with door.world.running():

        async def shows(name: str) -> bool:
            page = (await door.metrics("/metrics")).text
            return f'faros_gittrackobject_in_sync{{kind="ConfigMap",name="{name}"' in page

        async def dropped() -> bool:
            return not await shows("other")

        await eventually(lambda: shows("other"), within=60)
        door.world.commit({}, remove=("other.yaml",))
        await eventually(dropped, within=60)
        assert await shows("web")
