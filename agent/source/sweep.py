"""Takes away what tracks that are no more left in the state folder.

Several agents may share that folder, and one agent may run now with one file and now with another;
so a track's last good revision is only forgotten when this agent wrote it, no longer tracks it, and
nobody has asked its source for a week. A mirror goes with its last record; one that never had any,
of a wrong ``sub-path`` or URL perhaps, when nothing was fetched for a week. What cannot be read is
left to the next poll that needs it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

from agent import log
from agent.source.errors import MirrorDamaged
from agent.source.fetcher import Fetcher
from agent.source.pool import WorkerDied
from agent.source.records import INCOMING, Records

_log = logging.getLogger(__name__)

KEPT_SECONDS: Final = 7 * 24 * 3600.0
"""For how long a track that is no longer there may come back without a fetch."""

_BUSY_SECONDS: Final = 5.0
"""Longer than that another process is not waited for: a start needs no sweep."""


async def sweep(
    repositories: Path, *, fetcher: Fetcher, agent: str, tracked: Collection[Path]
) -> None:
    """Forget the records of ``agent`` below ``repositories`` that are not among ``tracked``.

    ``tracked`` are record files. Never raises for what is wrong with a mirror.
    """
    for path in await asyncio.to_thread(lambda: sorted(repositories.glob("[!.]*"))):
        try:
            async with fetcher.lock(path).hold(_BUSY_SECONDS):
                count = await _swept(path, fetcher, agent, tracked)
        except (OSError, MirrorDamaged, WorkerDied) as error:
            _log.warning("not swept", extra=log.fields(path=str(path), error=str(error)))
            continue
        if count:
            _log.info(
                "last good revisions of removed tracks forgotten",
                extra=log.fields(mirror=path.name, count=count),
            )


async def _swept(path: Path, fetcher: Fetcher, agent: str, tracked: Collection[Path]) -> int:
    """Sweep one mirror; return how many records are gone."""
    mirror = fetcher.mirror(path)
    files, doomed = await asyncio.to_thread(_doomed, mirror.records, agent, tracked)
    is_deserted = not files and await asyncio.to_thread(_is_deserted, path, tracked)
    if is_deserted or (doomed and doomed == files):
        await mirror.discard()
        _log.info("mirror taken away: no track has it", extra=log.fields(mirror=path.name))
    else:
        for file in doomed:
            await mirror.forget(file.stem)
    return len(doomed)


def _is_deserted(path: Path, tracked: Collection[Path]) -> bool:
    """Whether this is a mirror that no track here has, and nothing was fetched into lately.

    Another agent's track may have it: it fetches once more, and has lost nothing.
    """
    if any(file.is_relative_to(path) for file in tracked):
        return False
    fetched = path / INCOMING
    if not fetched.is_dir():  # not a mirror, whatever it is
        return False
    changed = max(place.stat().st_mtime for place in (path, fetched))
    return time.time() - changed >= KEPT_SECONDS


def _doomed(
    records: Records, agent: str, tracked: Collection[Path]
) -> tuple[list[Path], list[Path]]:
    """Return all record files, and those that can go."""
    files = records.files()
    return files, [file for file in files if _is_done_with(records, file, agent, tracked)]


def _is_done_with(records: Records, file: Path, agent: str, tracked: Collection[Path]) -> bool:
    if file in tracked or time.time() - file.stat().st_mtime < KEPT_SECONDS:
        return False
    with suppress(MirrorDamaged):
        record = records.recall(file.stem)
        return record is not None and record.agent == agent
    return False
