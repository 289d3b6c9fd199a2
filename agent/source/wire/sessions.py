"""Kept-alive HTTP connections, one session a route: a proxy, authorities, a client certificate.

Tracks whose way to their servers is the same share a session. A route is known by its contents, so
a rotated file makes another one, and the old one is closed when nobody has used it for a while.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from yarl import URL

from agent import __version__
from agent.http import aiohttp
from agent.proxies import Proxy
from agent.source.wire.tls import client_context

USER_AGENT: Final = f"git/2.0 (lightkeeper {__version__})"
"""Some servers tell git from a browser by how this begins."""

_KEEP_ALIVE_SECONDS: Final = 100.0  # longer than a usual interval and than most servers' own
_UNUSED_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True, repr=False)
class Route:
    """A way to servers; the certificates as in Credentials."""

    proxy: Proxy | None = None
    ca: bytes = b""
    client_certificate: bytes = b""
    client_key: bytes = b""


@dataclass(slots=True)
class Sent:
    """What is known of one request besides its answer."""

    reused: bool = False
    """Whether it went over a kept-alive connection, which the server may have closed meanwhile."""


@dataclass(slots=True)
class Session:
    """One aiohttp session and the proxy each of its requests names."""

    client: aiohttp.ClientSession
    proxy: Proxy | None
    resolver: aiohttp.AsyncResolver
    users: int = 0
    unused_since: float = field(default_factory=time.monotonic)

    def request(
        self, method: str, url: URL, *, headers: dict[str, str], body: bytes | None, sent: Sent
    ) -> Any:
        """Return aiohttp's context manager for one request: no redirect followed, no deadline."""
        via: dict[str, Any] = {}
        if self.proxy is not None and not self.proxy.is_socks:
            via["proxy"] = URL(self.proxy.redacted())
            authorization = self.proxy.authorization()
            if url.scheme == "https":
                via["proxy_headers"] = authorization  # for CONNECT; the server does not see it
            else:
                headers = headers | authorization
        return self.client.request(
            method,
            url,
            headers=headers,
            data=body,
            allow_redirects=False,
            trace_request_ctx=sent,
            **via,
        )

    async def close(self) -> None:
        """Close its connections, and the resolver, which costs a thread and an inotify instance."""
        await self.client.close()
        await self.resolver.close()  # aiohttp closes only a resolver it made itself


class Sessions:
    """The sessions of an agent; closed by its owner."""

    def __init__(self) -> None:
        self._sessions: dict[Route, Session] = {}
        self._making = asyncio.Lock()
        self._closed = False

    @asynccontextmanager
    async def use(self, route: Route) -> AsyncIterator[Session]:
        """Lend the session of a route; raise CredentialsError when its certificates are no good."""
        await self._close_unused()
        session = self._sessions.get(route) or await self._make(route)
        session.users += 1
        try:
            yield session
        finally:
            session.users -= 1
            session.unused_since = time.monotonic()

    async def close(self) -> None:
        """Close all connections."""
        self._closed = True
        while self._sessions:
            _, session = self._sessions.popitem()
            await session.close()

    async def _make(self, route: Route) -> Session:
        async with self._making:
            if route not in self._sessions:
                # A bundle of 150 authorities takes tens of milliseconds to read.
                tls = await asyncio.to_thread(
                    client_context,
                    ca=route.ca,
                    certificate=route.client_certificate,
                    key=route.client_key,
                )
                if self._closed:
                    raise aiohttp.ClientConnectionError("the agent is about to end")
                self._sessions[route] = _session(route.proxy, tls)
            return self._sessions[route]

    async def _close_unused(self) -> None:
        # One at a time, and looked for anew: while one is closed others come by here.
        while (route := self._unused()) is not None:
            await self._sessions.pop(route).close()

    def _unused(self) -> Route | None:
        oldest = time.monotonic() - _UNUSED_SECONDS
        for route, session in self._sessions.items():
            if not session.users and session.unused_since < oldest:
                return route
        return None


def _session(proxy: Proxy | None, tls: Any) -> Session:
    resolver = aiohttp.AsyncResolver()  # those of a loop share their channel
    options: dict[str, Any] = {
        "ssl": tls,
        "limit": 0,  # a server that hangs must not use up what others need
        "keepalive_timeout": _KEEP_ALIVE_SECONDS,
    }
    if proxy is not None and proxy.is_socks:
        from agent.source.wire.dial import SocksConnector

        connector: aiohttp.TCPConnector = SocksConnector(proxy, **options)
    else:
        # A cached lookup would run on after the deadline that cancelled it.
        connector = aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False, **options)
    client = aiohttp.ClientSession(
        connector=connector,
        headers={"User-Agent": USER_AGENT},
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        trace_configs=[_reuse_trace()],
        trust_env=False,
    )
    return Session(client, proxy, resolver)


def _reuse_trace() -> aiohttp.TraceConfig:
    async def reused(_: aiohttp.ClientSession, context: Any, __: Any) -> None:
        context.trace_request_ctx.reused = True

    trace = aiohttp.TraceConfig()
    trace.on_connection_reuseconn.append(reused)
    return trace
