"""The real agent, as a process of its own, with its log in a file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.demo.failure import DemoError

DEADLINE = 10.0
"""Seconds the agent has to end after SIGTERM."""

ONCE_DEADLINE = 60.0
"""Seconds that ``run --once`` has."""


class AgentProcess:
    """``python -m agent run`` with one configuration file."""

    def __init__(self, config: Path, log: Path) -> None:
        self._command = [sys.executable, "-m", "agent", "--log-format=text", "run", f"-c{config}"]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, in a session of its own: a Ctrl-C reaches the demo, which stops it in order."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(),
                start_new_session=True,
            )

    def check(self) -> None:
        """Raise :class:`DemoError` if it has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            raise DemoError(f"the agent has ended with exit code {self._process.returncode}")

    def stop(self) -> int:
        """Send SIGTERM and return the exit code; kill it, and raise, if it does not end in time.

        0 when it does not run.
        """
        process, self._process = self._process, None
        if process is None:
            return 0
        process.terminate()
        try:
            return process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            raise DemoError(f"the agent did not end within {DEADLINE:g} s of SIGTERM") from None
        finally:
            process.kill()  # harmless once it has ended
            process.wait()

    def once(self) -> int:
        """Make one pass, in another process, and return its exit code."""
        with self._log.open("ab") as log:
            done = subprocess.run(
                [*self._command, "--once"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(),
                timeout=ONCE_DEADLINE,
                check=False,
            )
        return done.returncode

    def last_words(self, lines: int = 20) -> list[str]:
        """The end of its log."""
        if not self._log.exists():
            return []
        return self._log.read_text(errors="replace").splitlines()[-lines:]


def _environment() -> dict[str, str]:
    """The environment without what would change the agent's configuration."""
    return {k: v for k, v in os.environ.items() if not k.startswith("LIGHTKEEPER_")}
