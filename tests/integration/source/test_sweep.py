"""What removed tracks and killed processes leave is swept, and nothing that may be anybody's."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from agent.source import pool
from agent.source.fetcher import Fetcher
from agent.source.git import GitSource
from agent.source.snapshot import Trust
from agent.source.sweep import KEPT_SECONDS, sweep
from tests.integration.source.conftest import Remote, Track

pytestmark = [pytest.mark.integration, pytest.mark.asyncio]


def homedirs(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{pool._HOMEDIR}*"))


async def polled(source: GitSource, *, days_ago: float) -> GitSource:
    """Poll a source, as if that had been so long ago."""
    assert (await source.poll()).may_prune
    then = time.time() - days_ago * 24 * 3600
    os.utime(source.record_files[0], (then, then))
    return source


def mirrors(state_dir: Path) -> list[Path]:
    return sorted((state_dir / "repositories").iterdir())


async def test_the_mirror_of_a_track_that_is_no_more_goes_after_a_week(
    local: Remote,
    track: Track,
    fetcher: Fetcher,
    state_dir: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", logger="agent")
    local.upstream.commit({"deploy/a.yaml": "1"})
    await polled(track(local, agent="us"), days_ago=8)
    await sweep(state_dir / "repositories", fetcher=fetcher, agent="us", tracked=())
    assert mirrors(state_dir) == []
    assert "mirror taken away: no track has it" in caplog.messages


@pytest.mark.parametrize(
    ("agent", "days_ago", "is_tracked"),
    [
        pytest.param("us", 8, True, id="still tracked"),
        pytest.param("us", 6, False, id="asked for lately"),
        pytest.param("others", 8, False, id="of another agent"),
        pytest.param("", 8, False, id="of nobody known"),
    ],
)
async def test_what_may_be_needed_stays(
    local: Remote,
    track: Track,
    fetcher: Fetcher,
    state_dir: Path,
    agent: str,
    days_ago: float,
    is_tracked: bool,
) -> None:
    local.upstream.commit({"deploy/a.yaml": "1"})
    source = await polled(track(local, agent=agent), days_ago=days_ago)
    tracked = source.record_files if is_tracked else []
    await sweep(state_dir / "repositories", fetcher=fetcher, agent="us", tracked=tracked)
    assert await track(local, agent=agent).last_good() is not None


@pytest.mark.parametrize(
    ("days_ago", "is_tracked", "is_left"),
    [
        pytest.param(8, False, False, id="deserted"),
        pytest.param(8, True, True, id="still tracked"),
        pytest.param(6, False, True, id="fetched lately"),
    ],
)
async def test_a_mirror_that_was_never_any_good_goes_when_nobody_fetches_into_it(
    local: Remote,
    track: Track,
    fetcher: Fetcher,
    state_dir: Path,
    days_ago: float,
    is_tracked: bool,
    is_left: bool,
) -> None:
    local.upstream.commit({"deploy/a.yaml": "1"})
    source = track(local, agent="us", sub_path="not/there")
    assert (await source.poll()).error is not None
    [mirror] = mirrors(state_dir)
    then = time.time() - days_ago * 24 * 3600
    for path in (mirror, *mirror.rglob("*")):
        os.utime(path, (then, then))
    tracked = source.record_files if is_tracked else []
    await sweep(state_dir / "repositories", fetcher=fetcher, agent="us", tracked=tracked)
    assert mirrors(state_dir) == ([mirror] if is_left else [])


async def test_a_folder_that_is_no_mirror_is_left(state_dir: Path, fetcher: Fetcher) -> None:
    somebodys = state_dir / "repositories" / "notes"
    somebodys.mkdir(parents=True)
    os.utime(somebodys, (0, 0))
    await sweep(state_dir / "repositories", fetcher=fetcher, agent="us", tracked=())
    assert mirrors(state_dir) == [somebodys]


async def test_in_a_shared_mirror_only_the_removed_track_is_forgotten(
    local: Remote, track: Track, fetcher: Fetcher, state_dir: Path
) -> None:
    local.upstream.commit({"deploy/a.yaml": "1", "other/b.yaml": "1"})
    removed = await polled(track(local, agent="us"), days_ago=8)
    kept = await polled(track(local, agent="us", sub_path="other"), days_ago=8)
    await sweep(state_dir / "repositories", fetcher=fetcher, agent="us", tracked=kept.record_files)
    assert await removed.last_good() is None
    again = await track(local, agent="us", sub_path="other").last_good()
    assert again is not None
    assert again.trust is Trust.STALE
    mirror = kept._mirror
    assert [name for name in (mirror.path / "refs").rglob(removed._track)] == []
    assert await mirror.is_sound()


async def test_a_mirror_that_cannot_be_read_is_left_and_does_not_stop_the_sweep(
    local: Remote, track: Track, fetcher: Fetcher, state_dir: Path
) -> None:
    local.upstream.commit({"deploy/a.yaml": "1"})
    broken = state_dir / "repositories" / "a-broken-one"
    (broken / "lightkeeper").mkdir(parents=True)
    record = broken / "lightkeeper" / "0123456789abcdef.json"
    record.write_text("{")
    os.utime(record, (0, time.time() - 2 * KEPT_SECONDS))
    await polled(track(local, agent="us"), days_ago=8)
    await sweep(state_dir / "repositories", fetcher=fetcher, agent="us", tracked=())
    assert mirrors(state_dir) == [broken]


async def test_only_folders_of_workers_that_died_with_their_agent_are_removed(
    local: Remote, tmp_path: Path, track: Track
) -> None:
    local.upstream.commit({"deploy/a.yaml": "1"})
    fetcher = Fetcher(scratch=tmp_path)
    source = track(local, fetcher=fetcher)
    await source.poll()
    [living] = homedirs(tmp_path)
    dead, young = (tmp_path / f"{pool._HOMEDIR}{name}" for name in ("dead", "young"))
    for folder in (dead, young):
        (folder / ".ssh").mkdir(parents=True)
    for folder in (dead, living):
        os.utime(folder, (0, 0))
    pool.sweep_homedirs(tmp_path)
    assert homedirs(tmp_path) == sorted([living, young])
    await fetcher.close()
    assert homedirs(tmp_path) == [young]
