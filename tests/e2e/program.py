"""The binary under test, and the processes that it consists of while it runs."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.integration.cli.program import Done

PATIENCE = 60.0
"""Seconds until something that must happen is said not to."""

ENDS_WITHIN = 45.0
"""Seconds: longer than the agent takes to finish its writes."""


@dataclass(frozen=True, slots=True)
class Process:
    """A line of the process table."""

    pid: int
    parent: int
    state: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Binary:
    """A copy of the binary under a name that no other process has.

    ``scratch`` is the TMPDIR of all that is started here; anybody may enter ``folder``, where both
    are.
    """

    path: Path
    scratch: Path

    @property
    def folder(self) -> Path:
        return self.path.parent

    @property
    def environment(self) -> dict[str, str]:
        """All that the binary is given: nothing of the checkout or of this machine's Python."""
        return {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "TMPDIR": str(self.scratch)}

    def __call__(self, *arguments: str, wrapper: tuple[str, ...] = ()) -> Done:
        """Run a command to its end, below another one if given."""
        done = subprocess.run(
            [*wrapper, str(self.path), *arguments],
            stdin=subprocess.DEVNULL,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def running(self, *arguments: str, log: Path) -> Iterator[Running]:
        """Run a command beside the block, in a process group of its own; end it after the block.

        A block that has not ended it itself ends with SIGTERM and has to see exit code 0.
        """
        with log.open("ab") as output:
            process = subprocess.Popen(
                [str(self.path), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self.environment,
                start_new_session=True,
            )
        running = Running(self, process, log)
        try:
            yield running
            if process.poll() is None:
                assert running.end() == 0, log.read_text()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def processes(self) -> list[Process]:
        """Return the processes that run this copy, or are zombies of it."""
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdecimal():
                with suppress(OSError):  # it has just ended
                    name, _, rest = (folder / "stat").read_text().rpartition(")")
                    state, parent = rest.split()[:2]
                    if name.partition("(")[2] == self.path.name:
                        words = (folder / "cmdline").read_text().split("\0")
                        found.append(Process(int(folder.name), int(parent), state, tuple(words)))
        return found

    def unpacked(self) -> list[Path]:
        """Return the folders that were unpacked and not removed."""
        return sorted(self.scratch.glob("_MEI*"))


@dataclass(frozen=True, slots=True)
class Running:
    """The outer process, and by way of it the others."""

    binary: Binary
    process: subprocess.Popen[bytes]
    log: Path

    def end(self) -> int:
        """End it as kubelet and systemd do; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(ENDS_WITHIN)

    def kill_group(self) -> None:
        """Kill all of its processes at once, as the end of a container does."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def kill_outer(self) -> None:
        """Kill the process that was started, and no other."""
        self.process.kill()
        self.process.wait()

    def inner(self) -> list[Process]:
        """Return the process that is Python, once it is there."""
        return [p for p in self.binary.processes() if p.parent == self.process.pid]

    def workers(self) -> list[Process]:
        """Return the git workers."""
        return [p for p in self.binary.processes() if "git-worker" in p.arguments]
