"""Polls a source once, in a process of its own: ``python -m tests.powercut.poll URL STATE PACKS``.

``PACKS`` is the number of packs from which on the mirror is repacked.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from agent.source import git
from agent.source.fetcher import Fetcher
from agent.source.git import GitSource
from agent.source.login.providers import StaticCredentials


async def poll(url: str, state_dir: Path) -> str:
    """Return the commit that is there now; "" when the source has nothing."""
    fetcher = Fetcher()
    try:
        source = source_of(url, state_dir, fetcher)
        snapshot = await source.poll()
    finally:
        await fetcher.close()
    return snapshot.revision.commit if snapshot.may_prune and snapshot.revision else ""


def source_of(
    url: str, state_dir: Path, fetcher: Fetcher, *, sub_path: str = "deploy"
) -> GitSource:
    """Return a track's source; a folder has no reference."""
    return GitSource(
        url=url,
        reference="main" if url.startswith("file:") else "",
        sub_path=sub_path,
        state_dir=state_dir,
        credentials=StaticCredentials(),
        timeout=60,
        fetcher=fetcher,
    )


if __name__ == "__main__":
    git._PACK_LIMIT = int(sys.argv[3])  # type: ignore[misc]
    if not asyncio.run(poll(sys.argv[1], Path(sys.argv[2]))):
        sys.exit("nothing came")
