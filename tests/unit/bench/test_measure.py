"""What the bench reads of a process: its CPU exactly, its descendants', and none of a dead one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench import measure

_SPIN = "import time\nwhile time.process_time() < 0.2: pass\n"
_WAIT = "print(time.process_time(), flush=True); input()"
_PARENT = (
    "import subprocess, sys, time\n"
    f"subprocess.run([sys.executable, '-c', {_SPIN!r}], check=True)\n"
    "print('reaped', flush=True); input()"
)


@contextmanager
def _child(code: str) -> Iterator[tuple[int, str]]:
    """Run Python code that says one line and waits for one; give its pid and what it said."""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        if process.stdout is None or process.stdin is None:
            raise RuntimeError("the child has no pipes")
        yield process.pid, process.stdout.readline()
        process.stdin.write("\n")


def test_the_clock_of_a_process_is_the_one_it_reads_itself() -> None:
    before = time.process_time()
    seen = measure._clock(os.getpid())
    assert before <= seen <= time.process_time()


def test_less_than_a_tick_of_cpu_is_seen() -> None:
    before = measure.cpu(os.getpid())
    for _ in range(1000):
        pass
    assert measure.cpu(os.getpid()) - before > 0


def test_the_cpu_of_a_living_child_counts() -> None:
    before = measure.cpu(os.getpid())
    with _child(_SPIN + _WAIT) as (pid, said):
        assert measure._clock(pid) >= float(said) >= 0.2
        assert measure.cpu(os.getpid()) - before >= float(said)


def test_the_cpu_of_a_child_that_ended_counts_with_its_parent() -> None:
    with _child(_PARENT) as (pid, _):
        assert measure._clock(pid) < measure.cpu(pid)
        assert measure.cpu(pid) >= 0.19  # to the tick


def test_a_process_that_is_gone_costs_nothing() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert measure.cpu(process.pid) == 0
    assert measure.resident(process.pid) == 0
