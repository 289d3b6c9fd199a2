"""What a process costs: wall time, CPU and memory of it and of its children; requests it made."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.controlplane.server import ControlPlane

_TICKS = os.sysconf("SC_CLK_TCK")
_SCHEDULED = 2  # CPUCLOCK_SCHED: user and system time, as the scheduler counts it
_PSS = re.compile(r"^Pss: +(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of wall time and CPU; peak resident memory in MiB, the git workers' apart."""

    wall: float
    cpu: float
    peak: float
    workers: float = 0.0


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory in MiB: the agent's, and that of its git workers; ``share`` is its PSS."""

    agent: float
    share: float
    workers: float


def run(command: list[str], *, environment: dict[str, str], timeout: float = 900) -> Cost:
    """Run a command to its end and return its cost. Raises CalledProcessError."""
    with tempfile.TemporaryFile() as errors:
        return _run(command, environment=environment, timeout=timeout, errors=errors)


def _run(
    command: list[str], *, environment: dict[str, str], timeout: float, errors: IO[bytes]
) -> Cost:
    started = time.perf_counter()
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors
    )
    watchdog = time.monotonic() + timeout
    peak = workers = 0.0
    while process.poll() is None:
        seen = memory(process.pid)
        peak, workers = max(peak, seen.agent), max(workers, seen.workers)
        if time.monotonic() > watchdog:
            process.kill()
        time.sleep(0.02)
    wall = time.perf_counter() - started
    if process.returncode:
        errors.seek(0)
        raise subprocess.CalledProcessError(process.returncode, command, stderr=errors.read())
    return Cost(wall, 0.0, peak, workers)


def children_cpu() -> float:
    """CPU seconds of all children that have ended, so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(command: list[str], *, environment: dict[str, str]) -> Cost:
    """Run a command to its end and return its cost, CPU included."""
    before = children_cpu()
    cost = run(command, environment=environment)
    return Cost(cost.wall, children_cpu() - before, cost.peak, cost.workers)


def family(pid: int) -> Iterator[int]:
    """Return a process and all its descendants."""
    pending = [pid]
    while pending:
        found = pending.pop()
        yield found
        try:
            for task in Path(f"/proc/{found}/task").iterdir():
                pending += map(int, (task / "children").read_text().split())
        except OSError:
            continue


def resident(pid: int) -> float:
    """Resident memory of a process in MiB, 0 when it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def memory(pid: int, *, share: bool = False) -> Memory:
    """Return what a process and its descendants have; their PSS only if asked for, for it costs."""
    pids = list(family(pid))
    workers = {found for found in pids if _is_git_worker(found)}
    own = [found for found in pids if found not in workers]
    return Memory(
        agent=sum(map(resident, own)),
        share=sum(map(_proportional, own)) if share else 0.0,
        workers=sum(map(resident, workers)),
    )


def _is_git_worker(pid: int) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"git-worker" in command or b"agent.source.worker" in command


def _proportional(pid: int) -> float:
    try:
        found = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_text())
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0


def cpu(pid: int) -> float:
    """CPU seconds of a process and its descendants so far, those that ended included.

    The living to the nanosecond: a tick of /proc/PID/stat would be a tenth of what an agent at rest
    may use in ten seconds. Of those that ended and were waited for there are only ticks.
    """
    return sum(_clock(found) + _ended(found) for found in family(pid))


def _clock(pid: int) -> float:
    """CPU seconds of all threads of a process so far, 0 when it is gone.

    The clock's number is what clock_getcpuclockid(3) makes of a process id on Linux.
    """
    try:
        return time.clock_gettime(~pid << 3 | _SCHEDULED)
    except OSError:
        return 0.0


def _ended(pid: int) -> float:
    """CPU seconds of a process' children that it waited for (proc_pid_stat(5), fields 16, 17)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[13:15])) / _TICKS


def requests(plane: ControlPlane, since: int, *, of: str) -> Counter[str]:
    """Return the requests after a mark in the server's audit log, by verb, of one user agent.

    Dry-runs are counted apart.
    """
    return Counter(
        f"{request.verb} (dry-run)" if "dryRun" in request.query else request.verb
        for request in plane.audit(since, user_agent=of)
    )
