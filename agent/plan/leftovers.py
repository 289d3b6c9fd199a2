"""Which owned objects git does not name any more: the candidates for pruning.

Identity is group, kind, namespace and name; but a kind may move to another API group, and a file
may write a namespace on a cluster-scoped object. Whatever could be something git names is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agent.manifest.keys import ObjectKey
from agent.plan.change import Action, Outcome
from agent.plan.ownership import Record

Name = tuple[str, str, str]
"""Kind, namespace and name, without the group."""


@dataclass(frozen=True, slots=True)
class InGit:
    """What git names.

    ``uids`` holds, for each name without its group, the UIDs of the live objects that git's
    objects of that name are in step with; None when one of them is not in step, so that it is not
    known which live object it stands for. ``alive`` counts the objects in step, ``kept`` those of
    them that were there before this pass.
    """

    keys: frozenset[ObjectKey]
    uids: Mapping[Name, frozenset[str] | None]
    alive: int
    kept: int


def in_git(keys: Iterable[ObjectKey], outcomes: Mapping[ObjectKey, Outcome]) -> InGit:
    """Sum up what git names (``keys``, as written and as resolved) and what came of it."""
    everything: set[ObjectKey] = set()
    uids: dict[Name, frozenset[str] | None] = {}
    for key in keys:
        outcome = outcomes.get(key)
        live = outcome.live if outcome and outcome.in_sync else None
        bare = ObjectKey(key.group, key.kind, "", key.name)
        for form in (key, bare) if key.namespace else (key,):
            everything.add(form)
            name = (form.kind, form.namespace, form.name)
            known = uids.get(name, frozenset())
            uids[name] = None if known is None or live is None else known | {live.uid}
    good = [outcome for outcome in outcomes.values() if outcome.in_sync]
    return InGit(
        keys=frozenset(everything),
        uids=uids,
        alive=len(good),
        kept=sum(1 for outcome in good if outcome.action is not Action.CREATE),
    )


def leftovers(owned: Iterable[Record], git: InGit) -> list[Record]:
    """Return the owned objects that git does not name, in no way it could be meant."""
    return [
        record
        for record in owned
        if not record.deleting and record.key not in git.keys and not _may_be_named(record, git)
    ]


def _may_be_named(record: Record, git: InGit) -> bool:
    """Tell whether an object is, or may be, one that git names under another group."""
    key = record.key
    name = (key.kind, key.namespace, key.name)
    if name not in git.uids:
        return False
    uids = git.uids[name]
    return uids is None or record.uid in uids
