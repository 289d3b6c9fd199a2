"""The commands as a person runs them: a process of its own, with or without a terminal."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from tests.integration.reconcile.conftest import World


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


async def lightkeeper(
    world: World,
    *arguments: str,
    answer: str | None = None,
    config: str = "lightkeeper.toml",
    **environment: str,
) -> Done:
    """Run a command; with an ``answer`` it has a terminal to read that from."""
    command = [sys.executable, "-m", "agent", *arguments]
    ours, theirs = pty.openpty()
    try:
        if answer is not None:
            os.write(ours, f"{answer}\n".encode())
        done = await asyncio.to_thread(
            subprocess.run,
            [*command, "-c", str(world.folder / config)],
            stdin=subprocess.DEVNULL if answer is None else theirs,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    return Done(done.returncode, done.stdout, done.stderr)
