"""What is said of a track's doings: a log line and a Kubernetes Event from one call.

Reasons and the beginnings of messages are Faros' (faros.md section 11), because people alert on
them: ``Created child 'deployment-web'``. Faros' names leave out the namespace and the group, so the
object's whole key follows in brackets, then the error. Four reasons are ours: PruneSuccessful,
PruneHeld, DriftFight, and CreateFailed also for a kind that the server does not have. What Faros
says at every poll (CheckoutStarted, CreateStarted) is not said at all.

Each thing is said when it is new: a failure once for each text, a revision once. The status in the
ConfigMap tells what the process before has said, so a restart repeats log lines but no Events.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Collection, Sequence
from typing import Literal

from agent import log
from agent.apply.inventory import Inventory
from agent.kube.events import EventRecorder
from agent.kube.eventseries import Event
from agent.manifest.keys import ObjectKey
from agent.manifest.model import Origin
from agent.plan.change import Action, Outcome
from agent.reconcile.reports import status
from agent.reconcile.reports.status import TrackStatus
from agent.source.snapshot import Snapshot

logger = logging.getLogger(__name__)

_PAST = {Action.CREATE: "created", Action.UPDATE: "updated", Action.RECREATE: "recreated"}
_WAITING = 100  # Events kept until the ConfigMap they are about exists

_CHECKOUT, _CLEANUP, _HELD = "checkout", "clean-up", "held"  # no object's key looks like these


class Reporter:
    """Says what happens to one track.

    Events are about ``inventory``'s ConfigMap and wait until it exists. ``repository`` is the
    redacted URL, ``reference`` as configured.
    """

    def __init__(
        self, *, recorder: EventRecorder, inventory: Inventory, repository: str, reference: str
    ) -> None:
        self._recorder = recorder
        self._inventory = inventory
        self._checkout = f"'{repository}' at '{reference or 'HEAD'}'"
        self._track = inventory.owner.track
        self._memory = _Memory()
        self._waiting: deque[tuple[Literal["Normal", "Warning"], str, str]] = deque(maxlen=_WAITING)

    def resume(self, stored: TrackStatus) -> None:
        """Take over what the process before has said."""
        self._memory.resume(_said_by(stored))

    def retain(self, keys: Collection[ObjectKey]) -> None:
        """Forget all objects but these."""
        self._memory.retain({_CHECKOUT, _CLEANUP, _HELD, *map(str, keys)})

    def checkout(self, snapshot: Snapshot) -> None:
        """Say a revision that is new, or works again, and an error that is new. Not in the log."""
        commit = snapshot.revision.commit if snapshot.revision else ""
        error = snapshot.error
        text = str(error) if error else commit
        if not self._memory.is_news(_CHECKOUT, text) or self._memory.was_said(_CHECKOUT, text):
            return
        if error:
            why = f"{error.reason}; {error.hint}" if error.hint else error.reason
            self._warn("CheckoutFailed", f"Failed to checkout {self._checkout}: {why}")
        else:
            done = f"Successfully checked out {self._checkout} ({commit[:12]})"
            self._emit("Normal", "CheckoutSuccessful", done)

    def applied(self, outcome: Outcome, *, origin: Origin, drift: bool) -> None:
        """Say what an apply came to; nothing for an object that was in step.

        ``drift`` only changes the words: nobody committed anything.
        """
        if outcome.wrote:
            self._changed(outcome, origin=origin, drift=drift)
        elif outcome.error:
            self.failed(outcome)
        elif outcome.action is Action.IGNORE:
            self._mismatched(outcome)
        else:
            self._memory.forget(str(outcome.key))

    def failed(self, outcome: Outcome) -> None:
        """Say that an object could not be applied."""
        place = str(outcome.key)
        if not self._memory.is_news(place, outcome.error):
            return
        logger.error("object failed", extra=log.fields(object=place, error=outcome.error))
        if self._memory.was_said(place, outcome.error):
            return
        update = outcome.action in (Action.UPDATE, Action.RECREATE)
        reason, verb = ("UpdateFailed", "update") if update else ("CreateFailed", "create")
        self._warn(reason, f"Failed to {verb} child {_child(outcome.key)}: {outcome.error}")

    def fight(self, key: ObjectKey, reason: str) -> None:
        """Say that another writer keeps changing an object back, when that is found out."""
        logger.warning("object fought over", extra=log.fields(object=str(key), reason=reason))
        self._warn("DriftFight", f"Child {_child(key)} is left alone for now: {reason}")

    def ignored(self, outcome: Outcome) -> None:
        """Say that the policy leaves an object alone; in the log only, as in Faros."""
        if self._memory.is_news(str(outcome.key), outcome.reason):
            _log_ignored(outcome)

    def pruned(self, outcome: Outcome) -> None:
        """Say that an object was deleted because git dropped it."""
        logger.info("object pruned", extra=log.fields(object=str(outcome.key)))
        self._emit("Normal", "PruneSuccessful", f"Deleted child {_child(outcome.key)}")

    def cleanup(self, errors: Sequence[str]) -> None:
        """Say that leftovers could not be deleted or looked for; no errors: that all is well."""
        text = "; ".join(errors)
        if not text:
            self._memory.forget(_CLEANUP)
        elif self._memory.is_news(_CLEANUP, text):
            logger.error("clean-up failed", extra=log.fields(error=text))
            if not self._memory.was_said(_CLEANUP, text):
                self._warn("CleanupFailed", f"Failed to clean-up leftover resources: {text}")

    def held(self, *, count: int, reason: str, plan: str) -> None:
        """Say that ``count`` deletions wait for an approval; ``plan`` "": that none does."""
        if not plan:
            self._memory.forget(_HELD)
        elif self._memory.is_news(_HELD, plan):
            logger.warning("deletions held", extra=log.fields(reason=reason, plan=plan))
            if not self._memory.was_said(_HELD, plan):
                deletions = "1 deletion" if count == 1 else f"{count} deletions"
                self._warn(
                    "PruneHeld",
                    f"Held {deletions}: {reason}; to let it happen: "
                    f"lightkeeper approve {self._track} --plan {plan}",
                )

    def flush(self) -> None:
        """Hand over the Events that waited for the ConfigMap, if it exists now."""
        about = self._inventory.reference
        while about and self._waiting:
            kind, reason, message = self._waiting.popleft()
            self._recorder.record(Event(about, kind, reason, message))

    def _changed(self, outcome: Outcome, *, origin: Origin, drift: bool) -> None:
        self._memory.forget(str(outcome.key))
        what = _PAST[outcome.action]
        logger.info(
            "drift put back" if drift else f"object {what}",
            extra=log.fields(object=str(outcome.key), action=what, origin=str(origin)),
        )
        if outcome.action is Action.CREATE:
            reason, message = "CreateSuccessful", f"Created child {_child(outcome.key)}"
        else:
            again = ", by deleting and creating it" if outcome.action is Action.RECREATE else ""
            reason, message = "UpdateSuccessful", f"Updated child {_child(outcome.key)}{again}"
        self._emit("Normal", reason, f"{message}: drift put back" if drift else message)

    def _mismatched(self, outcome: Outcome) -> None:
        """Say that an object is somebody else's."""
        place = str(outcome.key)
        if not self._memory.is_news(place, outcome.reason):
            return
        _log_ignored(outcome)
        if not self._memory.was_said(place, outcome.reason):
            self._warn(
                "ControllerMismatch",
                f"Child {_child(outcome.key)} is owned by another controller: {outcome.reason}",
            )

    def _warn(self, reason: str, message: str) -> None:
        self._emit("Warning", reason, message)

    def _emit(self, kind: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        self._waiting.append((kind, reason, log.scrub(message)))
        self.flush()


class _Memory:
    """What was said last of each thing: by this process, and by the one before."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}
        self._before: dict[str, str] = {}

    def resume(self, before: dict[str, str]) -> None:
        self._before = before

    def is_news(self, place: str, text: str) -> bool:
        """Tell, and remember, whether this process says it for the first time in a row."""
        if self._said.get(place) == text:
            return False
        self._said[place] = text
        return True

    def was_said(self, place: str, text: str) -> bool:
        """Tell whether it was the last word of the process before; true at most once."""
        return self._before.pop(place, "") == text[: status.MESSAGE_LIMIT]

    def forget(self, place: str) -> None:
        self._said.pop(place, None)
        self._before.pop(place, None)

    def retain(self, places: Collection[str]) -> None:
        for place in (self._said.keys() | self._before.keys()) - set(places):
            self.forget(place)


def _said_by(stored: TrackStatus) -> dict[str, str]:
    """Return what a process that left this status has said."""
    messages = {c.type: c.message for c in stored.conditions if c.status == "False"}
    return {
        **stored.problems,
        _CHECKOUT: messages.get(status.FETCHED) or stored.commit,
        _CLEANUP: messages.get(status.COLLECTED, ""),
        _HELD: stored.held_digest,
    }


def _child(key: ObjectKey) -> str:
    """Name an object as Faros does, then in a way that is never ambiguous."""
    name = f"{key.kind}-{key.name}".lower().replace(":", "-")
    return f"'{name}' ({key})"


def _log_ignored(outcome: Outcome) -> None:
    logger.warning(
        "object ignored", extra=log.fields(object=str(outcome.key), reason=outcome.reason)
    )
