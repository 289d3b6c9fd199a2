"""docs/configuration.md is what the model and the schema say, all of it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from agent.config.model import Agent, LeaderElection, Track
from agent.config.tables import key_name

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "configuration.md"
TABLES = {"agent": Agent, "leader-election": LeaderElection, "track": Track}


def test_the_page_is_what_the_generator_writes() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "packaging" / "docs" / "generate.py", "--check"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "heading",
    [f"### {name}.{key_name(f.name)}" for name, kind in TABLES.items() for f in fields(kind)],
)
def test_every_key_has_a_heading_under_the_name_that_errors_give_it(heading: str) -> None:
    assert heading in PAGE.read_text().splitlines()
