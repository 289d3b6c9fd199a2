"""One aiohttp session to one API server: requests with deadlines, errors, Retry-After, streams.

Knows HTTP and Status objects, not kinds. Nothing else in the agent opens a connection to an API
server.
"""

from __future__ import annotations

import asyncio
import io
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from types import SimpleNamespace
from typing import Any, TypeVar
from urllib.parse import urlencode

from yarl import URL

from agent import __version__
from agent.http import aiohttp
from agent.kube.auth import Access
from agent.kube.errors import RETRIED, ApiError, TransportError, Unauthorized, from_response
from agent.kube.fence import LANE, OPEN, WRITES, Fence, Lane
from agent.kube.limit import Limit
from agent.kube.slots import Slot, Slots
from agent.proxies import Proxy

REQUEST_DEADLINE = 30.0
"""Seconds for one request with its answer; the server's own default for a request is 60."""

CONNECT_DEADLINE = 10.0
_ATTEMPTS = 5
_MAX_LINE = 16 * 1024 * 1024  # one watch event holds one object; etcd's own limit is 1.5 MiB
_RETRY_AFTER_CAP = 10.0
_LARGE_BODY = 1 << 20  # above it aiohttp warns of bodies that are handed to the socket whole

_OWN_GROUPS = frozenset(
    f"{name}.k8s.io"
    for name in (
        "admissionregistration",
        "apiextensions",
        "apiregistration",
        "authentication",
        "authorization",
        "certificates",
        "coordination",
        "discovery",
        "events",
        "flowcontrol.apiserver",
        "networking",
        "node",
        "rbac.authorization",
        "resource",
        "scheduling",
        "storage",
    )
)
"""Groups with a dot that are in an API server itself; others may be aggregated (metrics.k8s.io)."""

T = TypeVar("T")

Reload = Callable[[], Awaitable[Access]]

Observe = Callable[[str, str, int | None, float], None]
"""Hears of each request: method, host, status (None without an answer), seconds until it began."""


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes | None = None
    silence: float | None = None  # seconds without a byte that end it
    fence: Fence = OPEN

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def kind(self) -> tuple[str, str, bool]:
        """What takes about as long, of writes: verb, resource, and whether it is a dry-run."""
        parent, _, last = self.path.rpartition("/")
        plural = last if self.method == "POST" else parent.rpartition("/")[2]
        return self.method, plural, "dryRun" in self.params

    @property
    def is_the_servers_own(self) -> bool:
        """Whether the API server itself answers, beyond doubt, and no aggregated one behind it."""
        root, _, group = self.path.removeprefix("/").partition("/")
        group = group.partition("/")[0]
        return root != "apis" or "." not in group or group in _OWN_GROUPS


class Transport:
    """Requests to one API server. Use ``async with``, or ``close`` at the end.

    ``reload`` gives fresh credentials; it is asked once when the server answers 401, so expired
    exec plug-in tokens and rotated token files need no restart. ``fence`` stops writes that come
    with none of their own; ``observe`` hears of each request.
    """

    def __init__(
        self,
        access: Access,
        *,
        reload: Reload | None = None,
        fence: Fence = OPEN,
        observe: Observe | None = None,
    ) -> None:
        self._observe = observe
        self._access = access
        self._reload = reload
        self._fence = fence
        self._reloading = asyncio.Lock()
        self._slots = Slots(Limit())
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0, keepalive_timeout=60, enable_cleanup_closed=True
            ),
            headers={"User-Agent": f"lightkeeper/{__version__}", "Accept": "application/json"},
            cookie_jar=aiohttp.DummyCookieJar(),  # as client-go, which has none
            # aiohttp would look up proxies and ~/.netrc in a thread for each request, and send the
            # latter's passwords; what the environment says of proxies is in Access.
            trust_env=False,
            read_bufsize=1024 * 1024,
            trace_configs=[_fencing()],
        )

    async def __aenter__(self) -> Transport:
        """Return itself."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the session."""
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        self._slots.close()
        await self._session.close()

    @property
    def host(self) -> str:
        """The server's base URL."""
        return self._access.host

    @property
    def limit(self) -> int:
        """How many requests may be under way at once, now."""
        return self._slots.allowed

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        deadline: float = REQUEST_DEADLINE,
        lane: Lane = LANE,
    ) -> bytes:
        """Send one request and return the body of its answer.

        Raises TransportError when there is no answer within ``deadline`` seconds and an ApiError
        for any other answer than 2xx. 429 and 503 with Retry-After are retried within the
        deadline, as client-go does: the server refused them before doing anything. The time
        before it is sent at all, while other requests have all slots, is not part of the deadline.
        The fence of a write's ``lane`` may raise LostLease; an urgent request needs no slot.
        How long writes take tells how busy the server is, as each of them is about one object.
        """
        fence = (lane.fence or self._fence) if method in WRITES else OPEN
        request = _Request(method, path, params or {}, headers or {}, body, fence=fence)
        slot = Slot(self._slots, urgent=lane.urgent)
        try:
            async with slot, asyncio.timeout(deadline):
                return await self._retrying(request, slot, partial(self._whole, request))
        except TimeoutError as error:
            raise TransportError(
                f"no answer from the API server at {self.host} within {deadline:.0f} s ({request})"
            ) from error

    async def _retrying(
        self, request: _Request, slot: Slot, attempt: Callable[[], Awaitable[T]]
    ) -> T:
        """Make attempts until one is not refused with a time to wait."""
        attempts = 0
        while True:
            attempts += 1
            try:
                return await attempt()
            except ApiError as error:
                wait = error.retry_after if error.status in RETRIED else None
                if wait is None or attempts == _ATTEMPTS:
                    raise
                everybody = error.is_overload and request.is_the_servers_own
            await slot.stand_back(min(wait, _RETRY_AFTER_CAP), everybody=everybody)

    async def _whole(self, request: _Request) -> bytes:
        """Send a request and return the body of its answer."""
        started = time.perf_counter()
        try:
            async with await self._send(request) as response:
                content = await response.read()
        except (aiohttp.ClientError, OSError) as error:
            request.fence.check(str(request))  # aiohttp wraps what was raised while sending
            raise self._unreachable(request, error) from error
        if request.method in WRITES:
            self._slots.answered(request.kind, time.perf_counter() - started)
        return content

    async def _send(self, request: _Request) -> aiohttp.ClientResponse:
        """Return a successful response, to be closed; after a first 401 with fresh credentials."""
        url = URL(f"{self.host}{request.path}{_query(tuple(request.params.items()))}", encoded=True)
        fresh = False
        while True:
            access = self._access
            request.fence.check(str(request))  # before a connection is made for nothing
            response = await self._ask(request, url, access)
            if 200 <= response.status < 300:
                return response
            async with response:
                error = await self._refusal(response, request)
            if fresh or self._reload is None or not isinstance(error, Unauthorized):
                raise error
            await self._refresh(access)
            fresh = True

    async def _ask(self, request: _Request, url: URL, access: Access) -> aiohttp.ClientResponse:
        """Send a request and return its answer, of which only the head has come."""
        started, status = time.perf_counter(), None
        try:
            response = await self._session.request(
                request.method,
                url,
                data=_payload(request.body),
                headers=self._headers(access, request.headers, url),
                ssl=access.ssl,
                server_hostname=access.server_hostname,
                **_through(access.proxy),
                allow_redirects=False,
                timeout=_timeout(request.silence),
                trace_request_ctx=request,
            )
            status = response.status
            return response
        finally:
            if self._observe:
                seconds = time.perf_counter() - started
                self._observe(request.method, url.host_port_subcomponent or "", status, seconds)

    def _headers(self, access: Access, extra: Mapping[str, str], url: URL) -> dict[str, str]:
        headers = dict(extra)
        if access.proxy and url.scheme == "http":  # else the proxy is told before, by CONNECT
            headers |= access.proxy.authorization()
        if authorization := access.authorization():
            headers["Authorization"] = authorization
        return headers

    async def _refusal(self, response: aiohttp.ClientResponse, request: _Request) -> ApiError:
        return from_response(
            status=response.status,
            body=await response.read(),
            request=str(request),
            retry_after=response.headers.get("Retry-After"),
        )

    async def _refresh(self, used: Access) -> None:
        async with self._reloading:
            if self._access is used and self._reload is not None:
                self._access = await self._reload()

    @asynccontextmanager
    async def stream(
        self, path: str, *, params: Mapping[str, str], inactivity: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a watch; iterate over its lines until the server ends it.

        ``inactivity`` seconds without a byte end it with TransportError: a half-open connection
        looks just like a quiet one. A server that asks to wait is obeyed, as by ``request``; a
        watch takes nobody's place. Raises what ``request`` raises.
        """
        request = _Request("GET", path, params, {}, silence=inactivity)
        try:
            async with AsyncExitStack() as stack, Slot(self._slots, urgent=True) as slot:
                response = await self._retrying(request, slot, partial(self._send, request))
                await stack.enter_async_context(response)
                yield _lines(response.content)
        except TimeoutError as error:
            raise TransportError(f"silent for {inactivity:.0f} s (watch of {path})") from error
        except (aiohttp.ClientError, OSError) as error:
            raise self._unreachable(request, error) from error

    def _unreachable(self, request: _Request, error: Exception) -> TransportError:
        reason = _words(error, self._access.proxy)
        return TransportError(f"cannot reach the API server at {self.host}: {reason} ({request})")


@lru_cache(maxsize=64)  # most requests have one of a few queries
def _query(params: tuple[tuple[str, str], ...]) -> str:
    return f"?{urlencode(params)}" if params else ""


@cache
def _timeout(silence: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_DEADLINE, sock_read=silence)


def _payload(body: bytes | None) -> bytes | io.BytesIO | None:
    """Return a body as aiohttp wants it: of a large one only parts at a time go to the socket."""
    return io.BytesIO(body) if body is not None and len(body) > _LARGE_BODY else body


def _through(proxy: Proxy | None) -> dict[str, Any]:
    """Return aiohttp's options. The proxy's password is in no URL: errors quote those."""
    if proxy is None:
        return {}
    return {"proxy": URL(proxy.redacted()), "proxy_headers": proxy.authorization()}


def _words(error: Exception, proxy: Proxy | None) -> str:
    """Say why there is no connection, and whose fault that is, without aiohttp's inner life."""
    if isinstance(error, aiohttp.ClientHttpProxyError) and proxy:
        return f"its proxy {proxy.redacted()} refuses: {error.status} {error.message}"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        why = getattr(error.certificate_error, "verify_message", "") or error.certificate_error
        return f"the certificate of {error.host} is not trusted: {why}"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"the name {error.host} cannot be resolved: {error.os_error.strerror}"
    if isinstance(error, aiohttp.ClientConnectorError) and error.os_error.errno:
        reason = os.strerror(error.os_error.errno)
        is_proxys = proxy and (error.host, error.port) == (proxy.host, proxy.port)
        return f"its proxy {proxy.redacted()}: {reason}" if proxy and is_proxys else reason
    return str(error) or type(error).__name__


def _fencing() -> aiohttp.TraceConfig:
    """Ask the fence as late as aiohttp lets us: in the call that then writes to the socket.

    aiohttp keeps the headers back until the body's first bytes, so a write whose body is refused
    has sent nothing. Retries, aiohttp's own of a closed connection included, come by here again.
    """

    async def ask(_session: object, context: SimpleNamespace, _params: object) -> None:
        request = context.trace_request_ctx
        request.fence.check(str(request))

    config = aiohttp.TraceConfig()
    config.on_request_headers_sent.append(ask)
    config.on_request_chunk_sent.append(ask)
    return config


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Split a stream into lines of any length; a line cut off by the end is dropped."""
    rest: list[bytes] = []
    size = 0
    async for chunk in content.iter_any():
        head, *tail = chunk.split(b"\n")
        rest.append(head)
        size += len(head)
        if size > _MAX_LINE:
            raise TransportError(f"a watch event of more than {_MAX_LINE} bytes")
        for line in tail:
            complete = b"".join(rest)
            if complete.strip():
                yield complete
            rest = [line]
            size = len(line)


def encode_params(params: Mapping[str, Any]) -> dict[str, str]:
    """Drop empty values and write booleans as Kubernetes reads them."""
    return {
        name: ("true" if value is True else str(value))
        for name, value in params.items()
        if value not in (None, "", False)
    }
