"""Whether a Lease may be taken: client-go's algorithm, pure.

Nobody's clock is compared with anybody else's. A candidate notes when *it* first saw what the
Lease says, by its own clock; what has not changed for the duration that it says has no holder any
more. Times here are seconds of that clock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from agent.kube.lease import Record, Stored


@dataclass(frozen=True, slots=True)
class Observation:
    """What a candidate saw last: ``record`` first at the time ``since``.

    ``stored`` is None when there is no Lease (any more). The record of one that vanished stays: its
    holder may not know yet that it is gone, and writes on.
    """

    record: Record | None
    since: float
    stored: Stored | None


def observe(before: Observation | None, stored: Stored | None, *, now: float) -> Observation:
    """Take in what the server answered; ``now`` is after the answer."""
    if before is None:
        return Observation(stored.record if stored else None, now, stored)
    if stored is None or stored.record == before.record:
        return replace(before, stored=stored)
    return Observation(stored.record, now, stored)


def held_for(seen: Observation, *, now: float, fallback: float) -> float:
    """Return the seconds for which the holder must be respected; 0 when the Lease is free.

    ``fallback`` is the duration of a Lease that says none, as one made by hand may.
    """
    if seen.record is None or not seen.record.holder:
        return 0.0
    return max(0.0, seen.since + (seen.record.duration or fallback) - now)


def acquired(seen: Record | None, *, identity: str, duration: int, wall_time: str) -> Record:
    """Return what a candidate writes to become the holder."""
    if seen is None:
        return Record(identity, duration, wall_time, wall_time, 0)
    if seen.holder == identity:
        return renewed(seen, duration=duration, wall_time=wall_time)
    return Record(identity, duration, wall_time, wall_time, seen.transitions + 1)


def renewed(seen: Record, *, duration: int, wall_time: str) -> Record:
    """Return what the holder writes to stay it."""
    return replace(seen, duration=duration, renewed=wall_time)


def released(seen: Record, *, wall_time: str) -> Record:
    """Return what the holder writes to let others in at once."""
    return Record("", 1, wall_time, wall_time, seen.transitions)
