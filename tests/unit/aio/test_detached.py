"""Calls that hang: they cost one thread each, and hold up nobody else."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

from agent.aio.detached import in_own_thread
from agent.source.login.places import File, Folder
from agent.source.signatures.material import KeyFiles

pytestmark = pytest.mark.asyncio


async def test_what_comes_out_is_what_the_call_returned_or_raised() -> None:
    assert await in_own_thread("key", lambda: 5) == 5
    with pytest.raises(ZeroDivisionError):
        await in_own_thread("key", lambda: 1 // 0)


async def test_calls_for_one_key_come_one_after_the_other() -> None:
    go, order = threading.Event(), list[str]()

    def first() -> None:
        go.wait()
        order.append("first")

    calls = [asyncio.create_task(in_own_thread("key", first))]
    calls += [asyncio.create_task(in_own_thread("key", partial(order.append, n))) for n in "ab"]
    await asyncio.sleep(0.02)
    assert await in_own_thread("another", lambda: order) == []
    go.set()
    await asyncio.gather(*calls)
    assert order[0] == "first"
    assert sorted(order[1:]) == ["a", "b"]


async def test_a_failure_is_told_to_who_called_and_to_nobody_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    go = threading.Event()

    def fail() -> None:
        go.wait()
        raise FileNotFoundError

    calls = [asyncio.create_task(in_own_thread("key", fail)) for _ in range(4)]
    await asyncio.sleep(0.02)
    for given_up in (calls.pop(), calls.pop(0)):
        given_up.cancel()
    go.set()
    failed = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(error) for error in failed] == [FileNotFoundError] * 2
    del calls, given_up, failed  # an exception that nobody asked for is told at its end
    gc.collect()
    await asyncio.sleep(0.02)
    gc.collect()
    assert caplog.records == []


async def test_files_that_hang_leave_the_threads_that_all_need(tmp_path: Path) -> None:
    """A FIFO that nobody writes to is like a file on a server that is gone."""
    os.mkfifo(tmp_path / "fifo")
    before = threading.active_count()
    places = (File(tmp_path / "fifo").read, lambda: KeyFiles((tmp_path / "fifo",)).read(fresh=True))
    try:
        for read in places * 25:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.002):
                    await read()
        assert threading.active_count() <= before + 2
        async with asyncio.timeout(5):
            assert await asyncio.to_thread(lambda: 5) == 5
            assert await Folder(tmp_path).read_all() == {}
    finally:
        os.close(os.open(tmp_path / "fifo", os.O_RDWR))  # lets them go
        while threading.active_count() > before + 1:
            os.close(os.open(tmp_path / "fifo", os.O_RDWR))
            await asyncio.sleep(0.01)


async def test_a_process_ends_although_a_call_hangs() -> None:
    code = (
        "import asyncio, threading\n"
        "from agent.aio.detached import in_own_thread\n"
        "async def main():\n"
        "    try:\n"
        "        async with asyncio.timeout(0.1):\n"
        "            await in_own_thread(1, threading.Event().wait)\n"
        "    except TimeoutError: print('over')\n"
        "asyncio.run(main())"
    )
    ended = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code], capture_output=True, timeout=20, check=True
    )
    assert (ended.stdout, ended.stderr) == (b"over\n", b"")
