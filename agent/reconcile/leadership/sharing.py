"""How replicas share tracks when each track has a Lease of its own.

Whoever holds more waits longer before it takes the next: replicas that start together end up with
about as many tracks each, and the tracks of one that ended go to those that have least. Nothing is
given back for the sake of balance: a hand-over costs more than an uneven share.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence

from agent.kube.fence import Clock, clock
from agent.reconcile.leadership.elector import Elector

_LONGEST = 2.0  # retry periods, before jitter, that one who holds everything leaves to others


class Share:
    """Counts what this replica holds or is about to take of ``total`` Leases."""

    def __init__(self, total: int, *, retry_period: float, clock: Clock = clock) -> None:
        self._total = total
        self._retry_period = retry_period
        self._clock = clock
        self._electors: Sequence[Elector] = ()
        self._claims: list[float] = []  # until when each of the announced takes is pending

    def among(self, electors: Sequence[Elector]) -> None:
        """Say which electors the share is of."""
        self._electors = electors

    def handicap(self) -> float:
        """Return how many seconds to leave a free Lease to others."""
        now = self._clock()
        self._claims = [until for until in self._claims if until > now]
        part = min(1.0, (_held(self._electors) + len(self._claims)) / self._total)
        delay = _LONGEST * self._retry_period * part * random.uniform(0.5, 1.5)  # noqa: S311
        self._claims.append(now + delay + self._retry_period)  # the take has its requests to make
        return delay


def _held(electors: Collection[Elector]) -> int:
    return sum(elector.is_leader for elector in electors)
