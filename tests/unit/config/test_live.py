"""The configuration follows its file: every way a file changes, and what does not count as one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent.config import live
from agent.config.live import LiveConfig
from agent.config.load import load
from agent.config.model import Config
from tests.eventually import eventually

ONE = '[[track]]\nname = "one"\nrepository = "https://git.example/one"\n'
TWO = ONE + '[[track]]\nname = "two"\nrepository = "https://git.example/two"\n'
BROKEN = ONE + '[[track]]\nname = "two"\nrepositry = "https://git.example/two"\n'


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LOOK", 0.02)
    monkeypatch.setattr(live, "SETTLE", 0.02)


@asynccontextmanager
async def followed(path: Path) -> AsyncIterator[LiveConfig]:
    def read() -> Config:
        return load(path, environment={}, flags={})

    config = LiveConfig(path, read, current=read())
    watch = asyncio.create_task(config.watch())
    try:
        yield config
    finally:
        watch.cancel()
        await asyncio.wait([watch])


def names(config: LiveConfig) -> list[str]:
    return [track.name for track in config.current.tracks]


def in_place(path: Path, text: str) -> None:
    path.write_text(text)


def by_rename(path: Path, text: str) -> None:
    fresh = path.with_suffix(".swp")
    fresh.write_text(text)
    fresh.rename(path)


def as_kubelet_does(path: Path, text: str) -> None:
    """Replace the folder that ``..data`` points to; the file's own link stays as it is."""
    fresh = path.parent / f"..{len(os.listdir(path.parent))}"
    fresh.mkdir()
    (fresh / path.name).write_text(text)
    link = path.parent / "..data_tmp"
    link.symlink_to(fresh.name)
    link.rename(path.parent / "..data")
    if not path.is_symlink():
        path.unlink(missing_ok=True)
        path.symlink_to(f"..data/{path.name}")


@pytest.mark.asyncio
@pytest.mark.parametrize("write", [in_place, by_rename, as_kubelet_does])
async def test_a_changed_file_is_in_force_without_a_restart(
    tmp_path: Path, write: Callable[[Path, str], None]
) -> None:
    path = tmp_path / "lightkeeper.toml"
    write(path, ONE)
    async with followed(path) as config:
        heard: list[tuple[Config, Config]] = []
        config.on_change = lambda before, now: heard.append((before, now))
        write(path, TWO)
        await eventually(lambda: names(config) == ["one", "two"])
        write(path, ONE)
        await eventually(lambda: names(config) == ["one"])
    assert [len(now.tracks) for _, now in heard] == [2, 1]


@pytest.mark.asyncio
async def test_an_invalid_file_is_refused_loudly_and_the_old_one_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "lightkeeper.toml"
    in_place(path, ONE)
    async with followed(path) as config:
        before = config.current
        in_place(path, BROKEN)
        await eventually(lambda: config.refused)
        assert config.current is before
        assert 'did you mean "repository"' in config.refused.replace("'", '"')
        assert "configuration refused" in caplog.text
        in_place(path, TWO)
        await eventually(lambda: names(config) == ["one", "two"])
        assert not config.refused


@pytest.mark.asyncio
async def test_a_file_that_is_gone_for_a_while_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lightkeeper.toml"
    in_place(path, ONE)
    async with followed(path) as config:
        path.unlink()
        await eventually(lambda: config.refused)
        assert names(config) == ["one"]
        in_place(path, ONE)
        await eventually(lambda: not config.refused)
        assert names(config) == ["one"]


@pytest.mark.asyncio
async def test_a_hang_up_reads_the_file_again_even_when_it_looks_the_same(tmp_path: Path) -> None:
    path = tmp_path / "lightkeeper.toml"
    in_place(path, ONE)
    async with followed(path) as config:
        status = path.stat()
        path.write_text(ONE.replace("one", "two"))  # as long as before
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        config.hang_up()
        await eventually(lambda: names(config) == ["two"])


@pytest.mark.asyncio
async def test_a_file_that_is_still_being_written_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "SETTLE", 1.0)
    path = tmp_path / "lightkeeper.toml"
    in_place(path, ONE)
    async with followed(path) as config:
        heard: list[int] = []
        config.on_change = lambda before, now: heard.append(len(now.tracks))
        text = "".join(TWO.replace("one", f"a{n}").replace("two", f"b{n}") for n in range(5))
        lines = text.splitlines(keepends=True)
        with path.open("w") as file:
            for line in lines:
                file.write(line)
                file.flush()
                await asyncio.sleep(0.03)
        await eventually(lambda: len(config.current.tracks) == 10)
    assert heard == [10]
