"""Listeners that accept a connection and then are no use: silent, slow, or stuck half-way."""

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
        open_writers.discard(writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for writer in open_writers:
            writer.close()


@asynccontextmanager
async def stuck(port: int, *, after: int, cut: bool = False) -> AsyncIterator[int]:
    """Listen on a loopback port, yielded, before the real server on ``port``.

    Of what the server says ``after`` bytes are passed on, and then nothing any more;
    with ``cut`` the connection is reset there.
    """
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        writers.update((writer, far_writer))

        async def answer() -> None:
            left = after
            with suppress(OSError):
                while left and (part := await far_reader.read(left)):
                    left -= len(part)
                    writer.write(part)
                    await writer.drain()
                if cut:
                    writer.transport.abort()

        async with asyncio.TaskGroup() as tasks:
            answering = tasks.create_task(answer())
            with suppress(OSError):
                while part := await reader.read(65536):
                    far_writer.write(part)
                    await far_writer.drain()
            answering.cancel()
        writer.close()
        far_writer.close()
        writers.difference_update((writer, far_writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for writer in writers:
            writer.close()
