"""How many requests may be under way at once: a number that follows the server. Pure.

Additive increase, multiplicative decrease, as TCP: while answers come about as fast as the server
has ever given them, and more requests wait, one more is allowed; when they come slower, an eighth
fewer are, because what is sent then only queues there, before everybody else's. A server that
refuses for being busy (429, 503 with Retry-After) gets half as many, and none at all for as long
as it asks. Time comes in, nothing here waits; ``slots`` does.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from statistics import median
from typing import Final

FLOOR: Final = 4
"""Requests at once that are always allowed, outside of pauses."""

START: Final = 16
"""Requests at once while nothing is known of the server, and at most to one at hand: more of them
only wait there, each on a connection of its own."""

CAP: Final = 32
"""Requests at once at most to a far server, where more are on their way than are worked on."""

FAR: Final = 0.02
"""Seconds that even the best answer takes from a far server, or one that waits for its disk."""

WINDOW: Final = 32
"""Answers that are judged together: those to all requests that can be under way at once."""

TOLERANCE: Final = 3.0
"""Times the best latency from which on answers are slow."""

QUICK: Final = 0.05
"""Seconds: a best latency below counts as this one, so that no answer within TOLERANCE times it is
slow. A server at hand that has all its cores busy is as slow, and not in trouble."""

MEMORY: Final = 300.0
"""Seconds after which a best latency is of the period before, and twice as many after which it is
forgotten: a server that is slower for good is measured by what it can do now."""

CALM: Final = 1.0
"""Seconds in which refusals halve the limit once: they come from all that were under way."""


@dataclass(slots=True)
class _Best:
    """The best latency of a kind of request, of this period and the one before, in seconds."""

    since: float
    now: float
    before: float

    def update(self, seconds: float, *, now: float) -> float:
        """Count an answer and return the best that is remembered."""
        if now - self.since > MEMORY:
            self.since, self.before, self.now = now, self.now, seconds
        self.now = min(self.now, seconds)
        return min(self.now, self.before)


class Limit:
    """The number ``allowed``, and what it follows. Times are seconds on one monotonic clock."""

    def __init__(self, *, floor: int = FLOOR, start: int = START, cap: int = CAP) -> None:
        self.allowed = start
        self._floor = floor
        self._start = start
        self._cap = cap
        self._best: dict[Hashable, _Best] = {}
        self._slowness: list[float] = []
        self._far = 0  # how many of these came from far
        self._paused_until = 0.0
        self._calm_until = 0.0

    def answered(self, kind: Hashable, seconds: float, *, now: float, wanted: bool) -> None:
        """Count an answer that took so long.

        Requests of one ``kind`` take about as long as each other on an idle server, so a webhook
        that makes one kind slow is no busy server. ``wanted`` is whether other requests wait.
        """
        best = self._best.setdefault(kind, _Best(now, seconds, seconds)).update(seconds, now=now)
        self._slowness.append(seconds / max(QUICK, best))
        self._far += best >= FAR
        if len(self._slowness) < WINDOW:
            return
        slowness = median(self._slowness)  # some slow ones are no slow server
        cap = self._cap if self._far > WINDOW / 2 else self._start
        self._forget_window()
        if slowness > TOLERANCE:
            self.allowed = max(self._floor, self.allowed - max(1, self.allowed // 8))
        elif self.allowed > cap:
            self.allowed -= 1
        elif wanted:
            self.allowed = min(cap, self.allowed + 1)

    def refused(self, seconds: float, *, now: float) -> None:
        """Count a refusal that asks all to wait for so long."""
        self._paused_until = max(self._paused_until, now + seconds)
        if now < self._calm_until:
            return
        self._calm_until = now + max(CALM, seconds)
        self._forget_window()
        self.allowed = max(self._floor, self.allowed // 2)

    def _forget_window(self) -> None:
        self._slowness.clear()
        self._far = 0

    def pause(self, now: float) -> float:
        """Return the seconds for which nothing may be sent yet, 0 when something may."""
        return max(0.0, self._paused_until - now)
