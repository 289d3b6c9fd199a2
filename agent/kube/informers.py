"""Informers: one reflector and one store for each kind in use, started when first asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from agent.aio.supervise import forever
from agent.kube.client import Client
from agent.kube.reflector import Reflector, Selection, State
from agent.kube.resource import Resource
from agent.kube.store import Store
from agent.kube.watchlist import WatchLists
from agent.manifest.keys import JSONObject

R = TypeVar("R")

Project = Callable[[JSONObject, Resource], R]
OnChange = Callable[[Resource, R | None, R | None, JSONObject | None], None]


@dataclass(frozen=True, slots=True)
class Informer(Generic[R]):
    """The watch on one kind: its records, and whether they can be trusted."""

    resource: Resource
    store: Store[R]
    reflector: Reflector[R]

    @property
    def synced(self) -> bool:
        """True once the whole kind was listed; false while it cannot be watched."""
        return self.reflector.state is State.SYNCED

    @property
    def problem(self) -> str:
        """Why the kind cannot be watched, or ""."""
        return str(self.reflector.error or "")


class Informers(Generic[R]):
    """All informers of one agent, in one TaskGroup that outlives them.

    ``project`` makes the record of an object, ``on_change`` hears of every difference, ``on_gone``
    of a kind that the server does not have any more; all must be quick. ``selector`` and
    ``namespace`` limit what is listed and watched.
    """

    def __init__(
        self,
        *,
        client: Client,
        tasks: asyncio.TaskGroup,
        project: Project[R],
        on_change: OnChange[R],
        on_gone: Callable[[Resource], None],
        selector: str,
        namespace: str,
    ) -> None:
        self._client = client
        self._watch_lists = WatchLists(client)
        self._tasks = tasks
        self._project = project
        self._on_change = on_change
        self._on_gone = on_gone
        self._selector = selector
        self._namespace = namespace
        self._informers: dict[Resource, Informer[R]] = {}
        self._running: list[asyncio.Task[None]] = []

    def __iter__(self) -> Iterator[Informer[R]]:
        """Iterate over a snapshot."""
        return iter(list(self._informers.values()))

    async def ensure(self, resource: Resource) -> Informer[R]:
        """Return the informer of a kind after its first list succeeded or failed.

        A kind that cannot be watched is not an error: ``synced`` is false and ``problem`` says
        why, while the reflector goes on trying alone.
        """
        informer = self._informers.get(resource) or self._start(resource)
        await informer.reflector.settled()
        return informer

    def known(self, resource: Resource) -> Informer[R] | None:
        """Return the informer of a kind if there is one, without waiting."""
        return self._informers.get(resource)

    def stop(self) -> None:
        """End all watches."""
        for task in self._running:
            task.cancel()

    def _start(self, resource: Resource) -> Informer[R]:
        store: Store[R] = Store(partial(self._on_change, resource))
        reflector = Reflector(
            client=self._client,
            resource=resource,
            project=lambda obj: self._project(obj, resource),
            store=store,
            on_gone=lambda: self._on_gone(resource),
            selection=Selection(
                selector=self._selector,
                namespace=self._namespace if resource.namespaced else "",
            ),
            watch_lists=self._watch_lists,
        )
        informer = Informer(resource=resource, store=store, reflector=reflector)
        self._informers[resource] = informer
        name = f"watch {resource}"
        self._running.append(self._tasks.create_task(forever(name, reflector.run), name=name))
        return informer
