"""The binary, a world around it, and the check that a test leaves nothing of it behind."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from secrets import token_hex

import pytest
import pytest_asyncio

from tests.e2e.program import Binary
from tests.eventually import eventually
from tests.integration.credentials.conftest import http_proxy
from tests.integration.reconcile.conftest import World, cleanup, world
from tests.integration.source.conftest import https_server, served, ssh_server, upstream

__all__ = ["cleanup", "http_proxy", "https_server", "served", "ssh_server", "upstream", "world"]

_HERE = Path(__file__).parent
_BUILT = _HERE.parents[1] / "dist" / "lightkeeper"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests below this folder; they may wait for a loaded machine."""
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def copy() -> Iterator[Binary]:
    """The session's copy of the binary; fails when there is none, for a skip would say nothing."""
    source = Path(os.environ.get("LIGHTKEEPER_BINARY") or _BUILT)
    if not source.is_absolute() or not os.access(source, os.X_OK):
        pytest.fail(f"{source}: no binary to test; run `make binary`, or set LIGHTKEEPER_BINARY"
                    " to the absolute path of one", pytrace=False)  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="lightkeeper-e2e-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        # Names of processes are cut at 15 bytes.
        path = folder / f"lk-{token_hex(5)}"
        shutil.copy2(source, path)
        path.chmod(0o755)
        (folder / "tmp").mkdir()
        (folder / "tmp").chmod(0o1777)
        yield Binary(path, folder / "tmp")


@pytest_asyncio.fixture
async def binary(copy: Binary) -> AsyncIterator[Binary]:
    """The binary. After the test no process of it is left, no zombie, no unpacked folder."""
    yield copy
    try:
        # A process that init has not reaped yet is nothing the binary could have done better.
        await eventually(
            lambda: not [p for p in copy.processes() if (p.state, p.parent) != ("Z", 1)],
            within=30,
            what=f"all of the binary's processes ended: {copy.processes()}",
        )
        assert copy.unpacked() == []
    finally:
        for folder in copy.unpacked():
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        for process in copy.processes():
            if process.state != "Z":
                os.kill(process.pid, 9)


@pytest.fixture
def config(world: World) -> str:
    """The flag that names the configuration; the test writes it with ``world.config()``."""
    return f"--config={world.config_file}"
