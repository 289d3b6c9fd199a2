"""The power goes at each moment of a poll: the last good revision is the old one or the new one.

Not on a model of the agent but on what it really asked the system for, in its order.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent.source.fetcher import Fetcher
from tests.gitservers.upstream import Upstream
from tests.powercut.disk import Cut, Disk, states
from tests.powercut.poll import poll, source_of
from tests.powercut.record import Call, record

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[3]
MANY = "50"
"""Packs from which on a mirror is repacked: never, here."""


def first(number: int) -> dict[str, str]:
    return {f"deploy/{name}.yaml": f"{name}: {number}\n" * 20 for name in range(4)}


@asynccontextmanager
async def _fetching() -> AsyncIterator[Fetcher]:
    fetcher = Fetcher()
    try:
        yield fetcher
    finally:
        await fetcher.close()


class Scene:
    """A repository with a history, and the state folder of an agent that tracks it."""

    def __init__(self, folder: Path) -> None:
        self.upstream = Upstream(folder / "app.git")
        self.url = f"file://{self.upstream.path}"
        self.state_dir = folder / "state"
        self.state_dir.mkdir()
        self.packs = MANY
        self.versions: dict[str, dict[str, str]] = {}
        self._folder = folder
        self._known: dict[str, str | None] = {}

    def commit(self) -> None:
        files = first(len(self.versions))
        self.versions[self.upstream.commit(files)] = files

    def poll(self) -> None:
        assert asyncio.run(poll(self.url, self.state_dir))

    def record_poll(self) -> list[tuple[str, set[str | None]]]:
        """Poll under strace; return, for each moment, what would be good after a power cut."""
        before = self._folder / "before"
        shutil.copytree(self.state_dir, before)
        command = [sys.executable, "-m", "tests.powercut.poll", self.url, str(self.state_dir),
                   self.packs]  # fmt: skip
        calls = record(command, cwd=ROOT, log=self._folder / "strace")
        shutil.rmtree(self.state_dir)
        shutil.copytree(before, self.state_dir)
        return asyncio.run(self._good_at_each(calls))

    async def _good_at_each(self, calls: list[Call]) -> list[tuple[str, set[str | None]]]:
        async with _fetching() as fetcher:
            return [
                (moment, {await self._good_after(disk, cut, fetcher) for cut in Cut})
                for moment, disk in states(self.state_dir, calls)
            ]

    async def _good_after(self, disk: Disk, cut: Cut, fetcher: Fetcher) -> str | None:
        digest = disk.digest(cut)
        if digest not in self._known:
            left = self._folder / "left"
            left.mkdir()
            disk.after(cut, left)
            self._known[digest] = await self._last_good(left, fetcher)
            shutil.rmtree(left)
        return self._known[digest]

    async def good(self) -> str | None:
        """Return the commit of the last good revision as things are."""
        async with _fetching() as fetcher:
            return await self._last_good(self.state_dir, fetcher)

    async def _last_good(self, state_dir: Path, fetcher: Fetcher) -> str | None:
        """Return the commit of the last good revision, whose files must be whole."""
        source = source_of(self.url, state_dir, fetcher)
        snapshot = await source.last_good()
        if snapshot is None or snapshot.revision is None:
            return None
        bodies = await source.read(snapshot.files)
        files = {file.path: bodies[file.blob_id].decode() for file in snapshot.files}
        assert files == self.versions.get(snapshot.revision.commit, files), "not whole"
        assert len(files) == 4
        return snapshot.revision.commit


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def check(moments: list[tuple[str, set[str | None]]], old: str | None, new: str) -> None:
    """Old or new at each moment, new in the end, and never back."""
    assert len(moments) > 20
    assert moments[0][1] == {old}
    assert moments[-1][1] == {new}
    wrong = [(moment, good) for moment, good in moments if not good <= {old, new}]
    assert wrong == []
    safe = [index for index, (_, good) in enumerate(moments) if good == {new}]
    assert safe == list(range(safe[0], len(moments))), "what was safe once is lost again"


def test_the_first_revision_is_whole_or_not_there(scene: Scene) -> None:
    scene.commit()
    [new] = scene.versions
    check(scene.record_poll(), None, new)


def test_a_new_revision_replaces_the_old_one_at_one_moment(scene: Scene) -> None:
    scene.commit()
    scene.poll()
    scene.commit()
    old, new = scene.versions
    check(scene.record_poll(), old, new)


def test_a_repack_never_takes_away_what_is_good(scene: Scene) -> None:
    scene.commit()
    scene.poll()
    scene.commit()
    scene.packs = "0"
    old, new = scene.versions
    check(scene.record_poll(), old, new)


def test_a_folder_is_as_safe_as_a_repository(scene: Scene, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    scene.url = str(folder)
    _save(folder, first(0))
    scene.poll()
    old = asyncio.run(scene.good())
    _save(folder, first(1))
    moments = scene.record_poll()
    [new] = moments[-1][1]
    assert new is not None
    assert new != old
    check(moments, old, new)


def test_a_rebuild_of_the_mirror_keeps_what_is_good_for_other_tracks(scene: Scene) -> None:
    scene.commit()
    scene.poll()
    [mirror] = (scene.state_dir / "repositories").iterdir()
    broken = mirror / "lightkeeper" / "0123456789abcdef.json"
    broken.write_text('{"commit": "x", "reference": "x"}')  # of no importance, but in the way
    pack = next(mirror.rglob("*.pack"), None)
    assert pack is not None
    scene.commit()
    scene.packs = "0"  # which meets the broken record, so that the mirror is rebuilt
    old, new = scene.versions
    check(scene.record_poll(), old, new)


def _save(folder: Path, files: dict[str, str]) -> None:
    for path, body in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(body)
