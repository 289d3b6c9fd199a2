"""The ``[leader-election]`` table: its keys, their flags, and what must hold between its times.

Pure. Faros' three flags keep their names: ``--leader-election`` is ``enabled``, and every other
key is ``--leader-election-KEY``, a variable likewise (faros.md section 2).
"""

from __future__ import annotations

from collections.abc import Mapping

from agent.config import values
from agent.config.durations import format_duration
from agent.config.model import LeaderElection
from agent.config.tables import Reading, Schema
from agent.config.values import Fault

TABLE = "leader-election"

JITTER = 1.2
"""How much longer than ``retry-period`` a pause between two attempts can be, as a factor."""

_SHORTEST_LEASE = 1.0  # seconds; the Lease holds whole ones
_SHORTEST_TIME = 0.001

SCHEMA: Schema = {
    "enabled": values.boolean,
    "id": values.lease_name,
    "namespace": values.optional_label,
    "mode": values.election_mode,
    "lease-duration": values.duration(minimum=_SHORTEST_LEASE),
    "renew-deadline": values.duration(minimum=_SHORTEST_TIME),
    "retry-period": values.duration(minimum=_SHORTEST_TIME),
    "identity": values.identity,
}

FLAGS: Mapping[str, str] = {key: TABLE if key == "enabled" else f"{TABLE}-{key}" for key in SCHEMA}
"""The flag of each key, without ``--``."""


def check_times(reading: Reading) -> None:
    """Add a fault where the times cannot keep two leaders apart (client-go's inequalities)."""
    times = LeaderElection(**{name: v for name, v in reading.values.items() if name in _TIMES})
    lease, deadline, retry = times.lease_duration, times.renew_deadline, times.retry_period
    if lease <= deadline:
        reading.faults.append(
            Fault(
                f"{_shown(lease)} is not longer than renew-deadline, {_shown(deadline)}: a leader "
                "must stop before another may start; raise it or lower renew-deadline",
                ("lease-duration",),
            )
        )
    if deadline <= JITTER * retry:
        reading.faults.append(
            Fault(
                f"{_shown(deadline)} is not longer than {JITTER} times retry-period, "
                f"{_shown(retry)}: one failed renewal would end the leadership; raise it or lower "
                "retry-period",
                ("renew-deadline",),
            )
        )


_TIMES = ("lease_duration", "renew_deadline", "retry_period")


def _shown(seconds: float) -> str:
    return format_duration(seconds)
