"""Update strategies: how an object that exists is brought in step (faros.md 9.6, 17.17-17.19)."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from agent.manifest.keys import JSONObject
from agent.plan.errors import PlanError

ANNOTATIONS: Final = ("lightkeeper.dev/update-strategy", "faros.pusher.com/update-strategy")


class UpdateStrategy(StrEnum):
    """What to do with an object that is there already."""

    UPDATE = "update"
    """Patch it; never delete it."""
    NEVER = "never"
    """Mark it as ours and leave it alone; create it when it is missing."""
    RECREATE = "recreate"
    """Patch it; delete and create it where the server cannot change it in place."""


def strategy_of(desired: JSONObject) -> UpdateStrategy:
    """Return the strategy that git's manifest asks for; UPDATE when it says nothing.

    Raises PlanError for an unknown value, and for two annotations that disagree.
    """
    annotations = desired["metadata"].get("annotations") or {}
    given = {name: annotations[name] for name in ANNOTATIONS if name in annotations}
    if len(set(map(str, given.values()))) > 1:
        raise PlanError(f"{ANNOTATIONS[0]} and {ANNOTATIONS[1]} disagree: keep one of them")
    for name, value in given.items():
        try:
            return UpdateStrategy(str(value))
        except ValueError:
            known = ", ".join(strategy.value for strategy in UpdateStrategy)
            raise PlanError(
                f"invalid update strategy: {value} (annotation {name}); use one of {known}"
            ) from None
    return UpdateStrategy.UPDATE
