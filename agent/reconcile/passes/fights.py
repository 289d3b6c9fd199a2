"""Which objects of a track are fought over, and until when each is left as it is.

One entry an object that was put back lately; nothing for all others. An object that is put back
too often is left alone for FIRST seconds, then put back once more; each time that is undone again
the pause doubles, up to LONGEST. A new commit that changes the object, or its staying in step for
the length of a pause, ends the fight. Kept in memory only: after a restart it is found out anew.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from agent import log
from agent.manifest.keys import ObjectKey
from agent.plan import fights
from agent.plan.fights import PutBack, Writer

logger = logging.getLogger(__name__)

FIRST = 10.0
"""Seconds of the first pause."""

LONGEST = 600.0
"""Seconds of the longest pause."""

LIMIT = 1000
"""Objects that are kept in mind at most; the one put back longest ago is forgotten first."""

_HISTORY = 50  # repairs of one object that are kept in mind
_SWEEP = 10.0  # seconds between two looks at all that is kept in mind


@dataclass(frozen=True, slots=True)
class Fight:
    """An object that is left as it is: why, and for how many seconds yet.

    ``new`` is true once, when the fight is found out.
    """

    text: str
    remaining: float
    new: bool = False


@dataclass(slots=True)
class _Watched:
    """An object that was put back lately; ``fields`` is not empty once it is fought over."""

    desired: bytes
    history: deque[PutBack] = field(default_factory=lambda: deque(maxlen=_HISTORY))
    fields: tuple[str, ...] = ()
    times: int = 0
    since: float = 0.0
    pause: float = 0.0
    until: float = 0.0
    text: str = ""


class Fights:
    """The fights of one track. ``clock`` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._watched: dict[ObjectKey, _Watched] = {}
        self._swept_at = clock()

    def __len__(self) -> int:
        """Return how many objects are kept in mind."""
        return len(self._watched)

    @property
    def ongoing(self) -> int:
        """How many objects are fought over."""
        return sum(1 for watched in self._watched.values() if watched.fields)

    def pausing(self, key: ObjectKey, desired: bytes, *, in_step: bool) -> Fight | None:
        """Return the fight that says to leave an object as it is now, None to go on.

        ``desired`` is the digest of what git wants; ``in_step`` that live is known to be that.
        """
        watched = self._watched.get(key)
        if watched is None:
            return None
        if watched.desired != desired:
            self._forget(key, "a new commit changes it")
            return None
        remaining = watched.until - self._clock()
        if watched.fields and remaining > 0:
            return Fight(watched.text, remaining)
        if watched.fields and in_step:
            self._forget(key, "it stayed in step")
        return None

    def is_watched(self, key: ObjectKey) -> bool:
        """Tell whether an object was put back lately."""
        return key in self._watched

    def put_back(
        self, key: ObjectKey, desired: bytes, fields: tuple[str, ...], writer: Writer | None
    ) -> Fight | None:
        """Note that an object was put back, and return the fight if that makes or keeps it one."""
        now = self._clock()
        watched = self._entry(key, desired, now)
        if watched.fields and not set(fields) & set(watched.fields):
            self._forget(key, "other fields drift now")
            watched = self._entry(key, desired, now)
        watched.history.append(PutBack(now, fields))
        if watched.fields:
            watched.times += 1
            watched.pause = min(2 * watched.pause, LONGEST)
        elif found := fights.contested(watched.history, now=now):
            watched.fields, watched.pause = found, FIRST
            repairs = [r.at for r in watched.history if set(r.fields) & set(found)]
            watched.times, watched.since = len(repairs), repairs[0]
        else:
            return None
        watched.until = now + watched.pause
        watched.text = fights.describe(
            key,
            watched.fields,
            writer=writer,
            times=watched.times,
            seconds=now - watched.since,
            pause=watched.pause,
        )
        return Fight(watched.text, watched.pause, new=watched.pause == FIRST)

    def found_in_step(self, key: ObjectKey) -> None:
        """Note that an object whose pause is over needed nothing: nobody undid our last repair."""
        watched = self._watched.get(key)
        if watched is not None and watched.fields:
            self._forget(key, "it stayed in step")

    def _entry(self, key: ObjectKey, desired: bytes, now: float) -> _Watched:
        """Return the entry of an object, moved to the end; make room for it when it is new."""
        watched = self._watched.pop(key, None)
        if watched is None or watched.desired != desired:
            self._sweep(now)
            watched = _Watched(desired)
        self._watched[key] = watched
        return watched

    def _sweep(self, now: float) -> None:
        """Forget objects that nothing was heard of for a while, and what is too much."""
        if now - self._swept_at >= _SWEEP:  # not for each of hundreds that are put back at once
            self._swept_at = now
            stale = [
                key
                for key, watched in self._watched.items()
                if now - max(watched.until, watched.history[-1].at) > fights.WINDOW
            ]
            for key in stale:
                del self._watched[key]
        while len(self._watched) >= LIMIT:
            del self._watched[next(iter(self._watched))]

    def _forget(self, key: ObjectKey, why: str) -> None:
        if self._watched.pop(key).fields:
            logger.info("fight over", extra=log.fields(object=str(key), reason=why))
