"""What git has and the track does not count: ignored files, submodules, symlinks, LFS pointers."""

from __future__ import annotations

from functools import partial

import pytest

from agent.reconcile.reports.status import COLLECTED, FETCHED, TrackStatus
from tests.eventually import eventually
from tests.integration.reconcile.conftest import World
from tests.integration.reconcile.manifests import config_map

pytestmark = [pytest.mark.integration, pytest.mark.asyncio]


def condition(status: TrackStatus, kind: str) -> str:
    [found] = [c.status for c in status.conditions if c.type == kind]
    return found


async def test_a_file_that_a_commit_ignores_is_pruned_like_a_deleted_one(world: World) -> None:
    world.commit({"a.yaml": config_map("a"), "old/b.yaml": config_map("b")})
    assert (await world.once()).ready
    assert await world.get("configmap", "b") is not None
    world.commit({".sourceignore": "/old\n"})
    status = await world.once()
    assert status.ready
    assert await world.get("configmap", "b") is None
    assert await world.get("configmap", "a") is not None
    world.commit({".sourceignore": "/old\n!/old\n"})
    await world.once()
    assert await world.get("configmap", "b") is not None


async def test_a_file_that_the_configuration_ignores_is_pruned_without_a_commit(
    world: World,
) -> None:
    world.track.append('sub-path = "apps"')
    world.commit({"apps/a.yaml": config_map("a"), "apps/b.yaml": config_map("b")})
    await world.once()
    world.track.append('ignore = ["b.yaml"]')
    assert (await world.once()).ready
    assert await world.get("configmap", "b") is None
    assert await world.get("configmap", "a") is not None


async def test_ignoring_most_files_at_once_is_held_like_any_large_deletion(world: World) -> None:
    world.commit({f"{n}.yaml": config_map(f"c{n}") for n in range(10)})
    await world.once()
    world.commit({".sourceignore": "*.yaml\n!0.yaml\n"})
    status = await world.once()
    assert len(status.held_objects) == 9
    assert await world.get("configmap", "c9") is not None


async def test_ignoring_everything_deletes_nothing_and_says_why(world: World) -> None:
    world.commit({"a.yaml": config_map("a")})
    await world.once()
    world.track.append('ignore = ["*"]')
    status = await world.once()
    assert status.source == "empty"
    assert condition(status, FETCHED) == "False"
    [message] = [c.message for c in status.conditions if c.type == FETCHED]
    assert "all that is there is ignored" in message
    assert await world.get("configmap", "a") is not None


async def test_a_broken_sourceignore_stops_pruning_and_keeps_the_last_good_revision(
    world: World,
) -> None:
    world.commit({"a.yaml": config_map("a"), "b.yaml": config_map("b")})
    await world.once()
    world.commit({"apps/.sourceignore": "!\n"}, remove=("b.yaml",))
    status = await world.once()
    assert status.source == "stale"
    [message] = [c.message for c in status.conditions if c.type == FETCHED]
    assert "apps/.sourceignore:1: not a gitignore pattern" in message
    assert await world.get("configmap", "b") is not None


async def test_submodules_and_symlinks_are_told_and_neither_stop_pruning_nor_readiness(
    world: World,
) -> None:
    world.commit({"a.yaml": config_map("a"), "b.yaml": config_map("b")})
    world.git.commit({}, links={"c.yaml": "a.yaml"}, modules={"vendor/x": "1" * 40})
    await world.once()
    world.commit({}, remove=("b.yaml",))
    status = await world.once()
    told = ["symlink c.yaml is not followed", "submodule vendor/x is not entered"]
    assert status.notes == told
    assert status.ready
    assert status.problems == {}
    assert condition(status, COLLECTED) == "True"
    assert await world.get("configmap", "b") is None
    assert (await world.status())["notes"] == told


async def test_what_is_passed_over_is_logged_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.git.commit({}, modules={"vendor/x": "1" * 40})
    async with world.running():
        for number in range(2):
            world.commit({"a.yaml": config_map("a", x=str(number))})
            await eventually(partial(_has, world, str(number)), within=30)
    said = [record for record in caplog.records if "not everything in git" in record.message]
    assert [record.levelname for record in said] == ["WARNING"]


async def _has(world: World, value: str) -> bool:
    live = await world.get("configmap", "a")
    return live is not None and live["data"] == {"x": value}


async def test_a_git_lfs_pointer_is_a_broken_file_and_stops_pruning(world: World) -> None:
    world.commit({"a.yaml": config_map("a"), "b.yaml": config_map("b")})
    await world.once()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 9\n"
    world.commit({"b.yaml": pointer, "c.yaml": config_map("c")}, remove=("a.yaml",))
    status = await world.once()
    assert status.problems["b.yaml"].startswith("a Git LFS pointer")
    assert not status.ready
    for name in ("a", "b", "c"):
        assert await world.get("configmap", name) is not None
