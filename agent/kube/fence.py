"""The fence: no write request leaves the process unless its writer holds the Lease at that moment.

The transport asks a writer's fence right before a write's bytes go out, again for each retry. A
process that was stopped (SIGSTOP, a suspended machine) and goes on after its Lease expired
therefore sends nothing: its clock ran on meanwhile. What no client can exclude is being stopped
between the check and the system call after it, and a request that is slow on its way; for these
``lease-duration`` minus ``renew-deadline`` is the margin, and what writes carry (UID and
resourceVersion of a deletion) the second line of defence.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from agent.kube.errors import KubeError

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
"""Methods that a fence stops. Dry-runs are among them: a webhook behind one may have effects."""

Clock = Callable[[], float]

# CLOCK_MONOTONIC stands still while the machine is suspended, and a Lease runs out meanwhile.
# Linux alone has the other one. Neither can be set, so no change of the wall clock matters.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def clock() -> float:
    """Return seconds since some point, by a clock that no one sets and that runs in suspend."""
    return time.clock_gettime(_CLOCK)


class LostLease(KubeError):
    """A write was not sent because the Lease that allows it is not held (any more)."""

    retryable = False


class Fence(Protocol):
    """What allows writes."""

    def check(self, request: str) -> None:
        """Return if the request may be sent now. Raises LostLease."""


class Open:
    """Allows everything: there is no election, or the request is the Lease's own."""

    def check(self, request: str) -> None:
        """Return."""


class Shut:
    """Allows nothing: for whoever forgot to say under which Lease it writes."""

    def check(self, request: str) -> None:
        """Raise LostLease."""
        raise LostLease(f"not sent, because it belongs to no Lease: {request}")


OPEN = Open()
SHUT = Shut()


@dataclass(frozen=True, slots=True)
class Lane:
    """How requests travel: their writes under ``fence``, None for the transport's own.

    ``urgent`` ones wait for no other request.
    """

    fence: Fence | None = None
    urgent: bool = False


LANE = Lane()
"""That of requests which belong to nobody in particular."""


class LeaseFence:
    """Allows writes for ``good_for`` seconds after a renewal was sent, until closed for good.

    One is made for each term of leadership and never opened again, so that a writer left over from
    an earlier term is stopped in a later one too. ``lease`` is for messages; ``lost`` is set when
    the fence closes.
    """

    def __init__(
        self, lease: str, *, good_for: float, renewed: float, clock: Clock = clock
    ) -> None:
        self.lost = asyncio.Event()
        self._lease = lease
        self._good_for = good_for
        self._renewed = renewed
        self._clock = clock

    def extend(self, renewed: float) -> None:
        """Count from a renewal that was *sent* at this time: the server had it later."""
        self._renewed = max(self._renewed, renewed)

    def remaining(self) -> float:
        """Return the seconds for which writes are allowed; closes the fence at 0."""
        left = self._renewed + self._good_for - self._clock()
        if left <= 0:
            self.close()
        return 0.0 if self.lost.is_set() else left

    def close(self) -> None:
        """Allow nothing from now on."""
        self.lost.set()

    def check(self, request: str) -> None:
        """Return if the Lease is certainly held. Raises LostLease, and closes the fence."""
        if self.remaining() <= 0:
            raise LostLease(
                f"not sent, because Lease {self._lease} is no longer held: {request}; "
                "the replica that holds it does the work"
            )
