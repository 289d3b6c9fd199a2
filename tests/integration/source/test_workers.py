"""The life of a worker process: light, reused, reaped, and gone with its parent."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
from pathlib import Path

import pytest

from agent.source.errors import FetchError
from agent.source.fetcher import Fetcher
from agent.source.login.credentials import Credentials
from agent.source.pool import WorkerDied, WorkerPool, worker_command, worker_environment
from agent.source.protocol import Done, Failure, ListRefs, OnMirror, encode
from agent.source.snapshot import Trust
from agent.source.worker import main
from agent.source.worker.mirror import Mirror
from tests.gitservers.broken import listener
from tests.integration.source.conftest import Remote, Track
from tests.integration.source.processes import eventually, is_running, worker_pids

pytestmark = [pytest.mark.integration, pytest.mark.asyncio]


def _hanging(port: int) -> ListRefs:
    return ListRefs(f"http://127.0.0.1:{port}/x", ("HEAD",), "", Credentials(), timeout=60)


async def test_a_worker_serves_poll_after_poll(local: Remote, track: Track) -> None:
    local.upstream.commit({"deploy/a.yaml": "1"})
    await track(local).poll()
    first = worker_pids()
    await track(local).poll()
    assert worker_pids() == first
    assert len(first) == 1


async def test_no_secret_is_in_a_workers_arguments_or_environment(
    https: Remote, track: Track, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIGHTKEEPER_TEST_TOKEN", "c4nary")
    https.upstream.commit({"deploy/a.yaml": "1"})
    assert (await track(https).poll()).error is None
    (pid,) = worker_pids()
    for file in ("cmdline", "environ"):
        assert b"c4nary" not in Path(f"/proc/{pid}/{file}").read_bytes()  # noqa: ASYNC240


async def test_an_idle_worker_is_ended() -> None:
    pool = WorkerPool(idle_seconds=0.1)
    async with listener(trickle=False) as port:
        with pytest.raises(TimeoutError):
            await pool.call(_hanging(port), seconds=0.5)
    await pool.call(_hanging(1), seconds=10)  # nobody listens: answered with a failure
    await eventually(lambda: worker_pids() == [])
    await pool.close()


async def test_calls_that_come_at_once_share_a_worker_that_is_soon_free() -> None:
    pool = WorkerPool(patience=60)
    answers = await asyncio.gather(*(pool.call(_hanging(1), seconds=60) for _ in range(10)))
    assert all(isinstance(answer, Failure) for answer in answers)  # nobody listens there
    assert len(worker_pids()) == 1
    await pool.close()


async def test_a_worker_that_hangs_delays_others_by_a_moment_only() -> None:
    pool = WorkerPool(patience=0.1)
    async with listener(trickle=False) as port:
        hanging = asyncio.create_task(pool.call(_hanging(port), seconds=60))
        await eventually(lambda: len(worker_pids()) == 1)
        assert isinstance(await pool.call(_hanging(1), seconds=60), Failure)
        assert not hanging.done()
        await pool.close()
        with pytest.raises(WorkerDied):
            await hanging


async def test_of_idle_workers_one_is_kept() -> None:
    pool = WorkerPool(patience=0, spare_seconds=0.1)
    await asyncio.gather(*(pool.call(_hanging(1), seconds=60) for _ in range(3)))
    await eventually(lambda: len(worker_pids()) == 1)
    (kept,) = worker_pids()
    await pool.call(_hanging(1), seconds=60)
    assert worker_pids() == [kept]
    await pool.close()


async def test_workers_are_no_more_than_the_pool_allows() -> None:
    pool = WorkerPool(size=2)
    async with listener(trickle=False) as port:
        calls = [asyncio.create_task(pool.call(_hanging(port), seconds=2)) for _ in range(5)]
        await eventually(lambda: len(worker_pids()) == 2)
        results = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(result, TimeoutError) for result in results)
    assert worker_pids() == []
    await pool.close()


async def test_work_on_the_disk_does_not_wait_for_servers_that_hang(tmp_path: Path) -> None:
    pool = WorkerPool(size=1, patience=0)
    work = OnMirror(str(tmp_path / "mirror"), "prepare", {})
    async with listener(trickle=False) as port:
        hanging = asyncio.create_task(pool.call(_hanging(port), seconds=60))
        await eventually(lambda: len(worker_pids()) == 1)
        assert isinstance(await pool.call(work, seconds=60, local=True), Done)
        assert not hanging.done()
        await pool.close()
        with pytest.raises(WorkerDied):
            await hanging


async def test_a_disk_that_hangs_is_an_error_and_leaves_no_worker(
    local: Remote, track: Track, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.upstream.commit({"deploy/a.yaml": "1"})
    source = track(local)
    snapshot = await source.poll()
    (pid,) = worker_pids()
    os.kill(pid, signal.SIGSTOP)  # as in a read that never returns
    monkeypatch.setattr("agent.source.fetcher._DISK_SECONDS", 0.5)
    with pytest.raises(FetchError, match=r"cannot be used: .*: the disk does not answer"):
        await source.read(snapshot.files)
    assert worker_pids() == []


async def test_a_worker_killed_in_a_call_is_an_error_and_the_next_call_works(
    local: Remote, track: Track
) -> None:
    local.upstream.commit({"deploy/a.yaml": "1"})
    pool = WorkerPool()
    async with listener(trickle=False) as port:
        call = asyncio.create_task(pool.call(_hanging(port), seconds=20))
        await eventually(lambda: len(worker_pids()) == 1)
        os.kill(worker_pids()[0], signal.SIGKILL)
        with pytest.raises(WorkerDied, match="ended in the middle"):
            await call
    await pool.close()
    assert (await track(local).poll()).trust is Trust.NEW


async def test_what_nobody_expected_is_a_failure_and_no_crash(tmp_path: Path) -> None:
    pool = WorkerPool(folder=tmp_path)
    answer = await pool.call(OnMirror("/nowhere", "no_such", {}), seconds=20)
    assert isinstance(answer, Failure)
    assert "AttributeError" in answer.reason
    [homedir] = os.listdir(tmp_path)
    (tmp_path / homedir / ".ssh").write_text("in the way")
    before = worker_pids()
    answer = await pool.call(_hanging(1), seconds=20)
    assert isinstance(answer, Failure)
    assert "File exists" in answer.reason
    assert worker_pids() == before
    await pool.close()


async def test_a_worker_without_memory_does_not_call_the_mirror_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def want(self: Mirror) -> bool:
        raise MemoryError(self.path)

    monkeypatch.setattr(Mirror, "is_sound", want)
    answer = main.answer(OnMirror("/mirror", "is_sound", {}), homedir=tmp_path)
    assert answer == Failure("machine", "/mirror: Cannot allocate memory")


async def test_an_idle_worker_that_died_is_replaced(local: Remote, track: Track) -> None:
    local.upstream.commit({"deploy/a.yaml": "1"})
    source = track(local)
    await source.poll()
    (pid,) = worker_pids()
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: worker_pids() == [])
    assert (await source.poll()).trust is Trust.UNCHANGED


async def test_closing_kills_busy_workers_too() -> None:
    pool = WorkerPool()
    async with listener(trickle=False) as port:
        call = asyncio.create_task(pool.call(_hanging(port), seconds=60))
        await eventually(lambda: len(worker_pids()) == 1)
        await pool.close()
        with pytest.raises(WorkerDied):
            await call
    assert worker_pids() == []
    with pytest.raises(WorkerDied, match="closed"):
        await pool.call(_hanging(1), seconds=1)


async def test_a_worker_ends_with_its_standard_input_even_in_a_call(tmp_path: Path) -> None:
    async with listener(trickle=False) as port:
        process = await asyncio.create_subprocess_exec(
            *worker_command(),
            *("--homedir", str(tmp_path)),
            stdin=asyncio.subprocess.PIPE,
            env=worker_environment(os.environ),
        )
        assert process.stdin is not None
        process.stdin.write(encode(_hanging(port)))
        await process.stdin.drain()
        process.stdin.close()
        async with asyncio.timeout(5):
            assert await process.wait() == 0


_PARENT = """
import asyncio, sys
from agent.source.pool import WorkerPool
from agent.source.protocol import ListRefs
from agent.source.login.credentials import Credentials
request = ListRefs(sys.argv[1], ("HEAD",), "", Credentials(), timeout=60)
asyncio.run(WorkerPool().call(request, seconds=60))
"""


async def test_a_worker_dies_with_a_parent_that_is_killed() -> None:
    async with listener(trickle=False) as port:
        command = [sys.executable, "-c", _PARENT, f"http://127.0.0.1:{port}/x"]
        parent = await asyncio.create_subprocess_exec(*command)
        await eventually(lambda: len(worker_pids(parent.pid)) == 1)
        (worker,) = worker_pids(parent.pid)
        parent.kill()
        await parent.wait()
        await eventually(lambda: not is_running(worker))


async def test_a_worker_imports_no_event_loop_and_nothing_for_patterns() -> None:
    heavy = "{'asyncio', 'pathspec'}"
    code = f"import agent.source.worker.main, sys; sys.exit(not {heavy}.isdisjoint(sys.modules))"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    assert await process.wait() == 0


async def test_a_closed_fetcher_leaves_no_folder(
    local: Remote, track: Track, tmp_path: Path
) -> None:
    local.upstream.commit({"deploy/a.yaml": "1"})
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    fetcher = Fetcher(scratch=scratch)
    await track(local, fetcher=fetcher).poll()
    assert len(list(scratch.iterdir())) == 1
    await fetcher.close()
    assert list(scratch.iterdir()) == []


async def test_a_worker_is_there_before_the_first_call_and_one_is_enough(
    local: Remote, track: Track
) -> None:
    local.upstream.commit({"deploy/a.yaml": "1"})
    pool = WorkerPool()
    await pool.warm()
    early = worker_pids()
    assert len(early) == 1
    await pool.warm()
    fetcher = Fetcher(workers=pool)
    assert (await track(local, fetcher=fetcher).poll()).error is None
    await fetcher.close()
    assert worker_pids() == early
    await pool.close()
    assert worker_pids() == []


async def test_an_agent_that_does_not_get_far_leaves_no_worker_and_no_folder(
    tmp_path: Path,
) -> None:
    agent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agent", "run", "--config", str(tmp_path / "missing.toml")),
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stderr=asyncio.subprocess.PIPE,
    )
    _, told = await agent.communicate()  # to the end of its stderr, which its worker has as well
    assert agent.returncode == 2
    assert b"missing.toml" in told
    assert os.listdir(tmp_path) == []


async def test_a_machine_that_starts_no_worker_is_an_error_of_the_poll(
    local: Remote, track: Track, tmp_path: Path
) -> None:
    nowhere = Fetcher(scratch=tmp_path / "nowhere")
    snapshot = await track(local, fetcher=nowhere).poll()
    assert snapshot.trust is Trust.UNREADABLE
    assert "no git worker can be started: " in str(snapshot.error)
    assert str(tmp_path / "nowhere") in str(snapshot.error)
    await nowhere.close()


async def test_a_worker_that_could_not_be_started_leaves_no_folder(tmp_path: Path) -> None:
    pool = WorkerPool(folder=tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
    try:
        with pytest.raises(WorkerDied, match="Too many open files"):
            await pool.call(_hanging(1), seconds=10)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert os.listdir(tmp_path) == []
    await pool.close()
