"""Hears what people ask of the tracks, at once: a watch on the agent's own ConfigMaps.

Where they may not be listed and watched, each pass reads its track's ConfigMap instead, so the same
is noticed at the next poll. Must not act: tracks do.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from agent import log
from agent.apply.inventory import CONFIG_MAPS, ID_LABEL
from agent.apply.signals import Signals
from agent.kube.client import Client
from agent.kube.errors import Forbidden
from agent.kube.reflector import Reflector, Selection, State
from agent.kube.store import Store
from agent.manifest import marks
from agent.manifest.keys import JSONObject

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Suspension:
    """Whether a track stands still: ``by`` is since when and by whom, "" when it does not.

    Shared by all that writes for the track, which looks at it right before each write.
    """

    by: str = ""

    def __bool__(self) -> bool:
        return bool(self.by)


class SignalWatch:
    """The watch on the ConfigMaps of one agent's tracks in ``namespace``.

    ``on_change`` is called with a track's name and its signals when they differ from before, None
    when the ConfigMap was deleted, and must be quick. Until ``run`` is started it knows of nothing.
    """

    def __init__(
        self,
        client: Client,
        *,
        agent: str,
        namespace: str,
        on_change: Callable[[str, Signals | None], None],
    ) -> None:
        self._agent = agent
        self._namespace = namespace
        self._on_change = on_change
        self._store: Store[_Heard] = Store(self._tell)
        self._reflector = Reflector(
            client=client,
            resource=CONFIG_MAPS,
            project=self._project,
            store=self._store,
            on_gone=lambda: None,
            selection=Selection(selector=f"{marks.AGENT}={agent},{ID_LABEL}", namespace=namespace),
        )
        self._running = False
        self._said = False

    async def run(self) -> None:
        """List and watch for ever."""
        self._running = True
        await self._reflector.run()

    async def of(self, track: str) -> Signals | None:
        """Return a track's signals, None when they are not known and have to be read."""
        if not self._running:
            return None
        await self._reflector.settled()
        if self._reflector.state is not State.SYNCED:
            self._say_why()
            return None
        heard = self._store.get(namespace=self._namespace, name=f"{self._agent}.{track}")
        return heard.signals if heard else Signals()

    def _say_why(self) -> None:
        if not self._said and isinstance(self._reflector.error, Forbidden):
            self._said = True
            logger.warning(
                "approve, suspend, resume and reconcile are noticed at the next poll only",
                extra=log.fields(
                    reason=f"no right to list and watch configmaps in {self._namespace}"
                ),
            )

    def _project(self, config_map: JSONObject) -> _Heard:
        name = str(config_map["metadata"]["name"])
        return _Heard(name.removeprefix(f"{self._agent}."), Signals.of(config_map))

    def _tell(self, old: _Heard | None, new: _Heard | None, body: JSONObject | None) -> None:
        """Tell of signals that changed, and of a ConfigMap that is gone with all that is in it."""
        _ = body
        if new is None and old is not None:
            self._on_change(old.track, None)
        elif new is not None and new.signals != (old.signals if old else Signals()):
            self._on_change(new.track, new.signals)


@dataclass(frozen=True, slots=True)
class _Heard:
    track: str
    signals: Signals
