"""What the pages show as configuration is one that is accepted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent.config.load import load
from tests.unit.docs.pages import PAGES, place

BLOCKS = [
    pytest.param(block, id=f"{place(page)} {number}")
    for page in PAGES
    for number, block in enumerate(
        re.findall(r"^```toml\n(.*?)^```", page.read_text(), re.M | re.S)
    )
]


@pytest.mark.parametrize("block", BLOCKS)
def test_every_piece_of_configuration_is_valid(block: str, tmp_path: Path) -> None:
    path = tmp_path / "lightkeeper.toml"
    path.write_text(block)
    assert load(path, environment={}, flags={}).tracks


def test_there_are_such_pieces() -> None:
    assert len(BLOCKS) >= 4
