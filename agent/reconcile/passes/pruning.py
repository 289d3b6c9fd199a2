"""Which live objects a track owns that git no longer names, and their deletion.

Nothing is deleted unless the source may be trusted, every file was parsed and every kind of the
inventory was listed; then the guard judges; then each delete carries what was seen.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

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
from agent.plan.decide import Policy, reason_to_ignore
from agent.plan.leftovers import InGit, leftovers
from agent.plan.ownership import Record
from agent.reconcile.reports.events import Reporter
from agent.reconcile.reports.measures import Measures
from agent.reconcile.signals import Suspension

CONCURRENCY = 16


@dataclass(frozen=True, slots=True)
class Owned:
    """All live objects of a track, and the kinds that were not looked at.

    ``unseen`` could not be listed, for the reason given; ``absent`` the server does not have.
    """

    records: tuple[tuple[Resource, Record], ...]
    unseen: dict[GroupKind, str]
    absent: frozenset[GroupKind]


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
    def held_keys(self) -> tuple[ObjectKey, ...]:
        """The objects whose deletion is held."""
        return tuple(o.key for o in self.outcomes if o.action is Action.HOLD)

    @property
    def left_alone(self) -> dict[str, str]:
        """What git dropped and the policy keeps, with the reason."""
        return {str(o.key): o.reason for o in self.outcomes if o.action is Action.IGNORE}

    @property
    def errors(self) -> tuple[str, ...]:
        """The failures, as text."""
        return tuple(f"{o.key}: {o.error}" for o in self.outcomes if o.error)


@dataclass(frozen=True, slots=True)
class Pruner:
    """Finds and deletes leftovers of one track; ``owner`` is what its marks say."""

    client: Client
    discovery: Discovery
    informers: Informers[Record]
    owner: str
    policy: Policy
    limit_percent: float
    reporter: Reporter
    measures: Measures
    suspension: Suspension = field(default_factory=Suspension)

    async def owned(self, kinds: Collection[GroupKind]) -> Owned:
        """List what the track owns in these kinds, out of the watches' stores.

        A kind that the server does not have (any more, or for the moment) has no objects to see;
        one that cannot be listed is in ``unseen`` with the reason. The others are looked at.
        """
        records: dict[str, tuple[Resource, Record]] = {}
        unseen: dict[GroupKind, str] = {}
        absent: set[GroupKind] = set()
        for kind in sorted(kinds):
            try:
                resources = await self._resources(kind)
            except KubeError as error:
                unseen[kind] = str(error)
                continue
            if not resources:
                absent.add(kind)
            for resource in resources:
                informer = await self.informers.ensure(resource)
                if not informer.synced:
                    unseen[kind] = informer.problem
                # The same object can be seen through two versions of its kind.
                records.update(
                    {r.uid: (resource, r) for r in informer.store if r.owner == self.owner}
                )
        return Owned(tuple(records.values()), unseen, frozenset(absent))

    def watched_kinds(self) -> set[GroupKind]:
        """Return the kinds in which the running watches see objects of the track."""
        return {
            record.key.group_kind
            for informer in self.informers
            for record in informer.store
            if record.owner == self.owner
        }

    async def prune(self, owned: Owned, *, git: InGit, approved: str) -> Pruned:
        """Delete the owned objects that git does not name, as far as the guard agrees."""
        resources = {record.uid: resource for resource, record in owned.records}
        gone_from_git = leftovers((record for _, record in owned.records), git)
        outside = {r.uid: why for r in gone_from_git if (why := self._outside(resources[r.uid], r))}
        doomed = [record for record in gone_from_git if record.uid not in outside]
        verdict = guard.judge(
            doomed,
            kept=git.kept,
            alive=git.alive,
            limit_percent=self.limit_percent,
            approved=approved,
        )
        outcomes: list[Outcome] = []
        items = [(r.key.group_kind, (resources[r.uid], r)) for r in verdict.prune]
        for stage in reversed(ordering.stages(items)):
            outcomes += await each(self._delete, stage, limit=CONCURRENCY)
        outcomes += [Outcome(r.key, Action.HOLD, reason=verdict.reason) for r in verdict.held]
        outcomes += [
            Outcome(r.key, Action.IGNORE, reason=f"no longer in git, and not deleted: {why}")
            for r in gone_from_git
            if (why := outside.get(r.uid, ""))
        ]
        return Pruned(tuple(outcomes), verdict.reason, verdict.digest)

    def _outside(self, resource: Resource, record: Record) -> str:
        """Return why the policy leaves an object alone: ignoring is not deleting."""
        return reason_to_ignore(
            resource=(resource.plural, resource.group, resource.version),
            namespaced=resource.namespaced,
            namespace=record.key.namespace,
            policy=self.policy,
        )

    async def _delete(self, leftover: tuple[Resource, Record]) -> Outcome:
        if self.suspension:
            return Outcome(leftover[1].key, Action.IGNORE, reason="the track is suspended")
        outcome = await prune(self.client, *leftover)
        if outcome.wrote:
            self.reporter.pruned(outcome)
            self.measures.changed(outcome, drift=False)
        return outcome

    async def _resources(self, kind: GroupKind) -> list[Resource]:
        """Return every version of a kind that is watched, else the preferred one."""
        watched = [i.resource for i in self.informers if i.resource.group_kind == kind]
        if watched:
            return watched
        preferred = await self.discovery.preferred(kind)
        return [preferred] if preferred else []
