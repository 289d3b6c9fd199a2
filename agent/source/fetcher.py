"""Network calls to git servers: deadlines that hold, and failures in words a person can use."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

from agent.source import known_hosts
from agent.source.credentials import Credentials
from agent.source.errors import (
    AuthError,
    FetchError,
    FetchTimeout,
    MirrorDamaged,
    ReferenceNotFound,
    SourceError,
)
from agent.source.pool import WorkerDied, WorkerPool
from agent.source.protocol import Answer, Failure, FetchRef, ListRefs, Refs, Request
from agent.source.resolve import Listing, candidates, wanted_commit
from agent.source.url import GitUrl

_HINTS: Final = {
    "auth": "check the track's deploy-key: is it this repository's, still valid, of the right type",
    "certificate": "add the server's certificate authority to the track's ca-file, or to the "
    "machine's bundle (SSL_CERT_FILE)",
    "unreachable": "check the URL and that the server can be reached from here",
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
    """Lists and fetches refs in worker processes; one for the whole agent, closed by its owner."""

    def __init__(
        self, *, workers: int = 8, idle_seconds: float = 60, scratch: Path | None = None
    ) -> None:
        self._pool = WorkerPool(size=workers, idle_seconds=idle_seconds, scratch=scratch)
        self._locks: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()

    def lock(self, mirror: Path) -> asyncio.Lock:
        """Return the lock of a mirror: whoever changes its files holds it."""
        return self._locks.setdefault(mirror, asyncio.Lock())

    async def list_refs(
        self, url: GitUrl, credentials: Credentials, *, reference: str, deadline: Deadline
    ) -> Listing:
        """Return the remote's refs that ``reference`` may mean; raise SourceError.

        A full commit id is looked up among what all refs point to.
        """
        request = ListRefs(
            url=url.for_transport(),
            prefixes=candidates(reference),
            commit=wanted_commit(reference),
            credentials=credentials,
            timeout=math.ceil(deadline.left()),
        )
        answer = await self._call(request, url, deadline)
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
    ) -> None:
        """Fetch ``refspec`` and no history into ``mirror``; raise SourceError or MirrorDamaged.

        A local repository is fetched whole: libgit2 cannot do otherwise there.
        """
        request = FetchRef(
            url=url.for_transport(),
            mirror=str(mirror),
            refspec=refspec,
            depth=0 if url.is_local else 1,
            credentials=credentials,
            timeout=math.ceil(deadline.left()),
        )
        await self._call(request, url, deadline)

    async def close(self) -> None:
        """Kill the workers and wait for their end."""
        await self._pool.close()

    async def _call(self, request: Request, url: GitUrl, deadline: Deadline) -> Answer:
        try:
            answer = await self._pool.call(request, seconds=deadline.left())
        except TimeoutError:
            raise timed_out(url, deadline) from None
        except WorkerDied as error:
            raise FetchError(url.redacted(), str(error)) from None
        if isinstance(answer, Failure):
            raise _error_of(answer, request, url)
        return answer


def timed_out(url: GitUrl, deadline: Deadline) -> FetchTimeout:
    """Return the error for a deadline that passed."""
    return FetchTimeout(
        url.redacted(),
        f"no complete answer within {deadline.seconds:g}s",
        hint="check the server and the way to it, or raise fetch-timeout",
    )


def _error_of(failure: Failure, request: Request, url: GitUrl) -> SourceError | MirrorDamaged:
    shown = url.redacted()
    hint = _HINTS.get(failure.kind, "")
    if failure.kind == "mirror":
        return MirrorDamaged(failure.reason)
    if failure.kind == "host-key":
        return _host_key_error(request.credentials.known_hosts, url)
    if failure.kind in {"auth", "certificate"}:
        return AuthError(shown, failure.reason, hint=hint)
    if failure.kind == "sha-refused":
        return ReferenceNotFound(shown, failure.reason, hint=hint)
    return FetchError(shown, failure.reason, hint=hint)


def _host_key_error(trusted: str, url: GitUrl) -> AuthError:
    entry = known_hosts.host_entry(url.host, url.port)
    command = known_hosts.keyscan_command(url.host, url.port)
    if known_hosts.names_host(trusted, url.host, url.port):
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
