"""A repository's refs over HTTP, in as few requests as git's protocol allows.

The first poll of a repository asks what the server speaks (``GET info/refs``). With protocol
version 2 every later one is a single POST that names the refs wanted; an older server lists all its
refs in answer to the GET, which is then the single request. Over a kept-alive connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from yarl import URL

from agent.source.errors import FetchError, SourceError, UnexpectedAnswer, UnsupportedRepository
from agent.source.listing import Listing
from agent.source.resolve import candidates, wanted_commit
from agent.source.wire.exchange import Exchange, Remote, read
from agent.source.wire.refs import (
    Capabilities,
    ServerError,
    UnsupportedFormat,
    ls_refs,
    read_advertisement,
    read_ls_refs,
)
from agent.source.wire.sessions import USER_AGENT

_VERSION_2: Final = {"Git-Protocol": "version=2"}
_BIG: Final = 1 << 20  # bytes; what takes longer to read than the event loop may be held up

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Known:
    base: URL
    capabilities: Capabilities


class SmartHttp:
    """Lists refs of http(s) repositories."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._known: dict[tuple[str, str, bytes], _Known] = {}

    async def list_refs(self, remote: Remote, reference: str) -> Listing:
        """Return the refs that ``reference`` may mean, or more; raise SourceError.

        For a full commit id these are all refs: one of them may point to it.
        """
        # Another track may be led elsewhere by its proxy, or believe another server.
        given = remote.credentials
        name = (remote.url.for_transport(), given.proxy, given.ca)
        if (known := self._known.get(name)) is not None:
            try:
                return await self._ask(remote, known, reference)
            except UnexpectedAnswer:
                pass  # perhaps it speaks otherwise by now, or is elsewhere: start over
            except SourceError:
                self._known.pop(name, None)
                raise
        self._known.pop(name, None)
        async with self._exchange.advertisement(remote, _VERSION_2) as (response, base):
            body = await read(response, remote)
        answer = await _understood(read_advertisement, body, remote)
        if isinstance(answer, Listing):
            return _only(answer, reference)
        known = self._known[name] = _Known(base, answer)
        return await self._ask(remote, known, reference)

    async def _ask(self, remote: Remote, known: _Known, reference: str) -> Listing:
        prefixes = () if wanted_commit(reference) else candidates(reference)
        question = ls_refs(known.capabilities, prefixes, agent=USER_AGENT.replace(" ", "-"))
        async with self._exchange.upload_pack(remote, known.base, question, _VERSION_2) as response:
            body = await read(response, remote)
        return _only(await _understood(read_ls_refs, body, remote), reference)


async def _understood(reader: Callable[[bytes], T], body: bytes, remote: Remote) -> T:
    shown = remote.url.redacted()
    try:
        return reader(body) if len(body) < _BIG else await asyncio.to_thread(reader, body)
    except ServerError as error:
        told = remote.credentials.scrub(str(error))
        raise FetchError(shown, f"the server says: {told[:500]}") from None
    except UnsupportedFormat:
        raise UnsupportedRepository(shown) from None
    except ValueError as error:
        reason = f"the server's list of refs cannot be read: {error}"
        raise UnexpectedAnswer(shown, reason) from None


def _only(listing: Listing, reference: str) -> Listing:
    """Drop what ``reference`` cannot mean, as a server that filters would have."""
    prefixes, commit = candidates(reference), wanted_commit(reference)
    refs = {
        name: found
        for name, found in listing.refs.items()
        if name.startswith(prefixes) or found == commit
    }
    return Listing(refs, listing.head)
