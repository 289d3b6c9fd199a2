"""A TLS connection that idles costs little memory, and one that works loses nothing."""

from __future__ import annotations

import asyncio
import ssl
import sys
import tracemalloc
from asyncio import sslproto
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from agent.aio import tlsbuffers
from tests.controlplane.pki import Authority

pytestmark = pytest.mark.asyncio

CONNECTIONS = 8
BODY = bytes(range(256)) * 8192  # 2 MiB, many times what is read at once


@pytest.fixture(autouse=True)
def shrunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sslproto.SSLProtocol, "max_size", sslproto.SSLProtocol.max_size)
    tlsbuffers.shrink()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if await reader.readline():
        writer.write(BODY)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def _server(folder: Path) -> AsyncIterator[tuple[int, ssl.SSLContext]]:
    authority = Authority(folder / "pki")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(authority.server.certificate, authority.server.key)
    server = await asyncio.start_server(_answer, "127.0.0.1", 0, ssl=tls)
    async with server:
        client = ssl.create_default_context(cafile=str(authority.ca.certificate))
        yield server.sockets[0].getsockname()[1], client


@asynccontextmanager
async def _connection(
    port: int, tls: ssl.SSLContext
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    try:
        yield reader, writer
    finally:
        writer.close()
        await writer.wait_closed()


async def test_an_open_connection_keeps_a_small_buffer(tmp_path: Path) -> None:
    async with _server(tmp_path) as (port, tls), AsyncExitStack() as stack:
        tracemalloc.start()
        try:
            for _ in range(CONNECTIONS):
                await stack.enter_async_context(_connection(port, tls))
            held = tracemalloc.take_snapshot().filter_traces(
                [tracemalloc.Filter(inclusive=True, filename_pattern=sslproto.__file__)]
            )
        finally:
            tracemalloc.stop()
        size = sum(found.size for found in held.statistics("filename"))
        ends = 2 * CONNECTIONS  # the server's are of this process as well
        assert size < ends * 2 * tlsbuffers.SIZE


async def test_what_is_larger_than_the_buffer_arrives_whole(tmp_path: Path) -> None:
    async with (
        _server(tmp_path) as (port, tls),
        _connection(port, tls) as (reader, writer),
    ):
        writer.write(b"all of it\n")
        assert await reader.readexactly(len(BODY)) == BODY


async def test_the_agent_runs_with_small_buffers() -> None:
    script = (
        "from asyncio import sslproto\n"
        "from agent.cli.main import main\n"
        "print(main(['run', '--config', 'missing.toml']), sslproto.SSLProtocol.max_size)\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=PIPE, stderr=PIPE
    )
    told, _ = await process.communicate()
    assert told.split() == [b"2", str(tlsbuffers.SIZE).encode()]
