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
"""The first release that has them unless told otherwise; earlier ones refuse the question."""

DEADLINE = 30.0
"""Seconds from the request to the end of the list, as for a page: a proxy may hold it all back."""

REMEMBERED = (3600.0, 60.0)
"""For how many seconds an answer holds, and for how many a question that nobody answered."""

AT_ONCE = 8
"""Lists under way at the same time, of one agent."""

_VERSION_SECONDS = 5.0
_END = "k8s.io/initial-events-end"


class NotStreamed(KubeError):
    """The server does not send the kind in this way: list it in pages."""


class WatchLists:
    """What one API server offers, and whose turn it is to make use of it."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._asking = asyncio.Lock()
        self._offered = False
        self._ask_again = 0.0  # on the loop's clock
        self.turn = asyncio.Semaphore(AT_ONCE)

    async def offered(self) -> bool:
        """Tell whether the server's version has them; false where it cannot be asked now."""
        now = asyncio.get_running_loop().time
        async with self._asking:
            if now() >= self._ask_again:
                answered, unanswered = REMEMBERED
                try:
                    async with asyncio.timeout(_VERSION_SECONDS):
                        version = await self._client.raw("/version")
                except (KubeError, TimeoutError):
                    self._offered, self._ask_again = False, now() + unanswered
                else:
                    release = _release(version.get("major"), version.get("minor"))
                    self._offered, self._ask_again = release >= SINCE, now() + answered
            return self._offered


async def initial(
    events: AsyncIterator[WatchEvent], resource: Resource, take: Callable[[WatchEvent], None]
) -> WatchEvent:
    """Hand over the events that are the list; return the bookmark that ends it.

    Raises NotStreamed when that cannot come, TransportError when the stream ends before, what an
    ERROR event says, and what ``take`` raises. The caller keeps the deadline.
    """
    async for event in events:
        if event.type == "ERROR":
            raise from_status(event.object, request=f"WATCH {resource}")
        if event.type != "BOOKMARK":
            take(event)
        elif _ends(event):
            return event
        else:
            raise NotStreamed(f"a bookmark within the list of {resource}")
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
