"""OnDisk: a repository's mirror as the agent's own process sees it.

Duty: read and touch the records, and have git workers do the rest: libgit2 is theirs. Each method
is the worker's ``Mirror`` method of that name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from agent.source import records
from agent.source.contents import Contents, Wanted
from agent.source.errors import ContentsRefused, MirrorDamaged
from agent.source.pool import WorkerCrashed
from agent.source.protocol import Answer, Done, Failure, OnMirror
from agent.source.records import Found, Record, Records
from agent.source.signatures.signed import Candidate
from agent.source.snapshot import TreeFile

T = TypeVar("T")

Ask = Callable[[OnMirror], Awaitable[Answer]]
"""Has a git worker answer; raises TimeoutError when the disk hangs, and WorkerDied."""

_AT_ONCE: Final = 1 << 20
"""Bytes of files in one answer, but for larger files: both ends hold it whole, and twice."""


class OnDisk:
    """The mirror at ``path``, which need not exist.

    Who changes it holds its lock (``Fetcher.lock``). All raise OSError for what is the machine's
    fault, MirrorDamaged for what is the mirror's, a worker that crashes over it included, and
    WorkerDied.
    """

    def __init__(self, path: Path, ask: Ask) -> None:
        self.path = path
        self.records = Records(path)
        self._ask = ask

    def beside(self) -> OnDisk:
        """Return the mirror that is built to take this one's place."""
        return OnDisk(records.beside(self.path), self._ask)

    async def prepare(self) -> None:
        """Make the mirror if there is none, and sweep what a killed process left."""
        await self._call("prepare", None)

    async def discard(self) -> None:
        """Remove the mirror, records included."""
        await self._call("discard", None)

    async def replace(self) -> None:
        """Put the mirror built ``beside`` in this one's place; what is whole here moves there.

        Each revision is a call of its own: what crashes over one loses no other.
        """
        for file in await asyncio.to_thread(self.records.files):
            with suppress(MirrorDamaged):
                await self._call("carry_over", None, track=file.stem)
        await self._call("replace", None)

    async def holds(self, commit: str, tag: str) -> bool:
        """Whether some ref here is this commit, all of its objects and ``tag`` included."""
        return await self._call("holds", bool, commit=commit, tag=tag)

    async def forget_incoming(self, track: str) -> None:
        """Remove the incoming ref: fetching a ref that is gone writes nothing and says nothing."""
        await self._call("forget_incoming", None, track=track)

    async def incoming(self, track: str) -> Found | None:
        """Return what the last fetch brought; None when nothing, or nothing with files."""
        return await self._call("incoming", Found | None, track=track)

    async def candidate(self, record: Record) -> Candidate:
        """Return the objects whose signatures may be asked for."""
        return await self._call("candidate", Candidate, record=record)

    async def contents(self, record: Record, wanted: Wanted) -> Contents:
        """Return what a commit has for a track; raise ContentsRefused."""
        return await self._call("contents", Contents, record=record, wanted=wanted)

    async def blobs(self, files: Sequence[TreeFile]) -> dict[str, bytes]:
        """Return files' contents by blob id."""
        found: dict[str, bytes] = {}
        for ids in _portions(files):
            found |= await self._call("blobs", dict[str, bytes], ids=ids)
        return found

    async def remember(self, track: str, record: Record) -> None:
        """Make ``record`` the last good revision; in a power cut the one before stays."""
        await self._call("remember", None, track=track, record=record)

    async def forget(self, track: str) -> None:
        """Remove a track's record and refs; what only they needed goes with the next repack."""
        await self._call("forget", None, track=track)

    async def is_sound(self) -> bool:
        """Whether everything the refs here need can be read."""
        return await self._call("is_sound", bool)

    async def repack(self, *, more_than: int) -> None:
        """Put what is needed into one pack, if there are more than so many."""
        await self._call("repack", None, more_than=more_than)

    async def recall(self, track: str) -> Record | None:
        """Return the last good revision's record, None when there is none."""
        return await asyncio.to_thread(self.records.recall, track)

    async def answered(self, track: str, at: float) -> None:
        """Note when the track's source last answered, Unix seconds; nothing without a record."""
        await asyncio.to_thread(self.records.answered, track, at)

    async def last_answer(self, track: str) -> float | None:
        """Return when the track's source last answered; None without a record."""
        return await asyncio.to_thread(self.records.last_answer, track)

    async def _call(self, method: str, returns: type[T] | Any, **arguments: object) -> T:
        try:
            answer = await self._ask(OnMirror(str(self.path), method, arguments))
        except TimeoutError:
            raise OSError(f"{self.path}: the disk does not answer") from None
        except WorkerCrashed as crash:
            raise MirrorDamaged(f"{self.path}: {crash}") from crash
        if isinstance(answer, Done):
            return msgspec.json.decode(answer.result, type=returns)
        if not isinstance(answer, Failure):
            raise OSError(f"{self.path}: the git worker answered another question")
        if answer.kind == "mirror":
            raise MirrorDamaged(answer.reason)
        if answer.kind == "contents":
            raise ContentsRefused(answer.reason)
        raise OSError(answer.reason)


def _portions(files: Sequence[TreeFile]) -> list[tuple[str, ...]]:
    """Return the blobs' ids, in portions of bounded size."""
    sizes = {file.blob_id: file.size for file in files}
    portions: list[tuple[str, ...]] = []
    ids: list[str] = []
    left = _AT_ONCE
    for blob_id, size in sizes.items():
        if ids and size > left:
            portions.append(tuple(ids))
            ids, left = [], _AT_ONCE
        ids.append(blob_id)
        left -= size
    return [*portions, tuple(ids)] if ids else portions
