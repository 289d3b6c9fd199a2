"""Servers that are away, silent or slow, and mirrors that are broken."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from agent.source.errors import FetchError, FetchTimeout
from agent.source.fetcher import Fetcher
from agent.source.git import GitSource
from agent.source.login.credentials import CredentialKind
from agent.source.snapshot import Trust
from tests.gitservers.broken import listener
from tests.gitservers.https import HttpsServer
from tests.integration.source.conftest import Remote, Track
from tests.integration.source.processes import worker_pids

pytestmark = [pytest.mark.integration, pytest.mark.asyncio]


async def test_a_server_away_at_a_restart_leaves_the_last_good_revision(
    https: Remote, https_server: HttpsServer, track: Track
) -> None:
    https.upstream.commit({"deploy/a.yaml": "1"})
    before = await track(https).poll()
    await asyncio.to_thread(https_server.stop)
    try:
        source = track(https)
        kept = await source.last_good()
        assert kept is not None
        assert (kept.trust, kept.revision, kept.files) == (
            Trust.STALE, before.revision, before.files
        )  # fmt: skip
        stale = await source.poll()
        assert stale.trust is Trust.STALE
        assert isinstance(stale.error, FetchError)
        assert "Connection refused" in str(stale.error)
        assert before.checked_at is not None
        assert stale.checked_at == pytest.approx(before.checked_at, abs=1e-3)
        assert list((await source.read(stale.files)).values()) == [b"1"]
        assert (await track(https, sub_path="new").poll()).trust is Trust.UNREADABLE
    finally:
        await asyncio.to_thread(https_server.start)
    assert (await source.poll()).trust is Trust.UNCHANGED


async def test_without_a_last_good_revision_there_is_none(local: Remote, track: Track) -> None:
    assert await track(local).last_good() is None


async def test_a_first_fetch_that_failed_is_tried_again(local: Remote, track: Track) -> None:
    hidden = local.upstream.path.with_suffix(".hidden")
    local.upstream.commit({"deploy/a.yaml": "1"})
    local.upstream.path.rename(hidden)
    source = track(local)
    missing = await source.poll()
    assert missing.trust is Trust.UNREADABLE
    assert isinstance(missing.error, FetchError)
    assert "there is no such folder" in str(missing.error)
    hidden.rename(local.upstream.path)
    assert (await source.poll()).trust is Trust.NEW


@pytest.mark.parametrize("trickle", [False, True], ids=["silent", "a-byte-a-second"])
@pytest.mark.parametrize("scheme", ["http", "https", "ssh"])
async def test_a_server_that_does_not_answer_costs_no_more_than_the_deadline(
    ssh: Remote, track: Track, fetcher: Fetcher, scheme: str, trickle: bool
) -> None:
    credentials = (
        ssh.credentials if scheme == "ssh" else replace(ssh.credentials, kind=CredentialKind.NONE)
    )
    async with listener(trickle=trickle) as port:
        url = f"{scheme}://127.0.0.1:{port}/app.git"
        source = track(replace(ssh, url=url, credentials=credentials), timeout=1.5)
        started = time.monotonic()
        snapshot = await source.poll()
        took = time.monotonic() - started
    assert isinstance(snapshot.error, FetchTimeout), snapshot.error
    assert "within 1.5s" in str(snapshot.error)
    assert took < 2.5
    await fetcher.close()
    assert worker_pids() == []


async def test_one_slow_repository_delays_nobody(local: Remote, track: Track) -> None:
    local.upstream.commit({"deploy/a.yaml": "1"})
    async with listener(trickle=True) as port:
        slow_url = f"http://127.0.0.1:{port}/slow.git"
        slow = asyncio.create_task(track(replace(local, url=slow_url), timeout=8).poll())
        assert (await track(local).poll()).trust is Trust.NEW
        assert not slow.done()
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow


async def test_a_cancelled_poll_leaves_no_worker_behind(local: Remote, track: Track) -> None:
    async with listener(trickle=False) as port:
        source = track(replace(local, url=f"http://127.0.0.1:{port}/app.git"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await source.poll()
    assert worker_pids() == []


def _pack(mirror: Path) -> Path:
    return max((mirror / "objects" / "pack").glob("*.pack"), key=lambda pack: pack.stat().st_size)


def _cut_pack(mirror: Path) -> None:
    pack = _pack(mirror)
    pack.chmod(0o644)
    pack.write_bytes(pack.read_bytes()[:-100])


def _flip_pack(mirror: Path) -> None:
    pack = _pack(mirror)
    pack.chmod(0o644)
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 0xFF
    pack.write_bytes(content)


def _remove_objects(mirror: Path) -> None:
    shutil.rmtree(mirror / "objects")


def _remove_pack(mirror: Path) -> None:
    _pack(mirror).unlink()


def _remove_head(mirror: Path) -> None:
    (mirror / "HEAD").unlink()


def _break_record(mirror: Path) -> None:
    next((mirror / "lightkeeper").iterdir()).write_text("{")


def _half_made(mirror: Path) -> None:
    shutil.rmtree(mirror)
    mirror.mkdir()


DAMAGES = [_cut_pack, _flip_pack, _remove_objects, _remove_pack, _remove_head, _break_record,
           _half_made]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_mirror_is_rebuilt(
    https: Remote, track: Track, damage: Callable[[Path], None]
) -> None:
    noise = "".join(f"{number}: {number * 7919}\n" for number in range(2000))
    commit = https.upstream.commit({"deploy/a.yaml": noise})
    first = track(https)
    await first.poll()
    damage(first._mirror.path)
    source = track(https)
    assert await source.last_good() is None
    rebuilt = await source.poll()
    assert rebuilt.error is None
    assert rebuilt.revision is not None
    assert rebuilt.revision.commit == commit
    assert list((await source.read(rebuilt.files)).values()) == [noise.encode()]
    assert (await track(https).poll()).trust is Trust.UNCHANGED


async def test_damage_found_while_reading_is_repaired_at_the_next_poll(
    https: Remote, track: Track
) -> None:
    https.upstream.commit({"deploy/a.yaml": "1"})
    source = track(https)
    snapshot = await source.poll()
    _remove_pack(source._mirror.path)
    with pytest.raises(FetchError, match="rebuilt at the next poll"):
        await source.read(snapshot.files)
    repaired = await source.poll()
    assert repaired.trust is Trust.NEW
    assert list((await source.read(repaired.files)).values()) == [b"1"]


async def test_a_history_cut_without_a_note_is_rebuilt(https: Remote, track: Track) -> None:
    https.upstream.commit({"deploy/a.yaml": "1"})
    https.upstream.commit({"deploy/a.yaml": "2"})
    source = track(https)
    await source.poll()
    (source._mirror.path / "shallow").unlink()
    https.upstream.commit({"deploy/a.yaml": "3"})
    snapshot = await source.poll()
    assert snapshot.error is None
    assert list((await source.read(snapshot.files)).values()) == [b"3"]


async def test_what_a_killed_fetch_left_is_swept(local: Remote, track: Track) -> None:
    local.upstream.commit({"deploy/a.yaml": "1"})
    source = track(local)
    await source.poll()
    mirror = source._mirror.path
    half_made = mirror.with_name(f".{mirror.name}.x")
    half_made.mkdir()
    leftovers = [
        half_made / "HEAD",
        mirror / "shallow.lock",
        mirror / "refs" / "lightkeeper" / "good" / f"{source._track}.lock",
        mirror / "objects" / "pack" / "tmp_pack_x",
    ]
    for leftover in leftovers:
        leftover.write_text("")
    local.upstream.commit({"deploy/a.yaml": "2"})
    assert (await source.poll()).trust is Trust.NEW
    assert not any(leftover.exists() for leftover in leftovers)


async def test_a_state_folder_that_cannot_be_written_is_said(
    local: Remote, track: Track, tmp_path: Path
) -> None:
    local.upstream.commit({"deploy/a.yaml": "1"})
    (tmp_path / "file").write_text("")
    snapshot = await track(local, state_dir=tmp_path / "file").poll()
    assert snapshot.trust is Trust.UNREADABLE
    assert "state-dir" in str(snapshot.error)


async def test_a_poll_waits_for_another_tracks_fetch_no_longer_than_its_deadline(
    local: Remote, track: Track, fetcher: Fetcher
) -> None:
    local.upstream.commit({"deploy/a.yaml": "1"})
    source: GitSource = track(local, timeout=0.5)
    async with fetcher.lock(source._mirror.path).hold(5):
        snapshot = await source.poll()
    assert isinstance(snapshot.error, FetchTimeout)
    assert (await track(local).poll()).trust is Trust.NEW
