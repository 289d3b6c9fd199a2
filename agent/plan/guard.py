"""The prune guard: which deletions are carried out, which are held (DESIGN section 7).

A held plan is released by approving exactly it: the approval is bound to the digest of what would
be deleted, so a different plan needs a new approval.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from agent.manifest.keys import GroupKind
from agent.plan.ownership import Record

GUARDED_FROM = 10
"""The percentage applies once a track owns this many objects; below, one is already 10 %."""

PROTECTED = frozenset(
    {
        GroupKind("", "Namespace"),
        GroupKind("", "PersistentVolume"),
        GroupKind("", "PersistentVolumeClaim"),
        GroupKind("apiextensions.k8s.io", "CustomResourceDefinition"),
    }
)
"""Kinds whose deletion takes other people's data with it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which deletions may go ahead, which are held and why; ``digest`` names the held ones."""

    prune: tuple[Record, ...]
    held: tuple[Record, ...]
    reason: str
    digest: str


def judge(
    leftovers: Sequence[Record], *, kept: int, alive: int, limit_percent: float, approved: str
) -> Verdict:
    """Split leftovers into those to delete and those to hold.

    ``kept`` counts the objects that the track owned before and git still names, ``alive`` those
    that stay when all leftovers go, new ones included. ``approved`` is the digest that a person
    approved, "" for none.
    """
    held, reason = _to_hold(leftovers, kept=kept, alive=alive, limit_percent=limit_percent)
    digest = plan_digest(held) if held else ""
    if held and approved == digest:
        held, reason, digest = (), "", ""
    keep = {record.key for record in held}
    return Verdict(
        prune=tuple(record for record in leftovers if record.key not in keep),
        held=tuple(held),
        reason=reason,
        digest=digest,
    )


def _to_hold(
    leftovers: Sequence[Record], *, kept: int, alive: int, limit_percent: float
) -> tuple[Sequence[Record], str]:
    count = len(leftovers)
    owned = count + kept
    if count and not alive:
        return leftovers, f"it would delete everything the track owns ({count} objects)"
    if owned >= GUARDED_FROM and count * 100 > limit_percent * owned:
        return leftovers, (
            f"it would delete {count} of {owned} objects, more than prune-limit {limit_percent:g} %"
        )
    protected = [record for record in leftovers if record.key.group_kind in PROTECTED]
    kinds = sorted({record.key.kind for record in protected})
    return protected, f"{', '.join(kinds)} need an approval to be deleted" if protected else ""


def plan_digest(records: Sequence[Record]) -> str:
    """Name a set of deletions: same objects (by UID), same digest, in any order."""
    lines = sorted(f"{record.key} {record.uid}" for record in records)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]
