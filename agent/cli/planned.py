"""A rehearsed pass as text and as JSON.

The JSON is a list of tracks: ``track``, ``repository``, ``reference``, ``revision``, ``commit``,
``changes`` (each ``object``, ``action`` (create, update, recreate, prune, hold), ``origin``,
``reason``, ``asked``: whether the server was, and ``diff``), ``ignored`` (object -> reason),
``errors`` (texts), ``unchanged`` (a count) and ``notPruned`` (why nothing would be deleted).
Must not ask anybody anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from agent.cli import output
from agent.plan.change import Action
from agent.plan.unified import unified
from agent.reconcile.inquiry.rehearsal import Change, Rehearsed

_SIGNS = {
    Action.CREATE: ("+", "create", "green"),
    Action.UPDATE: ("~", "update", "yellow"),
    Action.RECREATE: ("±", "recreate", "yellow"),
    Action.PRUNE: ("-", "delete", "red"),
    Action.HOLD: ("!", "held", "red"),
}
_LINES = {"+": "green", "-": "red", "@": "cyan"}


def changes(plan: Rehearsed) -> list[Change]:
    """Return what the pass would change or hold."""
    return [c for c in plan.changes if not c.outcome.error and (c.outcome.wrote or _is_held(c))]


def errors(plan: Rehearsed) -> list[str]:
    """Return what is wrong, a line each."""
    found = plan.findings
    source = found.snapshot.error if found.snapshot else None
    lines = [str(source)] if source else []
    lines += [str(error) for error in found.file_errors or ()]
    lines += [f"{c.outcome.key}: {c.outcome.error}" for c in plan.changes if c.outcome.error]
    lines += [e for e in found.prune_errors or () if e not in lines]
    return lines + ([found.extra["pass"]] if "pass" in found.extra else [])


def ignored(plan: Rehearsed) -> dict[str, str]:
    """Return the objects that are left alone, with the reason."""
    outcomes = [change.outcome for change in plan.changes]
    return {str(o.key): o.reason for o in outcomes if o.action is Action.IGNORE and not o.error}


def as_json(plan: Rehearsed) -> dict[str, Any]:
    """Return the plan of one track."""
    revision = plan.findings.snapshot.revision if plan.findings.snapshot else None
    return {
        "track": plan.track.name,
        "repository": plan.track.repository,
        "reference": plan.track.reference,
        "revision": str(revision or ""),
        "commit": revision.commit if revision else "",
        "changes": [_change_as_json(change) for change in changes(plan)],
        "ignored": ignored(plan),
        "errors": errors(plan),
        "unchanged": _unchanged(plan),
        "notPruned": plan.findings.not_pruned,
    }


def write(plans: Iterable[Rehearsed], *, diffs: bool) -> None:
    """Print what each pass would do; what is wrong goes to stderr."""
    for number, plan in enumerate(plans):
        if number:
            output.write("")
        revision = plan.findings.snapshot.revision if plan.findings.snapshot else None
        output.write(
            output.paint(f"Track {plan.track.name} at {revision or 'no revision'}", "bold")
        )
        for change in changes(plan):
            _write_change(change, diffs=diffs)
        for name, reason in ignored(plan).items():
            output.write(output.paint(f". ignore   {name}: {reason}", "dim"))
        if plan.findings.not_pruned:
            output.write(f"Nothing would be deleted: {plan.findings.not_pruned}.")
        output.write(_summary(plan))
        output.flush()
        for error in errors(plan):
            output.complain(f"{plan.track.name}: {error}")


def _write_change(change: Change, *, diffs: bool) -> None:
    outcome = change.outcome
    sign, verb, colour = _SIGNS[outcome.action]
    where = f" [{change.origin}]" if change.origin else ""
    lines = _diff(change)
    why = f": {note}" if (note := _note(change, lines)) else ""
    output.write(output.paint(f"{sign} {verb:8} {outcome.key}{where}{why}", colour))
    if diffs:
        for line in lines:
            head = line[:3] in ("---", "+++")
            colour = "bold" if head else _LINES.get(line[:1], "")
            output.write(f"  {output.paint(line, colour) if colour else line}")


def _note(change: Change, lines: list[str]) -> str:
    if change.outcome.reason:
        return change.outcome.reason
    if change.outcome.action is Action.UPDATE and not lines:
        return "only the marks that make it this track's"
    if change.outcome.action is Action.RECREATE:
        return "the server refuses the change in place"
    if change.preview and not change.preview.asked:
        return "the server could not be asked before what it needs is there"
    return ""


def _diff(change: Change) -> list[str]:
    if change.preview is None:
        return []
    name, before, after = str(change.outcome.key), change.preview.before, change.preview.after
    return unified(before, after, name=name, has_status=change.has_status)


def _change_as_json(change: Change) -> dict[str, Any]:
    lines = _diff(change)
    return {
        "object": str(change.outcome.key),
        "action": change.outcome.action.value,
        "origin": change.origin,
        "reason": _note(change, lines),
        "asked": change.preview is None or change.preview.asked,
        "diff": "\n".join(lines),
    }


def _summary(plan: Rehearsed) -> str:
    counts = Counter(change.outcome.action for change in changes(plan))
    words = {
        Action.CREATE: "to create",
        Action.UPDATE: "to update",
        Action.RECREATE: "to recreate",
        Action.PRUNE: "to delete",
        Action.HOLD: "held",
    }
    parts = [f"{counts[action]} {word}" for action, word in words.items() if counts[action]]
    parts += [f"{len(ignored(plan))} ignored"] if ignored(plan) else []
    parts += [f"{len(found)} wrong"] if (found := errors(plan)) else []
    return f"Plan: {', '.join([*parts, f'{_unchanged(plan)} unchanged'])}."


def _unchanged(plan: Rehearsed) -> int:
    return sum(1 for change in plan.changes if change.outcome.action is Action.UNCHANGED)


def _is_held(change: Change) -> bool:
    return change.outcome.action is Action.HOLD
