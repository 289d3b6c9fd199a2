"""Each file of a mirror, broken in each way: rebuilt with git there, whole or refused without."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.source.fetcher import Fetcher
from agent.source.git import GitSource
from agent.source.snapshot import Snapshot, Trust
from tests.gitservers.upstream import git
from tests.integration.source.conftest import Remote, Track

pytestmark = [pytest.mark.integration, pytest.mark.asyncio]

FILES = {f"deploy/{number}.yaml": f"number: {number}\n" * 20 for number in range(5)}

Damage = Callable[[Path], None]


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def garble(file: Path) -> None:
    content = bytearray(file.read_bytes())
    for place in range(len(content) // 3, len(content), 7):
        content[place] ^= 0x55
    file.write_bytes(content)


def remove(file: Path) -> None:
    file.unlink()


def replace_by_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


DAMAGES = [truncate, empty, garble, remove, replace_by_a_folder]


def mirror_of(state_dir: Path) -> Path:
    [mirror] = (state_dir / "repositories").glob("[!.]*")
    return mirror


def files_of(mirror: Path) -> list[Path]:
    return sorted(file for file in mirror.rglob("*") if file.is_file())


async def contents(source: GitSource, snapshot: Snapshot) -> dict[str, str]:
    bodies = await source.read(snapshot.files)
    return {file.path: bodies[file.blob_id].decode() for file in snapshot.files}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_whichever_file_is_broken_the_next_poll_is_right(
    https: Remote, track: Track, state_dir: Path, tmp_path: Path, damage: Damage
) -> None:
    await _two_tracks(https, track, state_dir)
    untouched = tmp_path / "untouched"
    shutil.copytree(state_dir, untouched)
    for file in files_of(mirror_of(untouched)):
        shutil.rmtree(state_dir)
        shutil.copytree(untouched, state_dir)
        damage(_same_in(state_dir, file, untouched))
        for sub_path in ("deploy", "other"):
            source = track(https, sub_path=sub_path)
            snapshot = await source.poll()
            where = f"{damage.__name__} {file.relative_to(untouched)}: {snapshot.error}"
            assert snapshot.may_prune, where
            wanted = FILES if sub_path == "deploy" else {"other/o.yaml": "o"}
            assert await contents(source, snapshot) == wanted, where


@pytest.mark.parametrize("damage", DAMAGES)
async def test_with_git_away_a_broken_file_never_gives_a_part_of_the_files(
    local: Remote, track: Track, state_dir: Path, tmp_path: Path, damage: Damage
) -> None:
    await _two_tracks(local, track, state_dir)
    untouched = tmp_path / "untouched"
    shutil.copytree(state_dir, untouched)
    local.upstream.path.rename(tmp_path / "away.git")
    seen = set()
    for file in files_of(mirror_of(untouched)):
        shutil.rmtree(state_dir)
        shutil.copytree(untouched, state_dir)
        damage(_same_in(state_dir, file, untouched))
        source = track(local)
        snapshot = await source.poll()
        seen.add(snapshot.trust)
        assert snapshot.error is not None
        assert "there is no such folder" in str(snapshot.error)
        if snapshot.trust is Trust.STALE:
            assert await contents(source, snapshot) == FILES
        else:
            assert snapshot.trust is Trust.UNREADABLE
            assert snapshot.files == ()
    assert seen == {Trust.STALE, Trust.UNREADABLE}


async def test_a_rebuild_that_fails_takes_nothing_away(
    https: Remote, track: Track, state_dir: Path
) -> None:
    await _two_tracks(https, track, state_dir)
    record = _record_of(mirror_of(state_dir), track(https, sub_path="other"))
    record.write_text("{")
    fetches = https.fetches()
    blob = git("rev-parse", "main:deploy/0.yaml", repository=https.upstream.path)
    broken = https.upstream.path / "objects" / blob[:2]
    broken.rename(broken.with_name("hidden"))
    try:
        # Refs can still be listed, so that only the fetch into the rebuilt mirror fails.
        unable = await track(https, sub_path="other").poll()
        assert unable.trust is Trust.UNREADABLE
        assert https.fetches() > fetches
        source = track(https)
        kept = await source.poll()
        assert kept.trust is Trust.UNCHANGED
        assert await contents(source, kept) == FILES
    finally:
        broken.with_name("hidden").rename(broken)


async def test_a_rebuild_for_one_track_keeps_the_last_good_revision_of_another(
    local: Remote, track: Track, state_dir: Path, tmp_path: Path
) -> None:
    await _two_tracks(local, track, state_dir)
    before = (await track(local).poll()).checked_at
    local.upstream.commit({"deploy/0.yaml": "newer"})
    other = track(local, sub_path="other")
    _record_of(mirror_of(state_dir), other).write_text("{")
    assert (await other.poll()).may_prune
    local.upstream.path.rename(tmp_path / "away.git")
    source = track(local)
    kept = await source.poll()
    assert kept.trust is Trust.STALE
    assert await contents(source, kept) == FILES
    assert kept.checked_at == pytest.approx(before, abs=1e-3)
    assert await source._mirror.is_sound()


async def test_a_mirror_with_a_damaged_file_is_not_sound(
    local: Remote, track: Track, state_dir: Path
) -> None:
    noise = "".join(f"{number}: {number * 7919}\n" for number in range(2000))
    local.upstream.commit({"deploy/a.yaml": noise})
    source = track(local)
    assert (await source.poll()).may_prune
    assert await source._mirror.is_sound()
    [pack] = mirror_of(state_dir).rglob("*.pack")
    pack.chmod(0o644)
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 0xFF
    pack.write_bytes(content)
    assert not await source._mirror.is_sound()


@pytest.mark.parametrize("offset", [0x1000_0000, 0x7FFF_FFFF, 12])
async def test_an_index_that_kills_whoever_follows_it_is_rebuilt_and_costs_no_other_track(
    https: Remote, track: Track, state_dir: Path, offset: int
) -> None:
    """libgit2 believes an index's offsets: the first of these is a segmentation fault there."""
    https.upstream.commit({**FILES, "other/o.yaml": "o"})
    await track(https, sub_path="other").poll()
    whole = next(mirror_of(state_dir).rglob("*.idx"))
    https.upstream.commit({"deploy/0.yaml": "newer"})
    await track(https).poll()
    [doomed] = [file for file in mirror_of(state_dir).rglob("*.idx") if file != whole]
    _lead_astray(doomed, offset)
    source = track(https)
    snapshot = await source.poll()
    assert snapshot.error is None
    assert snapshot.may_prune
    assert await contents(source, snapshot) == {**FILES, "deploy/0.yaml": "newer"}
    kept = await track(https, sub_path="other").last_good()
    assert kept is not None
    assert await source._mirror.is_sound()


async def test_with_git_away_a_mirror_that_kills_its_reader_is_told_as_damaged(
    local: Remote, track: Track, state_dir: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await _two_tracks(local, track, state_dir)
    for index in mirror_of(state_dir).rglob("*.idx"):
        _lead_astray(index, 0x1000_0000)
    local.upstream.path.rename(tmp_path / "away.git")
    snapshot = await track(local).poll()
    assert snapshot.trust is Trust.UNREADABLE
    assert snapshot.files == ()
    assert "the git worker crashed in the middle of a call (SIGSEGV)" in caplog.text


def _lead_astray(index: Path, offset: int) -> None:
    """Have all objects of a pack be at one place; the format is gitformat-pack's, version 2."""
    content = bytearray(index.read_bytes())
    count = int.from_bytes(content[8 + 255 * 4 : 8 + 256 * 4], "big")
    start = 8 + 256 * 4 + count * (20 + 4)
    content[start : start + 4 * count] = offset.to_bytes(4, "big") * count
    index.chmod(0o644)
    index.write_bytes(content)


async def test_a_rebuilt_mirror_that_was_not_put_in_place_yet_is_found(
    local: Remote, track: Track, state_dir: Path, tmp_path: Path
) -> None:
    await _two_tracks(local, track, state_dir)
    mirror = mirror_of(state_dir)
    mirror.rename(mirror.with_name(f".{mirror.name}.whole"))
    local.upstream.path.rename(tmp_path / "away.git")
    source = track(local)
    kept = await source.poll()
    assert kept.trust is Trust.STALE
    assert await contents(source, kept) == FILES


async def _two_tracks(remote: Remote, track: Track, state_dir: Path) -> None:
    remote.upstream.commit({**FILES, "other/o.yaml": "o"})
    for sub_path in ("deploy", "other"):
        assert (await track(remote, sub_path=sub_path).poll()).trust is Trust.NEW


def _same_in(state_dir: Path, file: Path, untouched: Path) -> Path:
    found = state_dir / file.relative_to(untouched)
    found.chmod(0o644)
    return found


def _record_of(mirror: Path, source: GitSource) -> Path:
    return mirror / "lightkeeper" / f"{source._track}.json"


async def test_the_time_of_the_last_answer_outlives_the_process(
    local: Remote, track: Track, tmp_path: Path, fetcher: Fetcher
) -> None:
    local.upstream.commit({"deploy/a.yaml": "1"})
    source = track(local)
    first = await source.poll()
    second = await source.poll()
    assert first.checked_at is not None
    assert second.checked_at is not None
    assert second.checked_at > first.checked_at
    local.upstream.path.rename(tmp_path / "away.git")
    for later in (source, track(local)):
        stale = await later.poll()
        assert stale.trust is Trust.STALE
        assert stale.checked_at == pytest.approx(second.checked_at, abs=1e-3)
