"""Snapshot -> manifests, parsing only the files that a commit touched."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from agent.manifest.collection import Collected, collect
from agent.manifest.load import LoadedFile, load_file
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
        missing = [f for f in snapshot.files if (f.path, f.blob_id) not in self._parsed]
        blobs = await self.source.read(missing) if missing else {}
        fresh = await asyncio.to_thread(_parse, missing, blobs)
        self.parses += len(missing)
        parsed = {**self._parsed, **fresh}
        self._parsed = {(f.path, f.blob_id): parsed[f.path, f.blob_id] for f in snapshot.files}
        return collect(self._parsed.values())


def _parse(files: list[TreeFile], blobs: dict[str, bytes]) -> dict[tuple[str, str], LoadedFile]:
    return {(f.path, f.blob_id): load_file(blobs[f.blob_id], file=f.path) for f in files}
