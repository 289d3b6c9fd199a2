"""Takes away what tracks that are no more left in the state folder.

Several agents may share that folder, and one agent may run now with one file and now with another;
so a track's last good revision is only forgotten when this agent wrote it, no longer tracks it, and
nobody has asked its source for a week. A mirror goes with its last record. What cannot be read is
left to the next poll that needs it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

from agent import log
from agent.source.errors import MirrorDamaged
from agent.source.mirror import Mirror

_log = logging.getLogger(__name__)

KEPT_SECONDS: Final = 7 * 24 * 3600.0
"""For how long a track that is no longer there may come back without a fetch."""


def sweep(repositories: Path, *, agent: str, tracked: Collection[Path]) -> None:
    """Forget the records of ``agent`` below ``repositories`` that are not among ``tracked``.

    ``tracked`` are record files. Never raises for what is wrong with a mirror.
    """
    for path in sorted(repositories.glob("[!.]*")):
        mirror = Mirror(path)
        try:
            records = mirror.record_files()
            doomed = [file for file in records if _is_done_with(mirror, file, agent, tracked)]
            if doomed and doomed == records:
                mirror.discard()
            for file in doomed if doomed != records else ():
                mirror.forget(file.stem)
        except (OSError, MirrorDamaged) as error:
            _log.warning("not swept", extra=log.fields(path=str(path), error=str(error)))
            continue
        if doomed:
            _log.info(
                "last good revisions of removed tracks forgotten",
                extra=log.fields(mirror=path.name, count=len(doomed)),
            )


def _is_done_with(mirror: Mirror, file: Path, agent: str, tracked: Collection[Path]) -> bool:
    if file in tracked or time.time() - file.stat().st_mtime < KEPT_SECONDS:
        return False
    with suppress(MirrorDamaged):
        record = mirror.recall(file.stem)
        return record is not None and record.agent == agent
    return False
