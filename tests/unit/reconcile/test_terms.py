"""What one standby has to survive so that it can take over."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from agent.config.load import load
from agent.reconcile.terms import stand_by
from agent.source.snapshot import Snapshot, Trust

CONFIG = "[[track]]\nname = 'shop'\nrepository = 'https://h/r'\n"


class Defective:
    """Sources, the first poll of which comes upon a defect of ours."""

    def __init__(self) -> None:
        self.polls = 0
        self.recovered = asyncio.Event()

    def build(self, track: object) -> Defective:
        return self

    async def poll(self) -> Snapshot:
        self.polls += 1
        if self.polls == 1:
            raise KeyError("a defect")
        self.recovered.set()
        return Snapshot(Trust.NEW)


@pytest.mark.asyncio
async def test_a_defect_in_a_poll_is_logged_and_the_standby_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "lightkeeper.toml"
    path.write_text(CONFIG)
    sources: Any = Defective()
    stop = asyncio.Event()
    tracks = load(path, environment={}, flags={}).tracks
    standing = asyncio.create_task(stand_by(sources, tracks, stop))
    async with asyncio.timeout(30):
        await asyncio.wait(
            {standing, recovered := asyncio.create_task(sources.recovered.wait())},
            return_when=asyncio.FIRST_COMPLETED,
        )
    recovered.cancel()
    stop.set()
    await standing
    assert "mirror shop failed; starting it again" in caplog.text
