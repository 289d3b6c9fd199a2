"""The agent as a process of its own, and what it holds of the machine."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from tests.bench import measure
from tests.controlplane.ports import free_port
from tests.eventually import eventually

_TASKS = re.compile(r"^lightkeeper_event_loop_tasks (\S+)$", re.MULTILINE)
_SOCKET = re.compile(r"socket:\[(\d+)\]")
_OTHER = re.compile(r":\[\d+\]$|^/.*/")


@dataclass(frozen=True, slots=True)
class Held:
    """What a process holds: numbers that must not grow.

    ``files`` are descriptors by what they are, sockets aside; ``connections`` are sockets that
    lead to somebody, which come and go. ``resident`` is in MiB.
    """

    tasks: int
    threads: int
    children: int
    listening: int
    files: Counter[str]
    connections: int
    resident: float


class Agent:
    """A running ``lightkeeper run``, with the configuration that ``lines`` complete."""

    def __init__(self, folder: Path, lines: list[str]) -> None:
        self.metrics, self.health = (f"127.0.0.1:{free_port()}" for _ in range(2))
        self.log = folder / "agent.log"
        self._config = folder / "lightkeeper.toml"
        self._process: asyncio.subprocess.Process | None = None
        bind = [
            f'metrics-bind-address = "{self.metrics}"',
            f'health-bind-address = "{self.health}"',
            f'state-dir = "{folder / "state"}"',
        ]
        self._config.write_text("\n".join(["[agent]", *bind, *lines]) + "\n")

    @property
    def pid(self) -> int:
        """Its process id; RuntimeError when it does not run."""
        if self._process is None:
            raise RuntimeError("the agent does not run")
        return self._process.pid

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run it; begin when it is ready, and end it with SIGTERM."""
        command = [sys.executable, "-m", "agent", "run", "-c", str(self._config)]
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
        try:
            await eventually(self._is_ready, within=90, what="the agent is ready")
            yield
        finally:
            self._process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(self._process.wait(), 60)

    async def held(self) -> Held:
        """Look at the process from outside, and ask it for its tasks."""
        return await asyncio.to_thread(self._held)

    def complaints(self) -> list[dict[str, Any]]:
        """What it has logged that is more than information."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line for line in lines if line["level"] != "info"]

    async def _is_ready(self) -> bool:
        with suppress(OSError):
            await asyncio.to_thread(_read, f"http://{self.health}/readyz")
            return True
        return False

    def _held(self) -> Held:
        found = _TASKS.search(_read(f"http://{self.metrics}/metrics"))
        if found is None:
            raise RuntimeError("the metrics do not tell the tasks")
        process = Path(f"/proc/{self.pid}")
        listening = _listening(process)
        files: Counter[str] = Counter()
        sockets = []
        for descriptor in (process / "fd").iterdir():
            with suppress(OSError):  # the one of a moment ago
                target = os.readlink(descriptor)
                if socket := _SOCKET.fullmatch(target):
                    sockets.append(socket[1])
                else:
                    files[_OTHER.sub("", target)] += 1
        return Held(
            tasks=int(float(found[1])),
            threads=sum(1 for _ in (process / "task").iterdir()),
            children=sum(1 for _ in measure.family(self.pid)) - 1,
            listening=sum(inode in listening for inode in sockets),
            files=files,
            connections=sum(inode not in listening for inode in sockets),
            resident=measure.resident(self.pid),
        )


def _listening(process: Path) -> set[str]:
    """Return the inodes of the TCP sockets that listen (state 0A in proc_net(5))."""
    lines = (process / "net" / "tcp").read_text().splitlines()[1:]
    return {fields[9] for fields in map(str.split, lines) if fields[3] == "0A"}


def _read(url: str) -> str:
    with urlopen(url, timeout=10) as response:
        return str(response.read().decode())
