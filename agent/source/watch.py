"""Notices at once when what lies at a plain path changes: inotify, no thread and no poll.

Says only *that* something changed; the next poll finds out what. It may miss a change (network
file systems, limits of the system), so polls go on beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from asyncinotify import Event, Inotify, Mask

from agent import log
from agent.aio.detached import in_own_thread
from agent.manifest.ignore import IGNORE_FILE
from agent.manifest.paths import EXTENSIONS
from agent.source.walk import KUBELET_LINK, folders

_log = logging.getLogger(__name__)

_QUIET: Final = 0.1  # seconds: a checkout or a save is many events, and one change
_LONGEST: Final = 1.0  # seconds until a change is told although there are more
_RECHECK: Final = 10.0  # seconds between looks at what no event tells: something was mounted
_RETRY: Final = 60.0  # seconds until a watch that the system refused is tried again

_OF_FILES: Final = (
    Mask.CLOSE_WRITE | Mask.CREATE | Mask.DELETE | Mask.MOVED_FROM | Mask.MOVED_TO | Mask.ATTRIB
)
_OF_ITSELF: Final = Mask.DELETE_SELF | Mask.MOVE_SELF | Mask.UNMOUNT | Mask.IGNORED
_LIMITS: Final = (errno.ENOSPC, errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class PathWatch:
    """Watches a file, or a folder and those below it that may hold manifests.

    The path, as well as everything above it, may come and go.
    """

    def __init__(self, path: Path, *, sub_path: str = "") -> None:
        self._path = path
        self._sub_path = sub_path
        self._refused = ""

    async def changes(self) -> AsyncGenerator[None, None]:
        """Yield for ever: once after each change, or several that follow each other closely.

        The first time is at once: what was before it is not known.
        """
        while True:
            try:
                async with contextlib.AsyncExitStack() as stack:
                    inotify = stack.enter_context(Inotify())
                    planted = await in_own_thread(
                        (PathWatch, self._path), partial(self._plant, inotify)
                    )
                    self._refused = ""
                    yield
                    events = await stack.enter_async_context(_reading(inotify))
                    while not await self._burst(events, planted):
                        yield
            except OSError as error:
                self._tell(error)
                await asyncio.sleep(_RETRY)

    def _plant(self, inotify: Inotify) -> _Planted:
        """Watch the folders, and the way to them; raise OSError when the system will not."""
        way = self._path.parent
        while not way.is_dir():
            way = way.parent
        for above in way.parents:
            with contextlib.suppress(PermissionError):
                inotify.add_watch(above, _OF_ITSELF | Mask.ONLYDIR)
        below = inotify.add_watch(way, _OF_FILES | _OF_ITSELF | Mask.ONLYDIR)
        name = next(iter(self._path.relative_to(way).parts), "")
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            for _, place in folders(str(self._path), self._sub_path):
                inotify.add_watch(place, _OF_FILES | _OF_ITSELF | Mask.ONLYDIR)
                if os.path.basename(place).startswith(".."):  # kubelet's: the link is beside it
                    inotify.add_watch(os.path.dirname(place), _OF_FILES | _OF_ITSELF)
        return _Planted(way=below.wd, name=name, identity=_identity(self._path))

    async def _burst(self, events: _Reader, planted: _Planted) -> bool:
        """Wait for a change and the quiet after it; return whether other folders count now."""
        other_folders = heard = False
        loop = asyncio.get_running_loop()
        latest = 0.0
        while True:
            event = await events.next(_RECHECK if not heard else min(_QUIET, latest - loop.time()))
            if event is None and heard:
                return other_folders
            if event is None:
                identity = await in_own_thread(
                    (PathWatch, self._path), partial(_identity, self._path)
                )
                if identity != planted.identity:
                    return True
            elif planted.concerns(event):
                if not heard:
                    heard, latest = True, loop.time() + _LONGEST
                other_folders |= planted.moves_folders(event)

    def _tell(self, error: OSError) -> None:
        """Say once why there is no watch."""
        reason = os.strerror(error.errno) if error.errno else str(error)
        if reason == self._refused:
            return
        self._refused = reason
        hint = "its changes are seen at the polls only"
        if error.errno in _LIMITS:
            hint += "; raise fs.inotify.max_user_watches and max_user_instances"
        _log.warning(
            "the path cannot be watched",
            extra=log.fields(path=str(self._path), error=reason, hint=hint),
        )


@dataclass(frozen=True, slots=True)
class _Planted:
    """What is watched: ``way`` is the watch of the folder in which ``name`` leads to the path."""

    way: int
    name: str
    identity: tuple[int, int] | None

    def concerns(self, event: Event) -> bool:
        """Whether an event may be about a file that counts."""
        name = str(event.name or "")
        if event.mask & (_OF_ITSELF | Mask.Q_OVERFLOW):
            return True
        if self._is_on_the_way(event):
            return name == self.name
        is_folder = bool(event.mask & Mask.ISDIR)
        return is_folder or name.endswith(EXTENSIONS) or name in (IGNORE_FILE, KUBELET_LINK)

    def moves_folders(self, event: Event) -> bool:
        """Whether an event may have brought folders that are not watched, or taken some away."""
        return bool(
            event.mask & (_OF_ITSELF | Mask.Q_OVERFLOW)
            or self._is_on_the_way(event)
            or str(event.name or "") == KUBELET_LINK
            or event.mask & Mask.ISDIR
        )

    def _is_on_the_way(self, event: Event) -> bool:
        return event.watch is not None and event.watch.wd == self.way


class _Reader:
    """Reads events with a time limit at which none is lost: the reading itself goes on."""

    def __init__(self, inotify: Inotify) -> None:
        self._inotify = inotify
        self._pending: asyncio.Task[Event] | None = None

    async def next(self, seconds: float) -> Event | None:
        """Return the next event, None after so many seconds without one."""
        if self._pending is None:
            self._pending = asyncio.create_task(self._inotify.get())
        done, _ = await asyncio.wait([self._pending], timeout=max(0.0, seconds))
        if not done:
            return None
        pending, self._pending = self._pending, None
        return pending.result()

    async def close(self) -> None:
        """End the reading; the descriptor may be closed afterwards, and not before."""
        if self._pending is not None:
            self._pending.cancel()
            await asyncio.wait([self._pending])


@asynccontextmanager
async def _reading(inotify: Inotify) -> AsyncIterator[_Reader]:
    reader = _Reader(inotify)
    try:
        yield reader
    finally:
        await reader.close()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
