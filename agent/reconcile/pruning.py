"""Which live objects a track owns that git no longer names, and their deletion.

Nothing is deleted unless the source may be trusted, every file was parsed and every kind of the
inventory was listed; then the guard judges; then each delete carries what was seen.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass

from agent import log
from agent.aio.concurrent import each
from agent.apply.prune import prune
from agent.kube.client import Client
from agent.kube.discovery import Discovery
from agent.kube.errors import KubeError
from agent.kube.informers import Informers
from agent.kube.resource import Resource
from agent.manifest.keys import GroupKind, ObjectKey
from agent.plan import guard, ordering
from agent.plan.change import Action, Outcome
from agent.plan.ownership import Record

logger = logging.getLogger(__name__)

CONCURRENCY = 16


@dataclass(frozen=True, slots=True)
class Owned:
    """All live objects of a track, and the kinds that could not be looked at, with the reason."""

    records: tuple[tuple[Resource, Record], ...]
    unseen: dict[GroupKind, str]


@dataclass(frozen=True, slots=True)
class Pruned:
    """What came of a prune; ``held`` says why deletions wait for an approval, "" if none does."""

    outcomes: tuple[Outcome, ...] = ()
    held: str = ""
    held_digest: str = ""

    @property
    def gone(self) -> frozenset[ObjectKey]:
        """The objects that are deleted, or were never there."""
        return frozenset(o.key for o in self.outcomes if o.wrote)

    @property
    def errors(self) -> tuple[str, ...]:
        """The failures, as text."""
        return tuple(f"{o.key}: {o.error}" for o in self.outcomes if o.error)


@dataclass(frozen=True, slots=True)
class Pruner:
    """Finds and deletes leftovers of one track; ``owner`` is its ``agent/track``."""

    client: Client
    discovery: Discovery
    informers: Informers[Record]
    owner: str
    limit_percent: float

    async def owned(self, kinds: Collection[GroupKind]) -> Owned:
        """List what the track owns in these kinds, out of the watches' stores.

        A kind that the server no longer has cannot have objects; one that cannot be listed is in
        ``unseen`` with the reason, and the others are looked at all the same.
        """
        records: dict[str, tuple[Resource, Record]] = {}
        unseen: dict[GroupKind, str] = {}
        for kind in sorted(kinds):
            try:
                resources = await self._resources(kind)
            except KubeError as error:
                unseen[kind] = str(error)
                continue
            for resource in resources:
                informer = await self.informers.ensure(resource)
                if not informer.synced:
                    unseen[kind] = informer.problem
                # The same object can be seen through two versions of its kind.
                records.update(
                    {r.uid: (resource, r) for r in informer.store if r.owner == self.owner}
                )
        return Owned(tuple(records.values()), unseen)

    async def prune(
        self,
        owned: Owned,
        *,
        in_git: Collection[ObjectKey],
        uids_in_git: Collection[str],
        approved: str,
    ) -> Pruned:
        """Delete the owned objects that git does not name, as far as the guard agrees.

        ``uids_in_git`` keeps an object that git names under another group of the same kind.
        """
        leftovers = {
            record.key: (resource, record)
            for resource, record in owned.records
            if record.key not in in_git and record.uid not in uids_in_git and not record.deleting
        }
        verdict = guard.judge(
            [record for _, record in leftovers.values()],
            owned=len(owned.records),
            limit_percent=self.limit_percent,
            approved=approved,
        )
        outcomes: list[Outcome] = []
        staged = ordering.stages((r.key.group_kind, leftovers[r.key]) for r in verdict.prune)
        for stage in reversed(staged):
            outcomes += await each(self._delete, stage, limit=CONCURRENCY)
        outcomes += [
            Outcome(record.key, Action.HOLD, reason=verdict.reason) for record in verdict.held
        ]
        return Pruned(tuple(outcomes), verdict.reason, verdict.digest)

    async def _delete(self, leftover: tuple[Resource, Record]) -> Outcome:
        outcome = await prune(self.client, *leftover)
        if outcome.wrote:
            logger.info("object pruned", extra=log.fields(object=str(outcome.key)))
        return outcome

    async def _resources(self, kind: GroupKind) -> list[Resource]:
        """Return every version of a kind that is watched, else the preferred one."""
        watched = [i.resource for i in self.informers if i.resource.group_kind == kind]
        if watched:
            return watched
        preferred = await self.discovery.preferred(kind)
        return [preferred] if preferred else []
