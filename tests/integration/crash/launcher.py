"""Starts passes of the agent, each in a process of its own, without the second a start takes.

A parent process imports the agent once and then only forks: before it has an event loop, a thread
or a connection, so that a child differs from a fresh start in nothing but the time it takes.

The parent reads a ``Launch`` a line from standard input and writes a ``Landing`` a line.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from agent import app
from agent.config.load import load
from tests.integration.crash.points import Points

_ROOT = Path(__file__).parents[3]

_DEADLINE = 60.0
"""Seconds for a pass. One that takes longer hangs; where, it says on standard error."""


class Launch(msgspec.Struct, frozen=True):
    """One pass to be made: the configuration's file, and the point to be killed at, if any."""

    config: str
    deadly: str = ""


class Landing(msgspec.Struct, frozen=True):
    """How a pass ended: killed, or ready or not and why, with the points it came by."""

    killed: bool
    ready: bool = False
    complaints: str = ""
    points: tuple[str, ...] = ()


class Launcher:
    """The parent process, seen from the tests. Not for two threads at once."""

    def __init__(self, scratch: Path) -> None:
        """``scratch`` is where the agents' temporary files go."""
        self._scratch = scratch
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**_without_coverage(os.environ), "TMPDIR": str(self._scratch)},
            cwd=_ROOT,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.communicate()

    def launch(self, config: Path, *, deadly: str = "") -> Landing:
        """Make one pass, and return when its process is gone."""
        if self._process is None or self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("not started")
        self._process.stdin.write(msgspec.json.encode(Launch(str(config), deadly)) + b"\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError("the launcher ended; its standard error says why")
        return msgspec.json.decode(answer, type=Landing)


def _without_coverage(environment: Mapping[str, str]) -> dict[str, str]:
    """Measuring slows every pass down, and a killed one saves nothing."""
    return {name: v for name, v in environment.items() if not name.startswith("COVERAGE_")}


def _serve() -> None:
    """Be the parent process, until standard input ends."""
    for line in sys.stdin.buffer:
        landing = _fork(msgspec.json.decode(line, type=Launch))
        sys.stdout.buffer.write(msgspec.json.encode(landing) + b"\n")
        sys.stdout.buffer.flush()


def _fork(launch: Launch) -> Landing:
    """Make the pass in a child, which writes how it ended into a file unless it is killed."""
    with tempfile.TemporaryFile() as report:
        child = os.fork()
        if not child:
            code = 70
            faulthandler.dump_traceback_later(_DEADLINE, exit=True)
            try:
                report.write(msgspec.json.encode(_make_pass(launch)))
                report.flush()
                code = 0
            finally:
                if code:
                    traceback.print_exc()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            return Landing(killed=True)
        if status:
            raise RuntimeError(f"a pass ended with {os.waitstatus_to_exitcode(status)}: {launch}")
        report.seek(0)
        return msgspec.json.decode(report.read(), type=Landing)


def _make_pass(launch: Launch) -> Landing:
    config = load(Path(launch.config), environment={}, flags={})
    points = Points(deadly=launch.deadly)
    points.in_files(config.agent.state_dir)
    with asyncio.Runner(loop_factory=points.in_loop) as runner:
        [status] = runner.run(app.run_once(config, {}))
    complaints = "; ".join(f"{place}: {text}" for place, text in status.problems.items())
    return Landing(
        killed=False, ready=status.ready, complaints=complaints, points=tuple(points.reached)
    )


if __name__ == "__main__":
    _serve()
