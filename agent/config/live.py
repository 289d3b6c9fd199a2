"""The configuration in force, kept up to date with its file.

Looks at the file every two seconds: an editor's rename, a ConfigMap's symlink swap and a write in
place are all a file that differs, and a look costs less than knowing them apart. What it means that
something changed is the listener's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

from agent import log
from agent.config.model import Config
from agent.errors import AgentError

logger = logging.getLogger(__name__)

LOOK = 2.0
"""Seconds between two looks at the file."""

SETTLE = 0.3
"""Seconds for which a changed file has to stay as it is before it is read: half a file is often a
valid one with fewer tracks."""

_Print = tuple[int, int, int, int] | None


class LiveConfig:
    """A configuration that ``current`` is, until its file says otherwise.

    ``load`` reads the file and raises AgentError; ``on_change`` hears of each valid new
    configuration that differs from the one before. ``refused`` says why the file as it is now is
    not in force, "" when it is.
    """

    def __init__(self, path: Path, load: Callable[[], Config], *, current: Config) -> None:
        self.current = current
        self.refused = ""
        self.on_change: Callable[[Config, Config], None] = lambda before, now: None
        self._path = path
        self._load = load
        self._bell = asyncio.Event()
        self._seen = fingerprint(path)

    def hang_up(self) -> None:
        """Read the file now, as SIGHUP asks."""
        self._bell.set()

    def refuse(self, why: str, *, back_to: Config) -> None:
        """Say loudly that the file as it is now cannot be in force, and what is instead."""
        self.refused = why
        self.current = back_to
        logger.error(
            "configuration refused, the one before stays in force",
            extra=log.fields(file=str(self._path), error=why),
        )

    async def watch(self) -> None:
        """Keep ``current`` up to date, for ever."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await self._bell.wait()
            asked = self._bell.is_set()
            self._bell.clear()
            if await self._changed() or asked:
                await self._reload(asked=asked)

    async def _changed(self) -> bool:
        """Tell whether the file differs from when it was last looked at, once it is at rest."""
        before = self._seen
        self._seen = await asyncio.to_thread(fingerprint, self._path)
        if self._seen == before:
            return False
        while True:
            await asyncio.sleep(SETTLE)
            seen, self._seen = self._seen, await asyncio.to_thread(fingerprint, self._path)
            if seen == self._seen:
                return True

    async def _reload(self, *, asked: bool) -> None:
        try:
            loaded = await asyncio.to_thread(self._load)
        except AgentError as error:
            self.refuse(str(error), back_to=self.current)
            return
        self.refused = ""
        before, self.current = self.current, loaded
        if loaded != before:
            logger.info("configuration changed", extra=log.fields(file=str(self._path)))
            self.on_change(before, loaded)
        elif asked:
            logger.info("configuration as before", extra=log.fields(file=str(self._path)))


def fingerprint(path: Path) -> _Print:
    """Return what tells one state of a file from another, symlinks followed; None without one."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
