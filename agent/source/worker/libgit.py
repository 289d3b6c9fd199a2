"""The one place that imports pygit2 and sets libgit2's process-wide options.

Others write ``from agent.source.worker.libgit import pygit2``: the import itself needs a readable
bundle of certificate authorities, and the options must be set before the first use.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from agent.authorities import ca_file

__all__ = ["pygit2", "set_homedir", "set_network_timeout", "without_fsync"]

_OBJECT_CACHE_BYTES: Final = 16 << 20  # libgit2's default of 256 MiB is for a work tree's owner


@contextmanager
def _certificate_authorities() -> Iterator[None]:
    """Let the import find the CA file (without one it raises), and leave no trace of it."""
    before = os.environ.get("SSL_CERT_FILE")
    os.environ["SSL_CERT_FILE"] = ca_file()
    try:
        yield
    finally:
        if before is None:
            del os.environ["SSL_CERT_FILE"]
        else:
            os.environ["SSL_CERT_FILE"] = before


with _certificate_authorities():
    import pygit2


def set_homedir(folder: Path) -> None:
    """Say where libgit2 looks for ``.ssh/known_hosts``."""
    pygit2.settings.homedir = str(folder)


def set_network_timeout(seconds: float) -> None:
    """Bound a connect and each single read; libgit2 waits for ever by default."""
    milliseconds = max(1, int(seconds * 1000))
    pygit2.settings.server_connect_timeout = milliseconds
    pygit2.settings.server_timeout = milliseconds


@contextmanager
def without_fsync() -> Iterator[None]:
    """Do not wait for the disk, in this process; for files nobody will miss after a power cut."""
    pygit2.settings.enable_fsync_gitdir(False)
    try:
        yield
    finally:
        pygit2.settings.enable_fsync_gitdir(True)


def _configure() -> None:
    # A volume's files often belong to another uid than the container's.
    pygit2.settings.owner_validation = False
    pygit2.settings.cache_max_size(_OBJECT_CACHE_BYTES)
    # The last good revision must survive a power cut.
    pygit2.settings.enable_fsync_gitdir(True)
    levels = pygit2.enums.ConfigLevel
    for level in (levels.PROGRAMDATA, levels.SYSTEM, levels.XDG, levels.GLOBAL):
        # Somebody's ~/.gitconfig must not redirect a URL or switch verification off.
        pygit2.settings.search_path[level] = ""


_configure()
