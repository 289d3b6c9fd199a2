"""Folders for temporary files whose process may be killed: locked while in use, swept by the next.

A lock ends with its process, whatever ends that; so an unlocked folder is nobody's.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

_STARTING_SECONDS: Final = 60.0  # between a folder and its lock there is a moment


def lock(folder: Path, *, shared: bool = False) -> int:
    """Return a descriptor that locks the folder until it is closed.

    Raises OSError when another process has locked it, unless both do so ``shared``.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def sweep(parent: Path, pattern: str, *, marker: str = "") -> None:
    """Remove this user's folders below ``parent`` that match, and that nobody holds a lock on.

    With ``marker`` only those in which there is a file of that name. What was changed within the
    last minute stays: it may be about to be locked. What cannot be removed is left.
    """
    for folder in parent.glob(pattern):
        with suppress(OSError):  # locked, or gone
            status = folder.lstat()
            if status.st_uid != os.geteuid() or time.time() - status.st_mtime <= _STARTING_SECONDS:
                continue
            if marker and not (folder / marker).is_file():
                continue
            held = lock(folder)
            shutil.rmtree(folder, ignore_errors=True)
            os.close(held)
