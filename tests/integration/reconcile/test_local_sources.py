"""A folder and a bundle as a track's source, end to end: a saved file is an applied object."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from tests.eventually import eventually
from tests.gitservers.upstream import git
from tests.integration.reconcile.conftest import World
from tests.integration.reconcile.manifests import config_map
from tests.integration.reconcile.test_drift import data, in_step

pytestmark = pytest.mark.asyncio


@pytest.fixture
def folder(world: World) -> Path:
    made = world.folder / "manifests"
    made.mkdir()
    world.repository = str(made)
    world.interval = "1h"  # whatever happens in time happens because it was heard
    return made


def save(world: World, file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text.replace("NS", world.namespace))


async def becomes(world: World, name: str, wanted: Any) -> None:
    async def is_so() -> bool:
        return bool(await data(world, name) == wanted)

    await eventually(is_so, within=30)


async def source_becomes(world: World, wanted: str) -> dict[str, Any]:
    async def is_so() -> bool:
        return (await world.status()).get("source") == wanted

    await eventually(is_so, within=30)
    return await world.status()


async def test_a_saved_file_is_applied_without_waiting_for_a_poll(
    world: World, folder: Path, record_property: Any
) -> None:
    save(world, folder / "a.yaml", config_map("a", x="1"))
    save(world, folder / "deep" / "b.yaml", config_map("b", x="1"))
    async with world.running():
        await in_step(world)
        assert (await world.status())["revision"].startswith("folder@")
        await in_quiet()
        for number in range(5):
            started = time.monotonic()
            save(world, folder / "a.yaml", config_map("a", x=f"saved {number}"))
            await becomes(world, "a", {"x": f"saved {number}"})
            record_property(f"save {number}", f"{time.monotonic() - started:.2f}s")
        save(world, folder / "deep" / ".b.tmp", config_map("b", x="renamed"))
        (folder / "deep" / ".b.tmp").rename(folder / "deep" / "b.yaml")
        await becomes(world, "b", {"x": "renamed"})
        save(world, folder / "new" / "c.yaml", config_map("c", x="new"))
        await becomes(world, "c", {"x": "new"})
        (folder / "new" / "c.yaml").unlink()
        await becomes(world, "c", None)


async def in_quiet() -> None:
    """Let the first bell of the watch, which rings for what was before it, be over."""
    await asyncio.sleep(1)


async def test_a_folder_that_vanishes_deletes_nothing(world: World, folder: Path) -> None:
    save(world, folder / "a.yaml", config_map("a", x="1"))
    save(world, folder / "b.yaml", config_map("b", x="1"))
    away = folder.with_name("away")
    async with world.running():
        await in_step(world)
        shutil.move(folder, away)
        status = await source_becomes(world, "stale")
        assert status["staleSince"]
        await world.do("patch", "configmap", "a", "-p", '{"data":{"x":"edited"}}')
        await becomes(world, "a", {"x": "1"})
        os.mkdir(folder)  # as an unmounted file system leaves its mount point
        await source_becomes(world, "empty")
        assert await data(world, "b") == {"x": "1"}
        os.rmdir(folder)
        shutil.move(away, folder)
        status = await source_becomes(world, "current")
        assert status["staleSince"] == ""
        (folder / "b.yaml").unlink()
        await becomes(world, "b", None)


async def test_half_a_file_prunes_nothing(world: World, folder: Path) -> None:
    both = config_map("a", x="1") + "---\n" + config_map("b", x="1")
    save(world, folder / "both.yaml", both)
    async with world.running():
        await in_step(world)
        with (folder / "both.yaml").open("w") as slow:
            slow.write(config_map("a", x="2").replace("NS", world.namespace))
            slow.flush()
            await asyncio.sleep(1)
            assert await data(world, "b") == {"x": "1"}
            slow.write("---\n" + config_map("b", x="2").replace("NS", world.namespace))
        await becomes(world, "b", {"x": "2"})
        await becomes(world, "a", {"x": "2"})


async def test_a_bundle_that_is_copied_into_place_is_applied(world: World) -> None:
    file = world.folder / "stick" / "app.bundle"
    file.parent.mkdir()
    world.repository, world.interval = str(file), "1h"
    world.track.append('reference = "main"')

    def carry() -> None:
        made = file.with_suffix(".new")
        git("bundle", "create", "--quiet", str(made), "main", repository=world.git.path)
        made.rename(file)

    world.commit({"a.yaml": config_map("a", x="1"), "b.yaml": config_map("b", x="1")})
    carry()
    async with world.running():
        await in_step(world)
        world.commit({"a.yaml": config_map("a", x="2")}, remove=("b.yaml",))
        carry()
        await becomes(world, "a", {"x": "2"})
        await becomes(world, "b", None)
        world.commit({"c.yaml": config_map("c", x="1")}, remove=("a.yaml",))
        shutil.move(file.parent, world.folder / "pulled out")
        await source_becomes(world, "stale")
        shutil.move(world.folder / "pulled out", file.parent)
        await source_becomes(world, "current")
        assert await data(world, "a") == {"x": "2"}
