"""Which worker processes of this test run there are, by /proc."""

from __future__ import annotations

import asyncio
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path


def worker_pids(parent: int | None = None) -> list[int]:
    """Return the workers, and the zombies, whose parent is ``parent`` (this process)."""
    wanted = os.getpid() if parent is None else parent
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, ppid = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            command = (folder / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(ppid) == wanted and (state == "Z" or b"agent.source.worker" in command):
            found.append(int(folder.name))
    return found


def address_space(pid: int) -> int:
    """Return how many bytes a process has mapped."""
    pages = Path(f"/proc/{pid}/statm").read_text().split()[0]
    return int(pages) * resource.getpagesize()


def is_running(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def eventually(condition: Callable[[], bool], *, seconds: float = 5) -> None:
    """Return once ``condition`` holds; fail after ``seconds``. /proc has no events to wait for."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s")
        await asyncio.sleep(0.01)
