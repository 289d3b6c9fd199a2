"""Reflector: keep a Store equal to what the server has of one kind (client-go's tools/cache).

List, then watch with bookmarks from there; resume where the watch ended; list again only after
410 Gone. A list is the beginning of a watch where the server has that, elsewhere it has pages.
Silence longer than the server's bookmark period counts as a dead connection.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar

import msgspec

from agent import log
from agent.aio.backoff import Backoff
from agent.kube import watchlist
from agent.kube.client import Client, WatchEvent
from agent.kube.errors import (
    ApiError,
    Forbidden,
    Gone,
    KubeError,
    NotFound,
    TransportError,
    from_status,
)
from agent.kube.resource import Resource
from agent.kube.store import Store
from agent.kube.watchlist import NotStreamed, WatchLists
from agent.manifest.keys import JSONObject

logger = logging.getLogger(__name__)

R = TypeVar("R")

WATCH_SECONDS = (240, 480)
"""The server is asked to end a watch after a random time in this range, to spread reconnects."""

INACTIVITY = 150.0
"""Seconds of silence after which a watch is dead; servers send a bookmark about every 60."""

RETRY = (0.5, 30.0)
"""First and longest pause after a failure, in seconds."""

QUARANTINE = (5.0, 300.0)
"""The same for 403 and 404: somebody has to grant a right or install a kind first."""


class State(Enum):
    """What a reflector knows of its kind."""

    STARTING = "starting"
    SYNCED = "synced"
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects of a kind: those of one namespace, or all, whose labels match."""

    selector: str = ""
    namespace: str = ""


class Reflector(Generic[R]):
    """Keeps ``store`` in step; ``run`` goes on until cancelled.

    ``project`` makes the small record that is kept of an object; the object itself is dropped.
    ``on_gone`` is called when the server does not have the kind any more. Without ``watch_lists``
    lists come in pages.
    """

    def __init__(
        self,
        *,
        client: Client,
        resource: Resource,
        project: Callable[[JSONObject], R],
        store: Store[R],
        on_gone: Callable[[], None],
        selection: Selection,
        watch_lists: WatchLists | None = None,
    ) -> None:
        self.resource = resource
        self.state = State.STARTING
        self.error: KubeError | None = None
        self._client = client
        self._project = project
        self._store = store
        self._on_gone = on_gone
        self._selection = selection
        self._watch_lists = watch_lists
        self._in_pages_until = 0.0  # on the loop's clock: a server may be mended, or upgraded
        self._version = ""
        self._backoff = Backoff(*RETRY)
        self._progress = False  # the current watch has delivered something
        self._disconnects = 0  # in a row, without an event in between
        self._gone = False  # the last watch could not begin where its list ended
        self._settled = asyncio.Event()

    @property
    def refused(self) -> bool:
        """True when the server does not have the kind, or says that it must not be watched."""
        return isinstance(self.error, Forbidden | NotFound)

    async def settled(self) -> None:
        """Wait until the first list has succeeded or failed; ``state`` tells which."""
        await self._settled.wait()

    async def run(self) -> None:
        """List and watch for ever; failures are kept in ``error`` and retried with back-off."""
        try:
            while True:
                await self._round()
        finally:
            self._settled.set()  # whatever ends this, nobody may wait for it for ever

    async def _round(self) -> None:
        """List unless the last watch can be resumed, watch until it ends, pause if it failed."""
        try:
            if not self._version and (lists := self._watch_lists) and await self._streams(lists):
                await self._watch_list(lists)
            else:
                if not self._version:
                    await self._list()
                await self._watch()
            if not self._progress:
                # A server or proxy that closes at once must not be asked in a tight loop.
                await asyncio.sleep(random.uniform(0.5, 1.5))  # noqa: S311
            return
        except NotStreamed as error:
            fields = log.fields(kind=str(self.resource), reason=str(error))
            logger.info("listing in pages", extra=fields)
            self._in_pages_until = asyncio.get_running_loop().time() + watchlist.REMEMBERED[0]
            return
        except Gone as error:
            self._version = ""
            if self._progress:
                return  # history was compacted under a working watch: list again at once
            # A kind that is new to the server has no history back to its first list: what was
            # listed holds, and a list after a pause can be watched from. Twice is a failure.
            if self._gone:
                self._note_failure(error)
            self._gone = True
        except NotFound as error:
            self._version = ""
            self._store.replace({})  # its CRD is gone, and its objects with it
            self._on_gone()
            self._note_failure(error)
        except ApiError as error:
            self._version = ""  # a refused watch tells nothing any more: list, or say so
            self._note_failure(error)
        except KubeError as error:
            self._note_failure(error)
            self._disconnects += 1
            # A server that was away may come back from a backup, with older versions than ours:
            # it would keep quiet up to them. One broken connection is resumed, a second is not.
            if self._disconnects > 1:
                self._version = ""
        self._backoff.limits(*(QUARANTINE if self.refused else RETRY))
        await asyncio.sleep(self._backoff.next())

    async def _list(self) -> None:
        """Replace the store's content by a consistent paged list."""
        seen: dict[str, R] = {}
        cont = ""
        while True:
            page = await self._client.list_page(
                self.resource,
                namespace=self._selection.namespace,
                selector=self._selection.selector,
                cont=cont,
            )
            for raw in page.items or []:
                obj = msgspec.json.decode(raw)
                address = self._address(obj)
                # Items of a list do not repeat what they are.
                obj.setdefault("apiVersion", self.resource.gvk.api_version)
                obj.setdefault("kind", self.resource.kind)
                seen[address] = self._project(obj)
            cont = page.metadata.cont
            if not cont:
                break
        self._store.replace(seen)
        self._version = page.metadata.resourceVersion
        self._note_success()

    async def _streams(self, lists: WatchLists) -> bool:
        in_pages = asyncio.get_running_loop().time() < self._in_pages_until
        return not in_pages and await lists.offered()

    async def _watch_list(self, lists: WatchLists) -> None:
        """Replace the store's content by the first events of a watch, and follow that watch."""
        async with AsyncExitStack() as stream:
            async with lists.turn:
                try:
                    async with asyncio.timeout(watchlist.DEADLINE) as deadline:
                        opened = self._open(send_initial_events=True)
                        events = await stream.enter_async_context(opened)
                        await self._take_over(events)
                except TimeoutError as error:
                    if not deadline.expired():
                        raise
                    raise NotStreamed(f"no whole list in {watchlist.DEADLINE:.0f} s") from error
                except ApiError as error:
                    if watchlist.is_refusal(error):
                        raise NotStreamed(str(error)) from error
                    raise
            await self._follow(events)

    async def _take_over(self, events: AsyncIterator[WatchEvent]) -> None:
        seen: dict[str, R] = {}

        def take(event: WatchEvent) -> None:
            address = self._address(event.object)
            if event.type == "DELETED":
                seen.pop(address, None)
            else:
                seen[address] = self._project(event.object)

        version = self._version_of(await watchlist.initial(events, self.resource, take))
        self._store.replace(seen)
        self._version = version
        self._note_success()

    async def _watch(self) -> None:
        """Follow changes until the server ends the watch, which it does on purpose."""
        async with self._open() as events:
            await self._follow(events)

    def _open(
        self, *, send_initial_events: bool = False
    ) -> AbstractAsyncContextManager[AsyncIterator[WatchEvent]]:
        return self._client.watch(
            self.resource,
            resource_version=self._version,
            seconds=random.randint(*WATCH_SECONDS),  # noqa: S311  # jitter, not a secret
            inactivity=INACTIVITY,
            namespace=self._selection.namespace,
            selector=self._selection.selector,
            send_initial_events=send_initial_events,
        )

    async def _follow(self, events: AsyncIterator[WatchEvent]) -> None:
        self._progress = False
        async for event in events:
            self._handle(event)
            self._note_progress()

    def _handle(self, event: WatchEvent) -> None:
        if event.type == "ERROR":
            raise from_status(event.object, request=f"WATCH {self.resource}")
        version = self._version_of(event)
        if event.type == "DELETED":
            self._store.delete(self._address(event.object))
        elif event.type in ("ADDED", "MODIFIED"):
            obj = event.object
            self._store.put(self._address(obj), self._project(obj), obj)
        self._version = version

    def _version_of(self, event: WatchEvent) -> str:
        metadata = event.object.get("metadata")
        if not isinstance(metadata, dict) or "resourceVersion" not in metadata:
            raise TransportError(f"a {event.type} event without resourceVersion ({self.resource})")
        return str(metadata["resourceVersion"])

    def _address(self, obj: Any) -> str:
        """Name an object within its kind: ``namespace/name`` or ``name``.

        Raises TransportError for what is no object: a server's slip must not end the watch.
        """
        metadata = obj.get("metadata") if isinstance(obj, dict) else None
        name = metadata.get("name") if isinstance(metadata, dict) else None
        if not isinstance(metadata, dict) or not isinstance(name, str):
            raise TransportError(f"the server sent something that is no object ({self.resource})")
        namespace = metadata.get("namespace") or ""
        return f"{namespace}/{name}" if namespace else name

    def _note_success(self) -> None:
        if self.error is not None:
            logger.info("watching again", extra=log.fields(kind=str(self.resource)))
        self.error = None
        self.state = State.SYNCED
        self._settled.set()

    def _note_progress(self) -> None:
        """The watch works: what went wrong before it is over."""
        self._progress = True
        self._gone = False
        self._disconnects = 0
        self._backoff.reset()
        if self.error is not None:
            self._note_success()

    def _note_failure(self, error: KubeError) -> None:
        # Said once a cause; back-off repeats it in silence.
        if str(error) != str(self.error):
            fields = log.fields(kind=str(self.resource), error=str(error))
            logger.warning("cannot watch, retrying", extra=fields)
        self.error = error
        if not self._version:
            self.state = State.FAILING
        self._settled.set()
