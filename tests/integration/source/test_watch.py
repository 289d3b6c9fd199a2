"""A watched path: each way in which files change is heard, and nothing is left open."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
from asyncinotify import Inotify

from agent.source import watch
from agent.source.watch import PathWatch

pytestmark = [pytest.mark.integration, pytest.mark.asyncio]


class Bell:
    """Counts what a watch tells, and waits for it."""

    def __init__(self) -> None:
        self.rings = 0
        self._rung = asyncio.Event()

    async def listen(self, path: Path, sub_path: str) -> None:
        async with aclosing(PathWatch(path, sub_path=sub_path).changes()) as changes:
            async for _ in changes:
                self.rings += 1
                self._rung.set()

    async def heard(self) -> None:
        async with asyncio.timeout(20):
            await self._rung.wait()
        self._rung.clear()

    async def silent(self) -> None:
        """Return after a while in which nothing was told; nothing can be waited for instead."""
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await self._rung.wait()


@asynccontextmanager
async def watching(path: Path, sub_path: str = "") -> AsyncIterator[Bell]:
    """Watch a path from the moment the watch is in place."""
    bell = Bell()
    task = asyncio.create_task(bell.listen(path, sub_path))
    try:
        await bell.heard()
        yield bell
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    (made / "deep" / "er").mkdir(parents=True)
    (made / "a.yaml").write_text("1")
    (made / "deep" / "er" / "b.yaml").write_text("1")
    return made


def save_in_place(folder: Path) -> None:
    (folder / "deep" / "er" / "b.yaml").write_text("2")


def save_by_rename(folder: Path) -> None:
    (folder / ".a.yaml.tmp").write_text("2")
    (folder / ".a.yaml.tmp").rename(folder / "a.yaml")


def create(folder: Path) -> None:
    (folder / "deep" / "new.json").write_text("1")


def delete(folder: Path) -> None:
    (folder / "deep" / "er" / "b.yaml").unlink()


def move_out(folder: Path) -> None:
    (folder / "a.yaml").rename(folder.parent / "a.yaml")


def change_mode(folder: Path) -> None:
    (folder / "a.yaml").chmod(0o600)


def link_hard(folder: Path) -> None:
    os.link(folder / "a.yaml", folder / "c.yaml")


def ignore_something(folder: Path) -> None:
    (folder / ".sourceignore").write_text("deep")


def remove_the_folder(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


CHANGES = [save_in_place, save_by_rename, create, delete, move_out, change_mode, link_hard,
           ignore_something, remove_the_folder]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_is_told(folder: Path, change: Callable[[Path], None]) -> None:
    async with watching(folder) as bell:
        change(folder)
        await bell.heard()


async def test_what_does_not_count_is_not_told(folder: Path) -> None:
    (folder / ".git").mkdir()
    async with watching(folder) as bell:
        (folder / "notes.txt").write_text("1")
        (folder / ".a.yaml.swp").write_text("1")
        (folder / ".git" / "x.yaml").write_text("1")
        (folder.parent / "neighbour.yaml").write_text("1")
        (folder / "a.yaml").read_text()
        await bell.silent()


async def test_folders_that_come_later_are_watched_too(folder: Path) -> None:
    async with watching(folder) as bell:
        (folder / "one" / "two").mkdir(parents=True)
        await bell.heard()
        (folder / "one" / "two" / "c.yaml").write_text("1")
        await bell.heard()
        (folder / "one").rename(folder / "three")
        await bell.heard()
        (folder / "three" / "two" / "c.yaml").write_text("2")
        await bell.heard()


async def test_a_folder_deleted_with_all_above_it_and_made_again_is_watched_again(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "x" / "y" / "folder"
    async with watching(folder) as bell:
        folder.mkdir(parents=True)
        await bell.heard()
        (folder / "a.yaml").write_text("1")
        await bell.heard()
        folder.parent.parent.rename(tmp_path / "elsewhere")
        await bell.heard()
        folder.mkdir(parents=True)
        await bell.heard()
        (folder / "a.yaml").write_text("1")
        await bell.heard()


async def test_a_new_version_of_kubelets_volume_is_told(folder: Path) -> None:
    def publish(version: str) -> None:
        (folder / f"..{version}").mkdir()
        (folder / f"..{version}" / "c.yaml").write_text(version)
        (folder / "..data_tmp").symlink_to(f"..{version}")
        (folder / "..data_tmp").rename(folder / "..data")

    publish("1")
    async with watching(folder) as bell:
        publish("2")
        await bell.heard()
        (folder / "..2" / "c.yaml").write_text("3")
        await bell.heard()


async def test_a_link_that_is_led_elsewhere_is_told(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    current = tmp_path / "current"
    current.symlink_to(folder)
    async with watching(current) as bell:
        (tmp_path / "next").symlink_to(other)
        (tmp_path / "next").rename(current)
        await bell.heard()
        (other / "c.yaml").write_text("1")
        await bell.heard()


async def test_a_file_is_watched_by_its_name(tmp_path: Path) -> None:
    bundle = tmp_path / "app.bundle"
    bundle.write_text("1")
    async with watching(bundle) as bell:
        (tmp_path / "new").write_text("2")
        await bell.silent()
        (tmp_path / "new").rename(bundle)
        await bell.heard()
        bundle.write_text("3")
        await bell.heard()
        bundle.unlink()
        await bell.heard()
        bundle.write_text("4")
        await bell.heard()


async def test_many_changes_at_once_are_told_once_or_twice(folder: Path) -> None:
    async with watching(folder) as bell:
        before = bell.rings
        for number in range(500):
            (folder / f"{number}.yaml").write_text("1")
        await bell.heard()
        await bell.silent()
        assert bell.rings - before <= 2


async def test_what_never_rests_is_told_all_the_same(folder: Path) -> None:
    async def write() -> None:
        while True:
            (folder / "a.yaml").write_text("1")
            await asyncio.sleep(0.02)

    async with watching(folder) as bell:
        writing = asyncio.create_task(write())
        await bell.heard()
        writing.cancel()


async def test_what_was_mounted_over_the_path_is_noticed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No event tells of a mount; it shows in the device and inode."""
    monkeypatch.setattr(watch, "_RECHECK", 0.05)
    identities = iter([(1, 1)] * 3)
    monkeypatch.setattr(watch, "_identity", lambda _: next(identities, (2, 2)))
    async with watching(folder) as bell:
        await bell.heard()


async def test_a_hundred_changes_leave_no_descriptor_and_no_task_behind(folder: Path) -> None:
    async with watching(folder) as bell:
        open_before, tasks_before = len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())
        for number in range(100):
            (folder / "deep" / f"{number}").mkdir()
            await bell.heard()
        assert len(os.listdir("/proc/self/fd")) == open_before
        assert len(asyncio.all_tasks()) == tasks_before
    assert len(os.listdir("/proc/self/fd")) < open_before
    assert len(asyncio.all_tasks()) == 1


async def test_an_exhausted_limit_is_one_warning_and_tried_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    planting, refusals = PathWatch._plant, iter(range(3))

    def refused(self: PathWatch, inotify: Inotify) -> watch._Planted:
        if next(refusals, None) is not None:
            raise OSError(errno.ENOSPC, "No space left on device")
        return planting(self, inotify)

    monkeypatch.setattr(watch, "_RETRY", 0.01)
    monkeypatch.setattr(PathWatch, "_plant", refused)
    async with watching(folder) as bell:
        (folder / "a.yaml").write_text("2")
        await bell.heard()
    [warning] = caplog.records
    assert "max_user_watches" in str(warning.__dict__)
