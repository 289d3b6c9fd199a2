"""Action and Outcome: what was decided for one object, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from agent.manifest.keys import ObjectKey
from agent.plan.fights import Writer
from agent.plan.ownership import Record


class Action(Enum):
    """What a plan does with one object."""

    CREATE = "create"
    UPDATE = "update"
    UNCHANGED = "unchanged"
    RECREATE = "recreate"
    PRUNE = "prune"
    IGNORE = "ignore"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened to one object: a value, because one bad object is not a failed pass.

    ``error`` is "" on success; then ``live`` is the record of the object as it is now (None after
    a prune). ``reason`` says why it was ignored or held, or in which way it was applied.
    ``changed`` are JSON pointers to the fields that an update changed, ``writer`` is who else had
    written them. ``retry_in`` are the seconds after which a failed object is to be tried again,
    None where that is up to the queue. ``raced`` is whether somebody may have written between what
    was judged and what was written, so that ``live`` may be out of step; ``in_vain`` whether a
    patch was made that changed nothing, so that the next one is to be rehearsed.
    """

    key: ObjectKey
    action: Action
    reason: str = ""
    error: str = ""
    live: Record | None = None
    changed: tuple[str, ...] = ()
    writer: Writer | None = None
    retry_in: float | None = None
    raced: bool = False
    in_vain: bool = False

    @property
    def wrote(self) -> bool:
        """True when the cluster was changed."""
        changing = (Action.CREATE, Action.UPDATE, Action.RECREATE, Action.PRUNE)
        return not self.error and self.action in changing

    @property
    def in_sync(self) -> bool:
        """True when the live object is what git says."""
        return not self.error and self.action not in (Action.IGNORE, Action.HOLD)
