"""Records: which revision of a repository was good last, one file a track beside git's objects.

Synchronous; needs no libgit2. A record names what the mirror has; that the mirror has it is up to
whoever writes one. A record's modification time is when the track's source last answered.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from agent.source.errors import MirrorDamaged

FOLDER: Final = "lightkeeper"
"""The records' folder in a mirror."""

REFS: Final = "refs/lightkeeper/"
"""What the names of a mirror's refs begin with."""

INCOMING: Final = f"{REFS}incoming/"
"""What the names of those begin with that fetches write to."""


class Record(msgspec.Struct, frozen=True):
    """The last good revision of a track: commit id and the remote ref's full name.

    ``tag`` is the id of the annotated tag that the ref is, "" when it is none. ``agent`` is the
    name of the agent whose track it is, which alone may forget it.
    """

    commit: str
    reference: str
    tag: str = ""
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What a ref leads to: a commit, by way of annotated tags, outermost first."""

    commit: str
    tags: tuple[str, ...] = ()

    @property
    def tag(self) -> str:
        """The id of the annotated tag that the ref is, "" when it is none."""
        return self.tags[0] if self.tags else ""


class Records:
    """The records in the mirror at ``path``, which need not exist."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def file(self, track: str) -> Path:
        """Return where a track's record is, or would be."""
        return self._path / FOLDER / f"{track}.json"

    def files(self) -> list[Path]:
        """Return the files that name the last good revisions, one a track."""
        return sorted((self._path / FOLDER).glob("[!.]*.json"))

    def recall(self, track: str) -> Record | None:
        """Return the last good revision's record, None when there is none."""
        self.recover()
        try:
            return msgspec.json.decode(self.file(track).read_bytes(), type=Record)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise MirrorDamaged(f"{self.file(track)}: {error}") from error

    def answered(self, track: str, at: float) -> None:
        """Note when the track's source last answered, Unix seconds; nothing without a record.

        No write of its own is forced to the disk for it: a power cut may cost a few polls' news.
        """
        with suppress(FileNotFoundError):
            os.utime(self.file(track), (at, at))

    def last_answer(self, track: str) -> float | None:
        """Return when the track's source last answered; None without a record."""
        try:
            return self.file(track).stat().st_mtime
        except FileNotFoundError:
            return None

    def recover(self) -> None:
        """Put a rebuilt mirror in its place, where a process ended before it could."""
        if not self._path.exists():
            with suppress(FileNotFoundError):
                os.rename(whole(self._path), self._path)


def incoming_ref(track: str) -> str:
    """Return the ref a fetch for ``track`` writes to."""
    return f"{INCOMING}{track}"


def whole(path: Path) -> Path:
    """Return where a rebuilt mirror is for the moment in which the old one moves out of its way."""
    return path.with_name(f".{path.name}.whole")


def beside(path: Path) -> Path:
    """Return where the mirror is built anew that is to take the place of the one at ``path``."""
    return path.with_name(f".{path.name}.fresh")
