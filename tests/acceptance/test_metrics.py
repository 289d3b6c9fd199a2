"""Items 23 and 30, as far as they are about metrics: what Prometheus is told."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.manifests import DAEMON_SET
from tests.eventually import eventually
from tests.gitservers.upstream import git
from tests.integration.reconcile.conftest import World
from tests.integration.reconcile.manifests import config_map
from tests.integration.serve.conftest import Door

pytestmark = [pytest.mark.integration, pytest.mark.asyncio]

Read = Callable[..., float | None]


async def reading(door: Door) -> Read:
    """Read the page; return a way to look a sample up by its name and some of its labels."""
    page = (await door.metrics("/metrics")).text
    samples = [s for family in text_string_to_metric_families(page) for s in family.samples]

    def value(name: str, /, **labels: str) -> float | None:
        found = [s.value for s in samples if s.name == name and labels.items() <= s.labels.items()]
        return found[0] if found else None

    return value


async def reached(door: Door, name: str, at_least: float, /, **labels: str) -> Read:
    """Wait until a sample has grown to a value; return the reading that shows it."""

    async def there() -> Read | None:
        read = await reading(door)
        return read if (read(name, **labels) or 0) >= at_least else None

    found: Read = await eventually(there, within=60, what=f"{name} {labels} >= {at_least}")
    return found


async def test_item_23_a_new_revision_gives_one_sample_for_each_object_it_changes(
    world: World,
) -> None:
    """Faros: 2 objects, 2 reconciles, 4 samples. That counts the same arrival twice: mended.

    Here what was there when the agent started gives none, a revision that changes both objects
    gives 2, and looking at them again gives no more.
    """
    world.settings.append('sync-period = "1s"')
    objects = {"a.yaml": config_map("a", k="v"), "b.yaml": config_map("b", k="v")}
    world.commit(objects)
    door = Door(world)
    count = "faros_gittrack_time_to_deploy_seconds_count"
    looks = "controller_runtime_reconcile_total"
    about = {"controller": "gittrackobject-controller", "result": "success"}
    async with world.running():
        await reached(door, looks, 6, **about)
        assert (await reading(door))(count, name="shop", namespace="") == 0
        commit = world.commit({path: text.replace("'v'", "'w'") for path, text in objects.items()})
        read = await reached(door, count, 2)
        seen = read(looks, **about) or 0
        read = await reached(door, looks, seen + 6, **about)
        assert read(count, name="shop", namespace="") == 2
        assert read(count, repository=f"file://{world.git.path}") == 2
    committed = int(git("show", "-s", "--format=%ct", commit, repository=world.git.path))
    age = (read("faros_gittrack_time_to_deploy_seconds_sum") or 0) / 2
    assert age == pytest.approx(time.time() - committed, abs=300)


async def test_item_30_the_gauge_of_an_object_is_1_in_step_and_0_otherwise(world: World) -> None:
    """Faros: in-sync 1.0 on success, 0.0 on error, by kind, name and namespace."""
    broken = DAEMON_SET.replace("{app: fluentd}}\n  template", "{app: x}}\n  template")
    assert broken != DAEMON_SET
    world.commit({"a.yaml": config_map("a"), "b.yaml": broken})
    door = Door(world)
    gauge = "faros_gittrackobject_in_sync"
    bad = {"kind": "DaemonSet", "name": "fluentd", "namespace": world.namespace}
    good = {"kind": "ConfigMap", "name": "a", "namespace": world.namespace}
    async with world.running():
        read = await reached(door, gauge, 1, **good)

        async def judged() -> Read | None:
            read = await reading(door)
            return read if read(gauge, **bad) is not None else None

        read = await eventually(judged, within=60)
        assert read(gauge, **bad) == 0
        world.commit({"b.yaml": DAEMON_SET})
        await reached(door, gauge, 1, **bad)
