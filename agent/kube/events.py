"""The writer of core/v1 Events: what people see in ``kubectl describe`` and ``kubectl events``.

Events are a courtesy: handing one over never waits and never fails, one task writes them in the
background, and what cannot be written is said once in the log and let go.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

from agent import log
from agent.aio.backoff import Backoff
from agent.kube.client import Client
from agent.kube.errors import AlreadyExists, Forbidden, KubeError, NotFound
from agent.kube.eventseries import Correlator, Event, Series
from agent.kube.resource import Resource
from agent.manifest.keys import JSONObject

logger = logging.getLogger(__name__)

EVENTS = Resource(
    group="",
    version="v1",
    kind="Event",
    plural="events",
    namespaced=True,
    verbs=frozenset({"create", "patch"}),
    has_status=False,
)

COMPONENT = "lightkeeper"
"""Who reports: ``source.component`` and ``reportingComponent``."""

QUEUE = 1000
"""Events that wait to be written; more are dropped."""

GATHER = 1.0
"""Seconds between two rounds of writing, in which repeats become one request."""

ATTEMPTS = 12
"""Times an Event is tried while the server cannot be reached, as in client-go."""

_RETRY = (1.0, 60.0)
_MERGE_PATCH = "application/merge-patch+json"


class EventRecorder:
    """Takes Events and writes them; ``run`` is its background task.

    ``instance`` is the pod's name. ``clock`` gives Unix seconds. One event loop only.
    """

    def __init__(
        self, client: Client, *, instance: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._instance = instance
        self._clock = clock
        self._correlator = Correlator()
        self._pending: dict[Series, int] = {}  # the attempts that failed so far
        self._arrived = asyncio.Event()
        self._writing = asyncio.Lock()
        self._last_stamp = 0
        self._complaint = ""

    def record(self, event: Event) -> None:
        """Hand over an Event; returns at once."""
        now = self._clock()
        series = self._correlator.observe(event, now=now)
        if series in self._pending:
            return
        if len(self._pending) >= QUEUE or not self._correlator.admit(event, now=now):
            logger.debug("event dropped", extra=log.fields(reason=event.reason))
            return
        self._pending[series] = 0
        self._arrived.set()

    async def run(self) -> None:
        """Write what was handed over, for ever."""
        backoff = Backoff(*_RETRY)
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            if await self._write_pending():
                backoff.reset()
                await asyncio.sleep(GATHER)
            else:
                await asyncio.sleep(backoff.next())
                self._arrived.set()

    async def drain(self, deadline: float) -> None:
        """Write what is left, for at most ``deadline`` seconds; the rest is dropped."""
        try:
            async with asyncio.timeout(deadline):
                await self._write_pending()
        except TimeoutError:
            logger.debug("events dropped", extra=log.fields(count=len(self._pending)))

    async def _write_pending(self) -> bool:
        """Write what is pending now, each once; False when the server cannot be reached."""
        async with self._writing:
            for series in list(self._pending):
                failures = self._pending.pop(series)
                try:
                    await self._write(series)
                    self._complaint = ""
                except KubeError as error:
                    self._complain(error)
                    if error.retryable and failures + 1 < ATTEMPTS:
                        self._pending.setdefault(series, failures + 1)
                        return False
            return True

    def _complain(self, error: KubeError) -> None:
        """Say once that Events cannot be written; again only after a success or a new kind."""
        kind = type(error).__name__
        if kind == self._complaint:
            return
        self._complaint = kind
        hint = "; allow create and patch of events" if isinstance(error, Forbidden) else ""
        logger.warning("events cannot be written", extra=log.fields(error=f"{error}{hint}"))

    async def _write(self, series: Series) -> None:
        """Count up the Event in the cluster, or make it if it is not there (any more)."""
        if series.written:
            try:
                return await self._patch(series)
            except NotFound:  # Events live for an hour, or as long as the server was told
                series.written, series.name = False, ""
        if not series.name:
            series.name = f"{series.event.about.name}.{self._stamp():x}"
        try:
            await self._client.create(
                EVENTS, self._render(series), namespace=series.event.about.namespace
            )
        except AlreadyExists:  # nobody else has this name: made by an attempt whose answer got lost
            await self._patch(series)
        series.written = True

    async def _patch(self, series: Series) -> None:
        await self._client.patch(
            EVENTS,
            {
                "count": series.count,
                "lastTimestamp": _rfc3339(series.last),
                "message": series.message,
            },
            namespace=series.event.about.namespace,
            name=series.name,
            content_type=_MERGE_PATCH,
        )

    def _stamp(self) -> int:
        """Return nanoseconds that were not used before, for a name as client-go's."""
        self._last_stamp = max(self._last_stamp + 1, int(self._clock() * 1e9))
        return self._last_stamp

    def _render(self, series: Series) -> JSONObject:
        event, about = series.event, series.event.about
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": series.name, "namespace": about.namespace},
            "involvedObject": {
                "apiVersion": about.api_version,
                "kind": about.kind,
                "namespace": about.namespace,
                "name": about.name,
                "uid": about.uid,
            },
            "type": event.type,
            "reason": event.reason,
            "message": series.message,
            "count": series.count,
            "firstTimestamp": _rfc3339(series.first),
            "lastTimestamp": _rfc3339(series.last),
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            "reportingInstance": self._instance,
        }


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
