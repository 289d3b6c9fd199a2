"""The points of a pass at which a kill can leave the outside world in a different state.

Lives in the process that is killed. Two kinds of point, counted in the order they are reached:

- **An await that comes back.** The outside only changes by what the pass asks for, and it asks for
  nothing between two suspensions that it does not then wait for: one request, one call of the git
  worker, one piece of disk work in a thread. Death on the way back from an await is death with
  everything before it done and nothing after it begun. Death *while* it waits is one of its two
  neighbours: what was asked for has happened (this point) or not (the one before). So killing at
  every resumption covers every await, without depending on who wins a race. What tasks at the same
  time have in flight is left to chance, as in life.
- **A change of a file** below the state folder: before it is made and, for a file that is opened
  to be written, after that, while it is empty. Disk work runs in one await, in a thread, so that
  what lies between its steps would be missed otherwise.

A point is named by the chain of the agent's own frames and the how-many-eth time that it is
reached: ``reconcile:84 > _pass:154 > widen:87 ... #2``. A bare number would name another place in
every run, because answers arrive in any order. Awaits inside aiohttp and asyncio count as the
agent's await that waits for them, and not at all before the request is sent. What libgit2 does to
files has no point of its own: death there is the business of the tests of ``agent.source``.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Coroutine, Generator
from pathlib import Path
from threading import Lock
from types import AsyncGeneratorType, FrameType, TracebackType
from typing import Any, TypeVar

T = TypeVar("T")

_CHANGES = frozenset(
    {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate"}
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Points:
    """Counts the points of this process and, at the one called ``deadly``, ends it by SIGKILL."""

    def __init__(self, *, deadly: str = "") -> None:
        self.reached: list[str] = []
        self._deadly = deadly
        self._times: Counter[str] = Counter()
        self._lock = Lock()  # disk work reaches its points in threads

    def pass_by(self, place: str, *, last_act: Callable[[], object] = lambda: None) -> None:
        """Note that a point is reached; ``last_act`` is done first if it is the deadly one."""
        with self._lock:
            self._times[place] += 1
            name = f"{place} #{self._times[place]}"
            self.reached.append(name)
        if name == self._deadly:
            last_act()
            os.kill(os.getpid(), signal.SIGKILL)

    def in_loop(self) -> asyncio.AbstractEventLoop:
        """Return an event loop whose tasks pass by at each of their resumptions."""
        loop = asyncio.new_event_loop()

        def start(
            in_loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T], **options: Any
        ) -> asyncio.Task[T]:
            return asyncio.Task(_Watched(work, self), loop=in_loop, **options)

        loop.set_task_factory(start)  # type: ignore[arg-type]  # typeshed allows generators, too
        return loop

    def in_files(self, folder: Path) -> None:
        """Pass by before each change of a file below ``folder``, for the rest of this process."""
        below = f"{folder}{os.sep}"

        def audit(event: str, arguments: tuple[Any, ...]) -> None:
            opened = event == "open" and (arguments[2] or 0) & _WRITING
            if not opened and event not in _CHANGES:
                return
            paths = [os.fspath(a) for a in arguments if isinstance(a, str | os.PathLike)]
            if not any(path.startswith(below) for path in paths):
                return
            place = f"{_caller(sys._getframe())} {event}"
            self.pass_by(place)
            if opened:
                self.pass_by(f"{place}ed", last_act=lambda: Path(paths[0]).touch())

        sys.addaudithook(audit)


class _Watched(Coroutine[Any, Any, T]):
    """A task's coroutine that passes by a point whenever the loop takes it up again."""

    def __init__(self, work: Coroutine[Any, Any, T], points: Points) -> None:
        self._work = work
        self._points = points

    def send(self, value: Any) -> Any:
        self._pass_by()
        return self._work.send(value)

    def throw(
        self,
        kind: Any,
        value: BaseException | object = None,
        traceback: TracebackType | None = None,
    ) -> Any:
        self._pass_by()
        error: Any = kind if value is None else value
        return self._work.throw(error)

    def close(self) -> None:
        self._work.close()

    def __await__(self) -> Generator[Any, Any, T]:
        return (yield from self._work.__await__())

    def _pass_by(self) -> None:
        if place := _awaiting(self._work):
            self._points.pass_by(place)


def _awaiting(work: Any) -> str:
    """Return the agent's frames from a task down to what it waits for.

    "" when that is no await of the agent's, or aiohttp is still on its way to the server (proxy,
    netrc, connection): nothing has been asked since the point before.
    """
    frames: list[FrameType] = []
    while (inner := _awaited(work)) is not None:
        if (frame := _first(work, "cr_frame", "gi_frame", "ag_frame")) is not None:
            frames.append(frame)
        work = inner
    modules = {frame.f_globals.get("__name__") for frame in frames}
    if "aiohttp.client" in modules and "aiohttp.client_reqrep" not in modules:
        return ""
    return " > ".join(filter(None, map(_place, frames)))


def _awaited(work: Any) -> Any:
    """Return what a suspended coroutine or generator waits for, None when it has not begun."""
    if type(work).__name__ in ("async_generator_asend", "async_generator_athrow"):
        # The awaitable of ``anext`` does not say by name which generator it is of.
        return next((r for r in gc.get_referents(work) if isinstance(r, AsyncGeneratorType)), None)
    return _first(work, "cr_await", "gi_yieldfrom", "ag_await")


def _first(work: Any, *names: str) -> Any:
    """Return the first of these attributes that is there and not None."""
    return next((found for name in names if (found := getattr(work, name, None)) is not None), None)


def _caller(frame: FrameType | None) -> str:
    """Return the innermost of the agent's frames."""
    while frame is not None:
        if place := _place(frame):
            return place
        frame = frame.f_back
    return "somebody"


def _place(frame: FrameType) -> str:
    """Return ``module.function:line`` for a frame of the agent's, "" for another's."""
    package, _, module = str(frame.f_globals.get("__name__")).partition(".")
    return f"{module}.{frame.f_code.co_name}:{frame.f_lineno}" if package == "agent" else ""
