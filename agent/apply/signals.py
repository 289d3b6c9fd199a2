"""What people ask of a track by annotations of its ConfigMap. Pure.

Each is an annotation, so that ``kubectl annotate`` does what the command line does, and so that it
outlives both the agent and the person.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from agent.manifest.keys import JSONObject

APPROVED: Final = "lightkeeper.dev/approved"
"""Annotation: the held plan whose deletions may happen."""

SUSPENDED: Final = "lightkeeper.dev/suspended"
"""Annotation: nothing is fetched or written for the track; the value says since when and by whom.
``false`` counts as not there."""

REQUESTED: Final = "lightkeeper.dev/reconcile-requested-at"
"""Annotation: a pass is wanted now. Any value that differs from the status' lastHandledReconcileAt,
as with Flux' ``reconcile.fluxcd.io/requestedAt``."""


@dataclass(frozen=True, slots=True)
class Signals:
    """The values of the annotations, "" for one that is not there."""

    approved: str = ""
    suspended: str = ""
    requested: str = ""

    @classmethod
    def of(cls, config_map: JSONObject) -> Signals:
        """Read them from a live ConfigMap."""
        annotations = config_map["metadata"].get("annotations") or {}
        suspended = str(annotations.get(SUSPENDED) or "")
        return cls(
            approved=str(annotations.get(APPROVED) or ""),
            suspended="" if suspended.lower() == "false" else suspended,
            requested=str(annotations.get(REQUESTED) or ""),
        )
