"""One Lease of coordination.k8s.io/v1: read, create, update, each only if it is as it was seen.

Knows nothing of who should hold it: ``election`` decides, ``reconcile.leadership`` acts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from agent.kube.client import Client
from agent.kube.errors import NotFound
from agent.kube.fence import OPEN
from agent.kube.resource import Resource
from agent.manifest.keys import JSONObject

LEASES = Resource(
    group="coordination.k8s.io",
    version="v1",
    kind="Lease",
    plural="leases",
    namespaced=True,
    verbs=frozenset({"get", "create", "update"}),
    has_status=False,
)


@dataclass(frozen=True, slots=True)
class Record:
    """What a Lease says (LeaseSpec). ``holder`` is "" when it was released.

    ``duration`` is in seconds; ``acquired`` and ``renewed`` are MicroTimes of the holder's wall
    clock, for people: they are compared for being the same, never with a clock.
    """

    holder: str
    duration: int
    acquired: str
    renewed: str
    transitions: int


@dataclass(frozen=True, slots=True)
class Stored:
    """A Lease as the server has it; ``body`` is all of it, with its UID and resourceVersion."""

    record: Record
    body: JSONObject = field(repr=False)


class LeaseLock:
    """One Lease by name. Its requests are urgent, and not under any fence: they make it."""

    def __init__(self, client: Client, *, namespace: str, name: str) -> None:
        self.namespace = namespace
        self.name = name
        self._client = client.under(OPEN, urgent=True)

    def __str__(self) -> str:
        """Return ``namespace/name``."""
        return f"{self.namespace}/{self.name}"

    async def get(self) -> Stored | None:
        """Read the Lease, None when there is none. Raises KubeError."""
        try:
            return _stored(await self._client.get(LEASES, namespace=self.namespace, name=self.name))
        except NotFound:
            return None

    async def create(self, record: Record) -> Stored:
        """Make the Lease. Raises AlreadyExists when somebody was quicker, and other KubeErrors."""
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": _spec(record),
        }
        return _stored(await self._client.create(LEASES, body, namespace=self.namespace))

    async def update(self, seen: Stored, record: Record) -> Stored:
        """Write a record over the Lease that was seen.

        Raises Conflict when it was written, or deleted, since. It keeps the UID: an update without
        one would make a deleted Lease anew.
        """
        body = {**seen.body, "spec": {**(seen.body.get("spec") or {}), **_spec(record)}}
        return _stored(
            await self._client.update(LEASES, body, namespace=self.namespace, name=self.name)
        )


def whole_seconds(duration: float) -> int:
    """Return a duration as a Lease can say it; never less than it is."""
    return max(1, math.ceil(duration))


def micro_time(now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> str:
    """Return the wall clock's time as metav1.MicroTime writes it."""
    return now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _spec(record: Record) -> dict[str, Any]:
    return {
        "holderIdentity": record.holder,
        "leaseDurationSeconds": record.duration,
        "acquireTime": record.acquired,
        "renewTime": record.renewed,
        "leaseTransitions": record.transitions,
    }


def _stored(body: JSONObject) -> Stored:
    spec = body.get("spec") or {}  # somebody may have made an empty one by hand
    record = Record(
        holder=str(spec.get("holderIdentity") or ""),
        duration=int(spec.get("leaseDurationSeconds") or 0),
        acquired=str(spec.get("acquireTime") or ""),
        renewed=str(spec.get("renewTime") or ""),
        transitions=int(spec.get("leaseTransitions") or 0),
    )
    return Stored(record, body)
