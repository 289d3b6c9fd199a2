"""A way for ssh through a proxy: a loopback port that leads to the server.

libgit2 knows no proxies for ssh. It connects to the port, and what it says is passed on both ways,
unread: the encryption, and so the check of the host's key, is between libgit2 and the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from agent.proxies import NameFailure, Proxy, ProxyFailure
from agent.source.errors import SourceError
from agent.source.url import GitUrl
from agent.source.wire.httpfailures import connection_failure

HOST: Final = "127.0.0.1"
_CHUNK: Final = 1 << 16


class Tunnel:
    """Leads one connection to the server of an ssh URL."""

    def __init__(self, proxy: Proxy, url: GitUrl) -> None:
        self.port = 0
        """Where to connect to, on HOST."""
        self.error: SourceError | None = None
        """Why the server was not reached, if it was not."""
        self._proxy = proxy
        self._url = url
        self._taken = False

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Tunnel]:
        """Listen until the end of the block, which also ends the connection."""
        tasks: set[asyncio.Task[None]] = set()

        def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if self._taken:  # a stranger on this machine
                writer.transport.abort()
                return
            self._taken = True
            tasks.add(asyncio.create_task(self._lead(reader, writer)))

        server = await asyncio.start_server(accepted, HOST, 0)
        try:
            self.port = int(server.sockets[0].getsockname()[1])
            yield self
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)
            for task in tasks:
                if not task.cancelled():
                    task.result()  # what it did not expect is not to be lost

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from agent.source.wire.dial import dial

        try:
            far = await dial(self._proxy, self._url.host, self._url.port or 22)
        except (ProxyFailure, NameFailure) as error:
            self.error = connection_failure(
                error, url=self._url, host=self._url.host, proxy=self._proxy
            )
            writer.transport.abort()
            return
        except BaseException:
            writer.transport.abort()
            raise
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pass_on(reader, far.writer))
                both.create_task(_pass_on(far.reader, writer))
        finally:
            far.writer.transport.abort()
            writer.transport.abort()


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while part := await source.read(_CHUNK):
            target.write(part)
            await target.drain()
    with suppress(OSError, RuntimeError):  # the other way has ended it
        target.write_eof()
