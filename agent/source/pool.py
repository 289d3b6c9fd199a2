"""A small pool of git workers: started when needed, reused, reaped when idle, killed in time.

A worker is dear to start (a quarter of a second of CPU) and to keep (some 30 MB), and most calls
take milliseconds: so a call rather waits a moment for a busy one than starts another, and when
little is to do one is kept. Knows processes and lines, not repositories.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

import msgspec

from agent import scratch
from agent.errors import AgentError
from agent.frozen import is_frozen, loader_environment
from agent.source import protocol

_ANSWER_LIMIT: Final = 64 << 20  # bytes of one answer: some 800,000 refs
_KILL_SECONDS: Final = 0.5  # a killed process is gone in a millisecond, unless its disk hangs
_TIMER_SLACK_SECONDS: Final = 0.05  # a timer may fire a little early
_INHERITED: Final = (
    "PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "LD_LIBRARY_PATH",
)


_HOMEDIR: Final = "lightkeeper-git-worker-"


_CRASHES: Final = frozenset(
    {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL}
)


class WorkerDied(AgentError):
    """A worker ended, or talked nonsense, in the middle of a call."""

    retryable = True


class WorkerCrashed(WorkerDied):
    """A worker ended by a fault of its own in the middle of a call: libgit2 read what is no good.

    libgit2 believes much of what it maps from disk: a wrong offset in a pack's index can do it.
    """


def worker_command() -> list[str]:
    """Return the command that starts a worker, its own arguments not included."""
    if is_frozen():
        return [sys.executable, "git-worker"]
    # -P: whatever lies in the working directory must not be importable.
    return [sys.executable, "-P", "-m", "agent.source.worker"]


def worker_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a worker: what it needs, and nothing that may be a secret."""
    environment = {name: environ[name] for name in _INHERITED if name in environ}
    if is_frozen():
        environment |= loader_environment(environ)
    else:
        environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])
    return environment


def sweep_homedirs(folder: Path | None) -> None:
    """Remove the folders of workers whose agent was killed; a living one holds a lock on its own.

    ``folder`` is where they are; None is the system's folder for such things.
    """
    scratch.sweep(Path(folder or tempfile.gettempdir()), f"{_HOMEDIR}*")


class _Worker:
    """One process and its private home folder."""

    def __init__(self, process: asyncio.subprocess.Process, homedir: Path, lock: int) -> None:
        self.process = process
        self._lock = lock
        self.idle_since = 0.0
        self._homedir = homedir

    @classmethod
    async def start(cls, folder: Path | None) -> _Worker:
        """Start one; raise WorkerDied when the machine has no process or folder for it."""
        try:
            return await cls._start(folder)
        except OSError as error:
            raise WorkerDied(
                f"no git worker can be started: {error}; it needs a process, memory, and a folder "
                "for temporary files that can be written (TMPDIR)"
            ) from error

    @classmethod
    async def _start(cls, folder: Path | None) -> _Worker:
        with ExitStack() as undo:
            homedir = Path(tempfile.mkdtemp(prefix=_HOMEDIR, dir=folder))
            undo.callback(homedir.rmdir)  # empty as yet; rmtree would need a descriptor
            lock = scratch.lock(homedir)
            undo.callback(os.close, lock)
            process = await asyncio.create_subprocess_exec(
                *worker_command(),
                *("--homedir", str(homedir)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=worker_environment(os.environ),
                limit=_ANSWER_LIMIT,
                start_new_session=True,  # to be killed whole; Ctrl-C is for the agent
            )
            undo.pop_all()
        return cls(process, homedir, lock)

    async def ask(self, request: protocol.Request) -> protocol.Answer:
        """Send a request and wait for its answer; raise WorkerDied."""
        if self.process.stdin is None or self.process.stdout is None:
            raise WorkerDied("the git worker has no pipes")
        try:
            self.process.stdin.write(protocol.encode(request))
            await self.process.stdin.drain()
            line = await self.process.stdout.readline()
            if not line:
                raise _how_it_died(await self.process.wait())
            return protocol.decode_answer(line)
        except (OSError, ValueError, msgspec.DecodeError) as error:
            raise WorkerDied(f"the git worker cannot be talked to: {error}") from None

    def kill(self) -> None:
        """End the process now and remove its folder; the event loop reaps it."""
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                # Its whole session: a one-file binary is a loader and the real process.
                os.killpg(self.process.pid, signal.SIGKILL)
        if self.process.stdin is not None:
            self.process.stdin.close()
        shutil.rmtree(self._homedir, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    async def ended(self) -> None:
        """Return when the killed process is gone, or after half a second."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_KILL_SECONDS):
                await self.process.wait()


IDLE_SECONDS: Final = 150.0
"""The last idle worker's life: with polls each minute or two it stays, with rarer ones it costs
less to start one each time than to keep it."""


LOCAL: Final = 2
"""Local calls at the same time, beside those to servers: they are bound by CPU and disk."""


class WorkerPool:
    """At most ``size`` workers, and LOCAL beside them for what is local.

    The last idle one is ended after ``idle_seconds``, others after ``spare_seconds``. Where there
    are workers and all are busy, a call waits up to ``patience`` seconds for one of them before
    another is started. ``folder`` is where workers keep known_hosts while they run; None is the
    system's own.
    """

    def __init__(
        self,
        *,
        size: int = 8,
        idle_seconds: float = IDLE_SECONDS,
        spare_seconds: float = 5.0,
        patience: float = 0.5,
        folder: Path | None = None,
    ) -> None:
        self._size = size
        self._slots = asyncio.Semaphore(size)
        self._local_slots = asyncio.Semaphore(LOCAL)
        self._idle_seconds = idle_seconds
        self._spare_seconds = min(spare_seconds, idle_seconds)
        self._patience = patience
        self._folder = folder
        self._idle: list[_Worker] = []
        self._alive: set[_Worker] = set()
        self._busy: set[_Worker] = set()
        self._closed = False
        self._line = asyncio.Lock()  # one call at a time waits for a worker, or starts one
        self._changed = asyncio.Event()  # a worker became idle, or one ended

    async def warm(self) -> None:
        """Start a worker ahead of the first call, unless there is one; raise WorkerDied."""
        async with self._line:
            if not self._alive:
                self._park(await self._start())

    async def call(
        self, request: protocol.Request, *, seconds: float, local: bool = False
    ) -> protocol.Answer:
        """Ask a worker; whatever it does, return or raise within ``seconds`` and half a second.

        What is ``local`` talks to no server, so calls that hang at servers do not keep it waiting.
        Raises TimeoutError (the worker is then dead), WorkerDied, and WorkerCrashed when a new
        worker did.
        """
        async with asyncio.timeout(seconds), self._local_slots if local else self._slots:
            worker, is_new = await self._take()
            try:
                return await self._ask(worker, request)
            except WorkerDied:
                if is_new:
                    raise
            # While idle, perhaps: the request is harmless to repeat.
            return await self._ask(await self._start(), request)

    async def close(self) -> None:
        """Kill every worker, busy ones too, and wait for their end."""
        self._closed = True
        self._changed.set()
        for worker in tuple(self._alive):
            await self._end(worker)
        # A call that was starting a worker ends it itself.
        for slots, size in ((self._slots, self._size), (self._local_slots, LOCAL)):
            for _ in range(size):
                await slots.acquire()
            for _ in range(size):
                slots.release()

    async def _take(self) -> tuple[_Worker, bool]:
        """Return a worker, and whether it is a new one."""
        async with self._line:
            if (idle := await self._wait_for_idle()) is not None:
                return idle, False
            return await self._start(), True

    async def _ask(self, worker: _Worker, request: protocol.Request) -> protocol.Answer:
        done = False
        self._busy.add(worker)
        try:
            self._refuse_if_closed()
            answer = await worker.ask(request)
            done = True
        finally:  # also when cancelled: a worker in the middle of a call is of no more use
            self._busy.discard(worker)
            if done and not self._closed:
                self._park(worker)
            else:
                await self._end(worker)
            self._changed.set()
        return answer

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise WorkerDied("the pool of git workers is closed")

    async def _wait_for_idle(self) -> _Worker | None:
        """Return an idle worker; None when another must be started."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience):
                while True:
                    self._refuse_if_closed()
                    self._changed.clear()
                    self._reap()
                    if self._idle:
                        return self._idle.pop()
                    if not self._busy:
                        return None
                    await self._changed.wait()
        return None

    async def _start(self) -> _Worker:
        worker = await _Worker.start(self._folder)
        self._alive.add(worker)
        return worker

    def _park(self, worker: _Worker) -> None:
        worker.idle_since = time.monotonic()
        self._idle.append(worker)
        loop = asyncio.get_running_loop()
        for seconds in (self._spare_seconds, self._idle_seconds):
            loop.call_later(seconds + _TIMER_SLACK_SECONDS, self._reap)

    def _reap(self) -> None:
        now = time.monotonic()
        for worker in tuple(self._idle):
            is_last = worker is self._idle[-1]
            until = worker.idle_since + (self._idle_seconds if is_last else self._spare_seconds)
            if now >= until or _is_dead(worker):
                self._idle.remove(worker)
                worker.kill()  # the event loop collects its exit code
        self._alive = {worker for worker in self._alive if not _is_dead(worker)}

    async def _end(self, worker: _Worker) -> None:
        if worker in self._idle:
            self._idle.remove(worker)
        worker.kill()
        await worker.ended()
        self._alive.discard(worker)


def _is_dead(worker: _Worker) -> bool:
    return worker.process.returncode is not None


def _how_it_died(code: int) -> WorkerDied:
    """Return the error for an exit code, as the event loop gives it: negative for a signal."""
    if -code in _CRASHES:
        name = signal.Signals(-code).name
        return WorkerCrashed(f"the git worker crashed in the middle of a call ({name})")
    return WorkerDied(f"the git worker ended in the middle of a call (exit code {code})")
