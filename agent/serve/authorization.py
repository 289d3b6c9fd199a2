"""Lets those read who may, as the API server says: its tokens, its RBAC.

Answers 401 without a token that the API server knows, 403 to those who may not "get" the path, and
503 when the API server cannot be asked: closed, not open.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from agent import log
from agent.aio.locks import KeyedLocks
from agent.kube import review
from agent.kube.client import Client
from agent.kube.errors import KubeError

logger = logging.getLogger(__name__)

ALLOWED_FOR = 60.0
"""Seconds for which a yes is remembered, so that a scrape every 15 s asks once a minute."""

REFUSED_FOR = 10.0
"""Seconds for which a no is remembered: a right that was just granted should count soon."""

REMEMBERED = 1000
"""Verdicts remembered at most."""

DEADLINE = 10.0
"""Seconds for asking; Prometheus gives up after 10 as well."""

_AT_ONCE = 4  # reviews; more would take the API server's time from the cluster's objects
_LONGEST_TOKEN = 16 * 1024  # characters

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class _Verdict:
    """HTTP status, and until when it holds (monotonic seconds)."""

    status: int
    until: float


class Authorizer:
    """Judges requests. Of a token only a keyed digest is remembered."""

    def __init__(self, client: Client, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._verdicts: dict[bytes, _Verdict] = {}
        self._locks: KeyedLocks[bytes] = KeyedLocks()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._problem = ""

    @property
    def remembered(self) -> int:
        """How many verdicts are remembered."""
        return len(self._verdicts)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Handle a request if its sender may read that path."""
        status = await self.judge(request.headers.get("Authorization", ""), request.path)
        if status == 200:
            return await handler(request)
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
        return web.Response(status=status, text=f"{_SAID[status]}\n", headers=headers)

    async def judge(self, authorization: str, path: str) -> int:
        """Return 200, 401, 403 or 503 for a request with this header."""
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token or len(token) > _LONGEST_TOKEN:
            return 401
        name = f"{path}\0{token}".encode("utf-8", "surrogateescape")
        digest = hashlib.blake2b(name, key=self._secret, digest_size=32).digest()
        async with self._locks.hold(digest):  # many requests with one token ask once
            known = self._verdicts.get(digest)
            if known is None or known.until <= self._clock():
                known = await self._ask(token, path)
                self._remember(digest, known)
        return known.status

    async def _ask(self, token: str, path: str) -> _Verdict:
        try:
            async with asyncio.timeout(DEADLINE), self._slots:
                status = await self._review(token, path)
        except (KubeError, TimeoutError) as error:
            self._tell(str(error) or f"no answer within {DEADLINE:.0f} s")
            return _Verdict(503, self._clock())  # not remembered: the next one asks again
        self._tell("")
        return _Verdict(status, self._clock() + (ALLOWED_FOR if status == 200 else REFUSED_FOR))

    async def _review(self, token: str, path: str) -> int:
        user = await review.authenticate(self._client, token)
        if user is None:
            return 401
        return 200 if await review.may(self._client, user, path=path, verb="get") else 403

    def _remember(self, digest: bytes, verdict: _Verdict) -> None:
        self._verdicts.pop(digest, None)
        if verdict.until <= self._clock():
            return
        while len(self._verdicts) >= REMEMBERED:
            del self._verdicts[next(iter(self._verdicts))]
        self._verdicts[digest] = verdict

    def _tell(self, problem: str) -> None:
        """Log once that nobody can be judged, and why."""
        if problem and problem != self._problem:
            hint = "the agent needs the ClusterRole system:auth-delegator"
            fields = log.fields(error=problem, hint=hint)
            logger.error("readers of metrics cannot be authorized, refusing all", extra=fields)
        self._problem = problem


_SAID = {
    401: "a bearer token that the API server knows is needed",
    403: "not allowed to get this path: RBAC has to grant it as a nonResourceURL",
    503: "cannot ask the API server who may read this; the agent's log has more",
}
