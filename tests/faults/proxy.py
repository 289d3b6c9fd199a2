"""A proxy in front of the real API server that can misbehave on demand.

Requests pass through unchanged until a fault is planted for them. A fault is taken by the first
request that it fits, as many times as it says.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web

_HOP_BY_HOP = {"transfer-encoding", "content-length", "connection"}


@dataclass(slots=True)
class Fault:
    """What happens to a request whose method and path fit.

    ``status`` answers instead of the server; ``cut_after`` lets so many bytes of the answer
    through and then breaks the connection; ``silent`` answers nothing at all; ``hold`` lets the
    answer's head through and then says nothing more; ``delay`` is in seconds.
    """

    method: str = "GET"
    path: str = ""
    watch: bool | None = None
    times: int = 1
    status: int | None = None
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    silent: bool = False
    hold: bool = False
    delay: float = 0.0

    def fits(self, request: web.Request) -> bool:
        """Whether it is meant for this request."""
        is_watch = request.query.get("watch") == "true"
        return (
            self.times > 0
            and request.method == self.method
            and self.path in request.path
            and self.watch in (None, is_watch)
        )


class FaultProxy:
    """Listens on loopback, plain http; use as an async context manager."""

    def __init__(self, target: str, *, ca: Path, token: str) -> None:
        self._target = target
        self._ssl = ssl.create_default_context(cafile=str(ca))
        self._token = token
        self._runner: web.AppRunner | None = None
        self.faults: list[Fault] = []
        self.unknown: frozenset[str] = frozenset()  # parameters that the server never hears of
        self.requests: Counter[tuple[str, str]] = Counter()
        self.peak = 0  # requests that were here at the same time
        self._inside = 0
        self.url = ""

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(auto_decompress=False)
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        await self._session.close()

    def plant(self, fault: Fault) -> Fault:
        """Have a fault happen; returns it, so that its ``times`` can be looked at."""
        self.faults.append(fault)
        return fault

    def count(self, method: str, path: str) -> int:
        """Return how many requests of a method had ``path`` in their path."""
        return sum(n for (m, p), n in self.requests.items() if m == method and path in p)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        kind = "WATCH" if request.query.get("watch") == "true" else request.method
        self.requests[kind, request.path] += 1
        self._inside += 1
        self.peak = max(self.peak, self._inside)
        try:
            return await self._answer(request)
        finally:
            self._inside -= 1

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        fault = next((f for f in self.faults if f.fits(request)), None) or Fault()
        fault.times -= 1
        await asyncio.sleep(fault.delay)
        if fault.silent:
            await asyncio.Event().wait()
        if fault.status is not None:
            return web.Response(status=fault.status, text=fault.body, headers=fault.headers)
        return await self._forward(request, fault)

    async def _forward(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        headers = {k: v for k, v in request.headers.items() if k.lower() not in ("host",)}
        headers["Authorization"] = f"Bearer {self._token}"
        async with self._session.request(
            request.method,
            self._target + request.path,
            params=[(k, v) for k, v in request.query.items() if k not in self.unknown],
            headers=headers,
            data=await request.read() or None,
            ssl=self._ssl,
            timeout=aiohttp.ClientTimeout(total=None),
        ) as answer:
            kept = {k: v for k, v in answer.headers.items() if k.lower() not in _HOP_BY_HOP}
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            await self._copy(answer, response, request, fault)
            return response

    async def _copy(
        self,
        answer: aiohttp.ClientResponse,
        response: web.StreamResponse,
        request: web.Request,
        fault: Fault,
    ) -> None:
        left = fault.cut_after
        if fault.hold:
            await asyncio.Event().wait()
        async for chunk in answer.content.iter_any():
            if left is not None and len(chunk) >= left:
                await response.write(chunk[:left])
                if request.transport is not None:
                    request.transport.close()
                return
            await response.write(chunk)
            left = None if left is None else left - len(chunk)
        await response.write_eof()
