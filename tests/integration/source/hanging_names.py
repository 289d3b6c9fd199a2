"""Polls a URL whose name server never answers: ``URL SSH_KEY STATE_DIR``; prints ``ok`` at the end.

A program, because the test gives it another /etc/resolv.conf than its own.
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import replace
from pathlib import Path

from agent.source.errors import FetchTimeout
from agent.source.fetcher import Fetcher
from agent.source.git import GitSource
from agent.source.login.credentials import Credentials, ssh_key
from agent.source.login.providers import StaticCredentials
from tests.integration.source.stalls import poll_again_and_again


async def main(url: str, key: bytes, state_dir: Path) -> None:
    """Poll as the tests of deadlines do."""
    fetcher = Fetcher(environment={})
    credentials = Credentials()
    if url.startswith("ssh"):
        credentials = replace(ssh_key(key), known_hosts="git.hanging.example ssh-rsa AAAA")

    async def poll() -> None:
        source = GitSource(
            url=url,
            reference="main",
            sub_path="",
            state_dir=state_dir,
            credentials=StaticCredentials(credentials),
            timeout=0.7,
            fetcher=fetcher,
        )
        started = time.monotonic()
        snapshot = await source.poll()
        took = time.monotonic() - started
        if not isinstance(snapshot.error, FetchTimeout) or took > 0.7 + 5:
            raise RuntimeError(f"after {took:.1f} s: {snapshot.error}")

    await poll_again_and_again(poll)
    await fetcher.close()
    print("ok")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]).read_bytes(), Path(sys.argv[3])))
