"""One state folder, several processes: none takes away what another is making."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.source import mirrorlock
from agent.source.errors import FetchTimeout
from agent.source.fetcher import Fetcher
from agent.source.mirrorlock import MirrorBusy, MirrorLock
from agent.source.snapshot import Trust
from tests.integration.source.conftest import Remote, Track

pytestmark = [pytest.mark.integration, pytest.mark.asyncio]

HOLD = """
import fcntl, sys, time
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(600)
"""


async def test_agents_that_share_a_state_folder_fetch_at_once(
    remote: Remote, track: Track, fetcher: Fetcher
) -> None:
    """Each has a fetcher of its own, as each process has."""
    others = [Fetcher(), Fetcher()]
    tracks = [
        track(remote, fetcher=one, agent=f"agent-{number}")
        for number, one in enumerate((fetcher, *others))
    ]
    try:
        for number in range(10):
            commit = remote.upstream.commit({"deploy/a.yaml": str(number)})
            for snapshot in await asyncio.gather(*(one.poll() for one in tracks)):
                assert snapshot.error is None
                assert snapshot.may_prune
                assert snapshot.revision is not None
                assert snapshot.revision.commit == commit
    finally:
        for other in others:
            await other.close()


async def test_a_process_that_hangs_with_the_mirror_is_named_and_its_end_is_enough(
    local: Remote, track: Track
) -> None:
    local.upstream.commit({"deploy/a.yaml": "1"})
    source = track(local, timeout=1)
    good = await source.poll()
    file = MirrorLock(source._mirror.path)._file
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLD, str(file), stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    await other.stdout.readline()
    assert (await source.poll()).trust is Trust.UNCHANGED, "what is known needs no lock"
    local.upstream.commit({"deploy/a.yaml": "2"})
    stale = await source.poll()
    assert (stale.trust, stale.files) == (Trust.STALE, good.files)
    assert isinstance(stale.error, FetchTimeout)
    assert f"another process holds {file}" in str(stale.error)
    assert "for 1s" in str(stale.error)
    other.kill()
    await other.wait()
    assert (await source.poll()).trust is Trust.NEW


async def test_a_lock_that_comes_after_nobody_waits_any_more_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = MirrorLock(tmp_path / "mirror")
    at_once = mirrorlock._lock

    def late(file: Path) -> int | None:
        time.sleep(0.3)
        return at_once(file)

    monkeypatch.setattr(mirrorlock, "_lock", late)
    with pytest.raises(MirrorBusy):
        async with lock.hold(0.1):
            pytest.fail("nobody has it")
    async with lock.hold(5):
        pass
