"""Network calls to git servers: deadlines that hold, and failures in words a person can use.

Refs over http(s) are listed in this process; everything else libgit2 does, in a worker that can be
killed, led through a gateway (http) or a tunnel (ssh behind a proxy) where that is needed. Work on
mirrors is theirs as well (``ondisk``).
"""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

import msgspec

from agent.proxies import Proxy
from agent.source.errors import (
    CHECK_KEY,
    CHECK_WAY,
    AuthError,
    FetchError,
    FetchTimeout,
    MirrorDamaged,
    ReferenceNotFound,
    SourceError,
    UnsupportedRepository,
)
from agent.source.listing import Listing
from agent.source.login import known_hosts, sshkeys
from agent.source.login.credentials import Credentials
from agent.source.mirrorlock import MirrorLock
from agent.source.ondisk import OnDisk
from agent.source.pool import WorkerDied, WorkerPool
from agent.source.protocol import (
    Answer,
    Failure,
    Fetched,
    FetchRef,
    ListRefs,
    OnMirror,
    Plain,
    Refs,
    ServerRequest,
)
from agent.source.resolve import candidates, wanted_commit
from agent.source.url import GitUrl
from agent.source.wire.exchange import Exchange, Remote, proxy_of
from agent.source.wire.gateway import Passage
from agent.source.wire.sessions import Sessions
from agent.source.wire.smarthttp import SmartHttp
from agent.source.wire.tunnel import HOST as TUNNEL_HOST
from agent.source.wire.tunnel import Tunnel

_DISK_SECONDS: Final = 600.0
"""Seconds for what a worker does on our own disk: slow ones have the time, one that hangs is found
out."""

_HINTS: Final = {
    "auth": CHECK_KEY,
    "unreachable": CHECK_WAY,
    "local": "check repository, and whether what it is on is mounted",
    "folder": "it is read again at the next change and the next poll",
    "bundle": "make it with `git bundle create FILE REF...`, check it with `git bundle verify "
    "FILE`, and copy it under another name before you rename it into place",
    "bundle-base": "bring the bundle before it first, or make one with the whole history: "
    "`git bundle create FILE REF...`",
    "sha-refused": "the server does not have this commit or does not serve commits by id "
    "(uploadpack.allowReachableSHA1InWant); track a branch or a tag instead",
}


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock, and how many seconds it was away at first."""

    at: float
    seconds: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """Return the moment ``seconds`` from now."""
        return cls(time.monotonic() + seconds, seconds)

    def left(self) -> float:
        """Return the seconds left, never negative."""
        return max(0.0, self.at - time.monotonic())


class Fetcher:
    """Lists and fetches refs; one for the whole agent, closed by its owner.

    ``workers`` stay its owner's; without them it makes its own, with their folders in ``scratch``.
    ``environment`` names the proxies of tracks that have none of their own.
    """

    def __init__(
        self,
        *,
        workers: WorkerPool | None = None,
        scratch: Path | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._pool = workers or WorkerPool(folder=scratch)
        self._own = None if workers else self._pool
        self._environment = environment
        self._sessions = Sessions()
        self._exchange = Exchange(self._sessions, environment)
        self._http = SmartHttp(self._exchange)
        self._locks: WeakValueDictionary[Path, MirrorLock] = WeakValueDictionary()

    def mirror(self, path: Path) -> OnDisk:
        """Return what works on the mirror at ``path``, which need not exist."""
        return OnDisk(path, self._on_mirror)

    def lock(self, mirror: Path) -> MirrorLock:
        """Return the lock of a mirror: whoever changes its files holds it."""
        return self._locks.setdefault(mirror, MirrorLock(mirror))

    async def list_refs(
        self,
        url: GitUrl,
        credentials: Credentials,
        *,
        reference: str,
        deadline: Deadline,
        plain: Plain | None = None,
    ) -> Listing:
        """Return the remote's refs that ``reference`` may mean; raise SourceError.

        A full commit id is looked up among what all refs point to. ``plain`` is for a URL that is
        a plain path: the refs of a folder or bundle have ids that ``fetch`` may replace.
        """
        if url.is_http:
            return await self._list_over_http(Remote(url, credentials), reference, deadline)
        async with self._way(url, credentials) as way:
            request = ListRefs(
                url=way.url,
                prefixes=candidates(reference),
                commit=wanted_commit(reference),
                credentials=way.credentials,
                timeout=math.ceil(deadline.left()),
                plain=plain,
            )
            answer = await self._call(request, url, way, deadline)
        if not isinstance(answer, Refs):
            raise FetchError(url.redacted(), "the git worker answered another question")
        return answer.listing

    async def fetch(
        self,
        url: GitUrl,
        credentials: Credentials,
        *,
        mirror: Path,
        refspec: str,
        deadline: Deadline,
        plain: Plain | None = None,
    ) -> bool:
        """Fetch ``refspec`` and no history into ``mirror``; raise SourceError or MirrorDamaged.

        A local repository is fetched whole: libgit2 cannot do otherwise there. Returns whether
        what came is what was listed, though perhaps under another id.
        """
        async with self._way(url, credentials) as way:
            request = FetchRef(
                url=way.url,
                mirror=str(mirror),
                refspec=refspec,
                depth=0 if url.is_local else 1,
                credentials=way.credentials,
                timeout=math.ceil(deadline.left()),
                plain=plain,
            )
            answer = await self._call(request, url, way, deadline)
        return isinstance(answer, Fetched) and answer.as_listed

    async def close(self) -> None:
        """Close all connections, kill its own workers, wait for their end."""
        await self._sessions.close()
        if self._own is not None:
            await self._own.close()

    async def _list_over_http(self, remote: Remote, reference: str, deadline: Deadline) -> Listing:
        proxy = self._exchange.proxy_of(remote)
        try:
            async with asyncio.timeout(deadline.left()):
                return await self._http.list_refs(remote, reference)
        except TimeoutError:
            raise timed_out(remote.url, deadline, proxy) from None

    @asynccontextmanager
    async def _way(self, url: GitUrl, credentials: Credentials) -> AsyncIterator[_Way]:
        """Say how libgit2 gets to a repository, and hold that way open."""
        if url.is_http:
            remote = Remote(url, credentials)
            async with Passage(self._exchange, remote).open() as passage:
                proxy = self._exchange.proxy_of(remote)
                yield _Way(passage.url, Credentials(), proxy, lambda: passage.error)
        elif url.is_ssh:
            proxy = proxy_of(
                url, credentials, self._environment, server=("ssh", url.host, url.port)
            )
            if proxy is None:
                yield _Way(url.for_transport(), _trusting(credentials, url, url), None, _no_error)
                return
            async with Tunnel(proxy, url).open() as tunnel:
                local = replace(url, host=TUNNEL_HOST, port=tunnel.port)
                trusting = _trusting(credentials, url, local)
                yield _Way(local.for_transport(), trusting, proxy, lambda: tunnel.error)
        else:
            yield _Way(url.for_transport(), Credentials(), None, _no_error)

    async def _on_mirror(self, request: OnMirror) -> Answer:
        return await self._pool.call(request, seconds=_DISK_SECONDS, local=True)

    async def _call(
        self, request: ServerRequest, url: GitUrl, way: _Way, deadline: Deadline
    ) -> Answer:
        try:
            answer = await self._pool.call(request, seconds=deadline.left())
        except TimeoutError:
            raise timed_out(url, deadline, way.proxy) from None
        except WorkerDied as error:
            raise FetchError(url.redacted(), str(error)) from None
        if isinstance(answer, Failure):
            known = way.error()  # libgit2 only saw a connection break
            answer = msgspec.structs.replace(
                answer, reason=answer.reason.replace(way.url, url.redacted())
            )
            if answer.kind == "timeout":  # libssh2's clock may be a little ahead of ours
                raise known or timed_out(url, deadline, way.proxy)
            raise known or _error_of(answer, request, url)
        return answer


@dataclass(frozen=True, slots=True)
class _Way:
    """What libgit2 is told of a repository; ``error`` gives what broke on the way to it."""

    url: str
    credentials: Credentials
    proxy: Proxy | None
    error: Callable[[], SourceError | None]


def timed_out(url: GitUrl, deadline: Deadline, proxy: Proxy | None = None) -> FetchTimeout:
    """Return the error for a deadline that passed."""
    through = f" through proxy {proxy.redacted()}" if proxy else ""
    return FetchTimeout(
        url.redacted(),
        f"no complete answer within {deadline.seconds:g}s{through}",
        hint="check the server and the way to it, or raise fetch-timeout",
    )


def _trusting(credentials: Credentials, url: GitUrl, local: GitUrl) -> Credentials:
    """Have the keys of ``url``'s host believed under the name libgit2 connects to."""
    entry = known_hosts.host_entry(local.host, local.port)
    keys = known_hosts.trusted_keys(credentials.known_hosts, url.host, url.port, entry=entry)
    return replace(credentials, known_hosts=keys)


def _no_error() -> None:
    return None


def _error_of(failure: Failure, request: ServerRequest, url: GitUrl) -> SourceError | MirrorDamaged:
    shown = url.redacted()
    hint = _HINTS.get(failure.kind, "")
    if failure.kind == "mirror":
        return MirrorDamaged(failure.reason)
    if failure.kind == "host-key":
        return _host_key_error(request.credentials.known_hosts, url)
    if sshkeys.is_passphrase_wrong(request.credentials, failure.reason):
        return AuthError(shown, sshkeys.NOT_OPENED, hint="check the deploy-key's passphrase")
    if failure.kind == "auth":
        return AuthError(shown, failure.reason, hint=hint)
    if failure.kind == "object-format":
        return UnsupportedRepository(shown)
    if failure.kind == "sha-refused":
        return ReferenceNotFound(shown, failure.reason, hint=hint)
    return FetchError(shown, failure.reason, hint=hint)


def _host_key_error(trusted: str, url: GitUrl) -> AuthError:
    entry = known_hosts.host_entry(url.host, url.port)
    command = known_hosts.keyscan_command(url.host, url.port)
    if trusted:
        return AuthError(
            url.redacted(),
            f"the host key of {entry} is not the one in known_hosts: the server was reinstalled, "
            "or somebody is in between",
            hint=f"compare fingerprints with its owner, then replace the line with `{command}`",
        )
    return AuthError(
        url.redacted(),
        f"{entry} is not in known_hosts",
        hint=f"compare the output of `{command}` with its owner's, then add it",
    )
