"""Which Events are one: repeats counted, similar ones combined, spam dropped.

As client-go's EventCorrelator, with its figures, and two differences. A token bucket belongs to a
reason, not to all Events of an object: a roll-out of a thousand objects must not hide that its
deletions are held. And what is dropped is still counted, so the next write tells the right number.

Pure: the time is handed in. Nothing here makes a request.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

WINDOW = 600.0
"""Seconds without a repeat after which an equal Event is a new one."""

MAX_SIMILAR = 10
"""Messages of one reason that get an Event each; further ones share one."""

COMBINED = "(combined from similar events): "
"""What client-go writes before the latest message of those that share one."""

BURST = 25
"""Writes of one object and reason that may come at once."""

REFILL = 300.0
"""Seconds after which one more may come."""

MESSAGE_LIMIT = 1024
"""Characters that an API server accepts as an Event's message."""


@dataclass(frozen=True, slots=True)
class ObjectReference:
    """The object an Event is about (core/v1 ObjectReference)."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to an object; ``reason`` is one CamelCase word for machines."""

    about: ObjectReference
    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(slots=True, eq=False)
class Series:
    """One Event object in the making: how often it happened, first and last, in Unix seconds.

    ``name`` is that of the Event in the cluster, "" until one was chosen; ``written`` tells that
    it is there.
    """

    event: Event
    first: float
    last: float
    message: str = ""
    count: int = 0
    name: str = ""
    written: bool = False


@dataclass(slots=True)
class _Bucket:
    tokens: float = BURST
    filled_at: float = 0.0

    def take(self, now: float) -> bool:
        """Take a token if there is one. A clock set back fills nothing."""
        gained = max(0.0, now - self.filled_at) / REFILL
        self.tokens, self.filled_at = min(BURST, self.tokens + gained), now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass(slots=True)
class _Group:
    """The Events of one object and reason, by message; "" is the one that combines the rest."""

    bucket: _Bucket = field(default_factory=_Bucket)
    series: dict[str, Series] = field(default_factory=dict)


class Correlator:
    """Finds the series of each Event. Memory is bounded by the objects and reasons there are."""

    def __init__(self) -> None:
        self._groups: dict[tuple[ObjectReference, str, str], _Group] = {}

    def observe(self, event: Event, *, now: float) -> Series:
        """Count an Event and return its series; ``now`` is in Unix seconds."""
        group = self._group(event)
        message = _shortened(event.message)
        group.series = {
            text: series
            for text, series in group.series.items()
            if abs(now - series.last) <= WINDOW  # abs: also after the clock was set back
        }
        alone = message in group.series or len(group.series) < MAX_SIMILAR
        series = group.series.setdefault(
            message if alone else "", Series(event, first=now, last=now)
        )
        series.message = message if alone else _shortened(COMBINED + message)
        series.last = now
        series.count += 1
        return series

    def admit(self, event: Event, *, now: float) -> bool:
        """Say whether one more write for this object and reason is no spam."""
        return self._group(event).bucket.take(now)

    def _group(self, event: Event) -> _Group:
        return self._groups.setdefault((event.about, event.type, event.reason), _Group())


def _shortened(message: str) -> str:
    """Cut a message to what the server accepts."""
    return message if len(message) <= MESSAGE_LIMIT else message[: MESSAGE_LIMIT - 3] + "..."
