"""Child processes that cannot outlive this one.

``PR_SET_PDEATHSIG`` (prctl(2)), set by util-linux's ``setpriv``, makes the kernel kill a child when
its parent is gone, also after ``kill -9`` of a test run, when no ``atexit`` runs. The kernel means
the parent *thread*, though: a server started from a worker thread would die with that thread. So
all children are started by one thread that lives as long as the interpreter.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="controlplane-spawner")


class ServerError(Exception):
    """A server did not start, or did not do what was asked; the message holds its log's tail."""


class ServerProcess:
    """One server, running, with its output in a log file.

    It has its own session: a Ctrl-C in the terminal reaches the tests, which stop it in order.
    """

    def __init__(self, name: str, command: list[str], log: Path) -> None:
        self.name = name
        self._log = log
        self._process = _spawner.submit(_spawn, command, log).result()

    @property
    def pid(self) -> int:
        """The server's process id, for tests that signal or measure it."""
        return self._process.pid

    def kill(self) -> None:
        """End the server with SIGKILL, as a crash would; return when it is gone."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def check(self) -> None:
        """Raise :class:`ServerError` if the server has ended by itself."""
        code = self._process.poll()
        if code is not None:
            raise self.error(f"ended with exit code {code}")

    def error(self, what: str) -> ServerError:
        """``what`` happened to this server, as an exception with the end of its log."""
        tail = self._log.read_text(errors="replace").splitlines()[-25:]
        return ServerError("\n".join([f"{self.name} {what}; its log ends so:", *tail]))


class Deadline:
    """A time by which something must have happened, in seconds from now."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def wait_a_moment(self) -> bool:
        """Pause between two looks at another process; false once the time is up."""
        time.sleep(0.02)
        return time.monotonic() < self._end


def run(*command: str | Path) -> str:
    """Run a short command to its end and return its stdout.

    Raises :class:`ServerError` with the command's own words when it is missing or fails.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError as error:
        raise ServerError(f"{command[0]} is not installed; `make system` installs it") from error
    if done.returncode:
        raise ServerError(f"{' '.join(map(str, command))} failed: {done.stderr.strip()}")
    return done.stdout


def _spawn(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise ServerError("setpriv (package util-linux) is missing: nothing would stop the servers")
    with log.open("ab") as output:
        return subprocess.Popen(
            [setpriv, "--pdeathsig", "KILL", "--", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
