"""Where libgit2 fetches from when a repository is behind HTTP: a server on the loopback interface.

It forwards the two requests of a fetch through the agent's own connections, so that libgit2 sees
neither credentials nor proxies nor certificates, and it remembers why a forwarded request failed,
which libgit2 could only guess. There is one for each fetch, for as long as that fetch runs.
"""

from __future__ import annotations

import hmac
import secrets
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from aiohttp import web

from agent.http import aiohttp
from agent.source.errors import SourceError
from agent.source.wire.exchange import Exchange, Remote

_TOKEN_BYTES: Final = 32
_REQUEST_LIMIT: Final = 16 << 20  # bytes: what we have and want, 50 each, in the fetches of years


class Passage:
    """One fetch's way through the gateway."""

    def __init__(self, exchange: Exchange, remote: Remote) -> None:
        self.url = ""
        """What libgit2 is given instead of the repository's URL; unguessable."""
        self.error: SourceError | None = None
        """Why a forwarded request failed, if one did."""
        self._token = secrets.token_urlsafe(_TOKEN_BYTES)
        self._exchange = exchange
        self._remote = remote
        self._base = remote.base

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Passage]:
        """Serve until the end of the block; then nothing listens any more."""
        runner = web.ServerRunner(
            web.Server(self._serve, handler_cancellation=True, access_log=None),
            shutdown_timeout=0,
        )
        await runner.setup()
        try:
            listening = socket.create_server(("127.0.0.1", 0))
            await web.SockSite(runner, listening).start()
            self.url = f"http://127.0.0.1:{listening.getsockname()[1]}/{self._token}"
            yield self
        finally:
            await runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        token, _, what = request.path.removeprefix("/").partition("/")
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            return web.Response(status=404)
        out = web.StreamResponse()
        try:
            if (request.method, what) == ("GET", "info/refs"):
                await self._advertise(request, out)
            elif (request.method, what) == ("POST", "git-upload-pack"):
                await self._upload_pack(request, out)
            else:
                return web.Response(status=404)
        except SourceError as error:
            self.error = error
            if not out.prepared:
                return web.Response(status=502)
            _cut(request)
        except _LibgitGoneError:
            _cut(request)
        return out

    async def _advertise(self, request: web.BaseRequest, out: web.StreamResponse) -> None:
        async with self._exchange.advertisement(self._remote, {}) as (answer, base):
            self._base = base
            await _forward(answer, request, out)

    async def _upload_pack(self, request: web.BaseRequest, out: web.StreamResponse) -> None:
        body = await _body(request)
        # A pack is compressed already.
        headers = {"Accept-Encoding": "identity"}
        async with self._exchange.upload_pack(self._remote, self._base, body, headers) as answer:
            await _forward(answer, request, out)


class _LibgitGoneError(Exception):
    """The worker hung up: it was killed at the deadline, or does not want the rest."""


async def _body(request: web.BaseRequest) -> bytes:
    """Return the whole of libgit2's request: it is small, and may have to be sent again."""
    parts: list[bytes] = []
    size = 0
    async for part in request.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > _REQUEST_LIMIT:
            raise web.HTTPRequestEntityTooLarge(_REQUEST_LIMIT, size)
    return b"".join(parts)


async def _forward(
    answer: aiohttp.ClientResponse, request: web.BaseRequest, out: web.StreamResponse
) -> None:
    out.content_type = answer.content_type
    with _downstream():
        await out.prepare(request)
    async for part in answer.content.iter_any():
        with _downstream():
            await out.write(part)
    with _downstream():
        await out.write_eof()


@contextmanager
def _downstream() -> Iterator[None]:
    """Tell a connection that libgit2 closed from one that the server closed."""
    try:
        yield
    except OSError as error:
        raise _LibgitGoneError from error


def _cut(request: web.BaseRequest) -> None:
    # An orderly end would pass for a whole answer.
    if request.transport is not None:
        request.transport.abort()
