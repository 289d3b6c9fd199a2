"""Snapshot -> manifests, parsing only the files that a commit touched."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from agent.manifest.collection import Collected, collect
from agent.manifest.load import LoadedFile, load_file, refused
from agent.source.git import GitSource
from agent.source.snapshot import Snapshot, TreeFile


@dataclass(slots=True)
class Loader:
    """Parses the files of one track; a parsed file is remembered by path and blob id."""

    source: GitSource
    _parsed: dict[tuple[str, str], LoadedFile]
    parses: int = 0

    def __init__(self, source: GitSource) -> None:
        self.source = source
        self._parsed = {}
        self.parses = 0

    async def load(self, snapshot: Snapshot) -> Collected:
        """Return everything the snapshot's files hold; raises SourceError when one is unreadable.

        Files that are gone from the snapshot are forgotten.
        """
        missing = [f for f in snapshot.files if _key(f) not in self._parsed]
        fresh = {_key(f): no for f in missing if (no := refused(f.size, file=f.path)) is not None}
        readable = [f for f in missing if _key(f) not in fresh]
        blobs = await self.source.read(readable) if readable else {}
        fresh |= await asyncio.to_thread(_parse, readable, blobs)
        self.parses += len(readable)
        parsed = {**self._parsed, **fresh}
        self._parsed = {_key(f): parsed[_key(f)] for f in snapshot.files}
        return collect(self._parsed.values())


def _key(file: TreeFile) -> tuple[str, str]:
    return file.path, file.blob_id


def _parse(files: list[TreeFile], blobs: dict[str, bytes]) -> dict[tuple[str, str], LoadedFile]:
    return {_key(f): load_file(blobs[f.blob_id], file=f.path) for f in files}
