"""Listeners that accept a connection and then are no use: silent, or a byte a second."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_PREAMBLE = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\n"


@asynccontextmanager
async def listener(*, trickle: bool) -> AsyncIterator[int]:
    """Listen on a loopback port, yielded; send nothing, or with ``trickle`` a byte a second."""
    open_writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_writers.add(writer)
        with suppress(OSError):
            while trickle and not writer.is_closing():
                for byte in _PREAMBLE + b"X-Padding: " + b"x" * 1000:
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.sleep(1)
            await reader.read()  # until the client goes away
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for writer in open_writers:
            writer.close()
