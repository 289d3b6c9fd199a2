"""The status of a track: one model for the ConfigMap, the HTTP endpoint and the command line.

Faros' four conditions and counters (faros.md section 8) with its faults mended: a step that was
not reached is Unknown, not True; counters survive a git failure; a condition's message follows the
error. Nothing in it changes while nothing happens, so an idle pass writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from agent.manifest.errors import ManifestError
from agent.manifest.keys import GroupKind, ObjectKey
from agent.plan.change import Action, Outcome
from agent.source.snapshot import Snapshot, Trust

PROBLEMS_LIMIT = 50
"""Problems listed in the status; a ConfigMap holds 1 MiB and a person reads less."""

HELD_LIMIT = 50
"""Objects listed whose deletion is held."""

NOTES_LIMIT = 20
"""Notes listed: enough to see what kind of thing is passed over."""

RETRIES_LIMIT = 20
"""Objects listed that are left alone until some time."""

TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
"""RFC 3339, UTC, whole seconds, for ``strftime``."""

_ABOUT = timedelta(seconds=5)

MESSAGE_LIMIT = 1000

FETCHED = "FilesFetched"
PARSED = "FilesParsed"
UP_TO_DATE = "ChildrenUpToDate"
COLLECTED = "ChildrenGarbageCollected"

_GOOD = {
    FETCHED: "GitFetchSuccess",
    PARSED: "FileParseSuccess",
    UP_TO_DATE: "ChildUpdateSuccess",
    COLLECTED: "GCSuccess",
}
_BAD = {
    FETCHED: "ErrorFetchingFiles",
    PARSED: "ErrorParsingFiles",
    UP_TO_DATE: "ErrorUpdatingChildren",
    COLLECTED: "ErrorDeletingChildren",
}
NOT_REACHED = "StatusUnknown"


class Condition(msgspec.Struct, frozen=True, rename="camel"):
    """One of the four conditions; times are RFC 3339, UTC, whole seconds."""

    type: str
    status: str
    reason: str
    message: str = ""
    last_transition_time: str = ""


class TrackStatus(msgspec.Struct, frozen=True, rename="camel"):
    """What is known of a track.

    ``revision`` is for people, ``commit`` whole; ``verified`` is who signed it, "" where no
    signature is asked for or none holds. ``source`` is ``current``, ``stale``, ``empty`` or
    ``unreadable``. ``stale_since`` is when the source last answered, RFC 3339; only set while it is
    ``stale``, for otherwise it would change with each poll. ``problems`` maps a file or object to
    what is wrong with it. ``held`` says why deletions wait for an approval, ``held_digest`` names
    their plan, ``held_objects`` them. ``notes`` say what in git looks like a part of the track and
    is not, which is no problem.
    ``suspended`` says since when and by whom, "" while the track is kept in step; the rest is then
    what was found last. ``last_handled_reconcile_at`` is the request for a pass that was answered
    last. ``retries`` says, RFC 3339, until when an object is left alone; a failed object that is
    not there is tried again at the next poll or sooner.
    """

    track: str
    repository: str
    revision: str = ""
    commit: str = ""
    verified: str = ""
    source: str = ""
    stale_since: str = ""
    discovered: int = 0
    applied: int = 0
    ignored: int = 0
    in_sync: int = 0
    held: str = ""
    held_digest: str = ""
    held_objects: list[str] = []
    conditions: list[Condition] = []
    problems: dict[str, str] = {}
    notes: list[str] = []
    suspended: str = ""
    last_handled_reconcile_at: str = ""
    retries: dict[str, str] = {}

    @property
    def ready(self) -> bool:
        """True when every condition is True and nothing is held."""
        return (
            bool(self.conditions)
            and all(condition.status == "True" for condition in self.conditions)
            and not self.held
        )

    @property
    def is_in_sync(self) -> bool:
        """True when the track is ready and is being kept so: a suspended one may lag behind."""
        return self.ready and not self.suspended


@dataclass(frozen=True, slots=True)
class Reach:
    """The kinds and namespaces in which a track has, or is about to have, objects."""

    kinds: frozenset[GroupKind]
    namespaces: frozenset[str]


@dataclass(slots=True)
class Findings:
    """What a pass found out; None stands for "this step was not reached"."""

    snapshot: Snapshot | None = None
    file_errors: tuple[ManifestError, ...] | None = None
    outcomes: Mapping[ObjectKey, Outcome] | None = None
    prune_errors: tuple[str, ...] | None = None
    held: str = ""
    held_digest: str = ""
    held_keys: tuple[ObjectKey, ...] = ()
    pruned: tuple[Outcome, ...] = ()
    not_pruned: str = ""
    reach: Reach | None = None
    extra: dict[str, str] = field(default_factory=dict)


def read(data: Mapping[str, str]) -> TrackStatus | None:
    """Read a status back from the ConfigMap; None when there is none or it is not ours."""
    try:
        return msgspec.json.decode(data.get("status", ""), type=TrackStatus)
    except msgspec.DecodeError:
        return None


def write(status: TrackStatus) -> dict[str, str]:
    """Render a status as the ConfigMap's data."""
    return {"status": msgspec.json.encode(status).decode()}


def derive(findings: Findings, *, previous: TrackStatus, now: str) -> TrackStatus:
    """Make the new status out of a pass's findings; equal findings give an equal status.

    ``now`` is RFC 3339; it only enters conditions whose status changed.
    """
    snapshot = findings.snapshot
    counters = _counters(findings, previous)
    return TrackStatus(
        track=previous.track,
        repository=previous.repository,
        revision=str(snapshot.revision) if snapshot and snapshot.revision else previous.revision,
        commit=snapshot.revision.commit if snapshot and snapshot.revision else previous.commit,
        verified=snapshot.verified if snapshot else previous.verified,
        source=_source(snapshot) if snapshot else previous.source,
        stale_since=_stale_since(snapshot) if snapshot else previous.stale_since,
        held=findings.held,
        held_digest=findings.held_digest,
        held_objects=_held_objects(findings.held_keys),
        conditions=[
            _transition(condition, previous.conditions, now) for condition in _conditions(findings)
        ],
        problems=_problems(findings),
        notes=limited(snapshot.notes, NOTES_LIMIT) if snapshot else previous.notes,
        last_handled_reconcile_at=previous.last_handled_reconcile_at,
        retries=_retries(findings, previous=previous.retries, now=now),
        **counters,
    )


def _source(snapshot: Snapshot) -> str:
    """Say how far the source is trusted; a new and a known revision are the same to a reader."""
    return "current" if snapshot.may_prune else snapshot.trust.value


def _stale_since(snapshot: Snapshot) -> str:
    if snapshot.trust is not Trust.STALE or snapshot.checked_at is None:
        return ""
    return datetime.fromtimestamp(snapshot.checked_at, UTC).strftime(TIME_FORMAT)


def _counters(findings: Findings, previous: TrackStatus) -> dict[str, Any]:
    if findings.outcomes is None:
        return {
            "discovered": previous.discovered,
            "applied": previous.applied,
            "ignored": previous.ignored,
            "in_sync": previous.in_sync,
        }
    outcomes = findings.outcomes.values()
    left_alone = sum(1 for o in outcomes if o.error or o.action is Action.IGNORE)
    return {
        "discovered": len(outcomes),
        "applied": len(outcomes) - left_alone,
        "ignored": left_alone + len(findings.file_errors or ()),
        "in_sync": sum(1 for o in outcomes if o.in_sync),
    }


def _conditions(findings: Findings) -> Iterable[Condition]:
    snapshot = findings.snapshot
    fetch_error = str(snapshot.error) if snapshot and snapshot.error else ""
    yield _condition(FETCHED, None if snapshot is None else [fetch_error])
    yield _condition(PARSED, _texts(findings.file_errors))
    failed = (
        None
        if findings.outcomes is None
        else [f"{key}: {o.error}" for key, o in findings.outcomes.items() if o.error]
    )
    yield _condition(UP_TO_DATE, failed)
    yield _condition(COLLECTED, findings.prune_errors)


def _texts(errors: Iterable[Exception] | None) -> list[str] | None:
    return None if errors is None else [str(error) for error in errors]


def _condition(kind: str, errors: Iterable[str] | None) -> Condition:
    if errors is None:
        return Condition(kind, "Unknown", NOT_REACHED)
    message = "; ".join(error for error in errors if error)
    if not message:
        return Condition(kind, "True", _GOOD[kind])
    return Condition(kind, "False", _BAD[kind], message[:MESSAGE_LIMIT])


def _transition(new: Condition, before: Iterable[Condition], now: str) -> Condition:
    for old in before:
        if old.type == new.type and old.status == new.status:
            return msgspec.structs.replace(new, last_transition_time=old.last_transition_time)
    return msgspec.structs.replace(new, last_transition_time=now)


def _retries(findings: Findings, *, previous: Mapping[str, str], now: str) -> dict[str, str]:
    """Say until when objects are left alone.

    A time is kept as long as it is about the same: a pass that finds what it found writes nothing.
    """
    begun = datetime.fromisoformat(now)
    found: dict[str, str] = {}
    for key, outcome in sorted((findings.outcomes or {}).items()):
        if outcome.retry_in is None or len(found) == RETRIES_LIMIT:
            continue
        until = begun + timedelta(seconds=outcome.retry_in)
        known = previous.get(str(key))
        same = known and abs(datetime.fromisoformat(known) - until) < _ABOUT
        found[str(key)] = known if known and same else until.strftime(TIME_FORMAT)
    return found


def _held_objects(keys: Iterable[ObjectKey]) -> list[str]:
    """List the objects of a held plan in a stable order."""
    return limited([str(key) for key in sorted(keys)], HELD_LIMIT)


def limited(lines: Sequence[str], limit: int) -> list[str]:
    """Return the first lines, each cut; where there are more, the last one is "and N more"."""
    more = len(lines) - limit
    kept = [line[:MESSAGE_LIMIT] for line in lines[:limit]]
    return [*kept, f"and {more} more"] if more > 0 else kept


def _problems(findings: Findings) -> dict[str, str]:
    """List what is wrong, left alone or worth telling; at most PROBLEMS_LIMIT of them."""
    problems = {error.file: error.reason for error in findings.file_errors or ()}
    for key, outcome in (findings.outcomes or {}).items():
        if text := outcome.error or outcome.reason:
            problems[str(key)] = text
    problems.update(findings.extra)
    listed: dict[str, Any] = dict(sorted(problems.items())[:PROBLEMS_LIMIT])
    if len(problems) > PROBLEMS_LIMIT:
        listed["..."] = f"and {len(problems) - PROBLEMS_LIMIT} more"
    return {place: text[:MESSAGE_LIMIT] for place, text in listed.items()}
