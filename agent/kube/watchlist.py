"""Watch lists (KEP-3157): all objects of a kind as the first events of its watch, instead of pages.

One request instead of two or more, out of the server's watch cache, as consistent as a list from
etcd. Without ``resourceVersion`` a server sends what there was at some moment after the request,
and then a bookmark that says so. Servers that lack it refuse, or ignore it and never end: the
caller lists in pages then, which is always right.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from agent.kube.client import Client, WatchEvent
from agent.kube.errors import (
    RETRIED,
    ApiError,
    Forbidden,
    KubeError,
    NotFound,
    TransportError,
    Unauthorized,
    from_status,
)
from agent.kube.resource import Resource

SINCE = (1, 32)
"""The first release that has them unless told otherwise. Those before 1.27 ignore the question."""

SILENCE = 10.0
"""Seconds without an event after which the end is not going to come; a server waits 3 s at most."""

AT_ONCE = 8
"""Lists under way at the same time, of one agent."""

_END = "k8s.io/initial-events-end"


class NotStreamed(KubeError):
    """The server does not send the kind in this way: list it in pages."""


class WatchLists:
    """What one API server offers, asked once, and whose turn it is to make use of it."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._asking = asyncio.Lock()
        self._offered: bool | None = None
        self.turn = asyncio.Semaphore(AT_ONCE)

    async def offered(self) -> bool:
        """Tell whether the server's version has them; false as long as it cannot be asked."""
        async with self._asking:
            if self._offered is None:
                try:
                    version = await self._client.raw("/version")
                except KubeError:
                    return False
                self._offered = _release(version.get("major"), version.get("minor")) >= SINCE
            return self._offered


async def initial(
    events: AsyncIterator[WatchEvent], resource: Resource, take: Callable[[WatchEvent], None]
) -> WatchEvent:
    """Hand over the events that are the list; return the bookmark that ends it.

    Raises NotStreamed when that does not come, TransportError when the stream ends before, what an
    ERROR event says, and what ``take`` raises.
    """
    now = asyncio.get_running_loop().time
    try:
        async with asyncio.timeout(SILENCE) as silence:
            heard = now()
            async for event in events:
                if event.type == "ERROR":
                    raise from_status(event.object, request=f"WATCH {resource}")
                if event.type != "BOOKMARK":
                    take(event)
                elif _ends(event):
                    return event
                else:
                    raise NotStreamed(f"a bookmark within the list of {resource}")
                if now() - heard > SILENCE / 10:  # a timer for each event would cost more than it
                    heard = now()
                    silence.reschedule(heard + SILENCE)
    except TimeoutError as error:
        raise NotStreamed(f"no end of the list of {resource} in {SILENCE:.0f} s") from error
    raise TransportError(f"the list of {resource} was cut off")


def is_refusal(error: ApiError) -> bool:
    """Tell whether an answer to the request for a watch list is about that, not about the kind.

    422 says that the feature gate is off, an ERROR event with 500 that etcd is older than 3.5.8.
    Whatever else it may be, a list in pages tells. A missing right, a missing kind or an overload
    stays what it is.
    """
    told = isinstance(error, Unauthorized | Forbidden | NotFound)
    return not told and error.status not in RETRIED


def _ends(bookmark: WatchEvent) -> bool:
    metadata = bookmark.object.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    return isinstance(annotations, dict) and annotations.get(_END) == "true"


def _release(major: object, minor: object) -> tuple[int, int]:
    """Read a version's two numbers, (0, 0) where they are none; providers write ``32+``."""
    numbers = [str(part or "").rstrip("+") for part in (major, minor)]
    if not all(number.isdecimal() for number in numbers):
        return 0, 0
    return int(numbers[0]), int(numbers[1])
