"""Launchers for all trials of the session: an interpreter and its imports start once each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.crash.launcher import Launcher


@pytest.fixture(scope="package")
def launchers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Launcher]]:
    """As many as trials are worth playing at a time: a trial waits as long as it works."""
    with ExitStack() as stack:
        scratch: Path = tmp_path_factory.mktemp("scratch")
        count = 2 * (os.cpu_count() or 1)
        yield [stack.enter_context(Launcher(scratch)) for _ in range(count)]
