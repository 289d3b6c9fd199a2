"""The end of a track, on a person's word: delete or let go of all that it owns.

The same search, order and deletes as a prune. Must not be used by the agent itself: leaving a track
out of the file leaves its objects as they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from agent import __version__
from agent.aio.concurrent import each
from agent.apply.inventory import Inventory
from agent.apply.orphan import Released, orphan
from agent.config.model import Config
from agent.kube.client import Client
from agent.kube.discovery import Discovery
from agent.kube.events import EventRecorder
from agent.kube.informers import Informers
from agent.kube.resource import Resource
from agent.manifest import marks
from agent.manifest.keys import GroupKind, JSONObject
from agent.metrics import Metrics
from agent.plan import guard
from agent.plan.decide import CLUSTER, Policy
from agent.plan.leftovers import in_git
from agent.plan.ownership import Record, project
from agent.reconcile.passes.pruning import CONCURRENCY, Owned, Pruned, Pruner
from agent.reconcile.reports.events import Reporter
from agent.reconcile.reports.measures import Labels, Measures


@dataclass(frozen=True, slots=True)
class Removal:
    """Finds, deletes and lets go of the objects of one track; made by ``removing``."""

    client: Client
    pruner: Pruner

    async def owned(self, kinds: Collection[GroupKind]) -> Owned:
        """List what the track owns in these kinds, what is being deleted left out."""
        found = await self.pruner.owned(kinds)
        return replace(found, records=tuple(r for r in found.records if not r[1].deleting))

    async def delete(self, owned: Owned) -> Pruned:
        """Delete these objects, in the reverse order of their kinds, each as it was seen."""
        doomed = [record for _, record in owned.records]
        approved = guard.plan_digest(doomed)  # a person has confirmed exactly these
        return await self.pruner.prune(owned, git=in_git((), {}), approved=approved)

    async def let_go(self, owned: Owned) -> list[Released]:
        """Take our marks off these objects."""

        async def one(item: tuple[Resource, Record]) -> Released:
            return await orphan(self.client, *item)

        return await each(one, owned.records, limit=CONCURRENCY)


def is_protected(record: Record) -> bool:
    """Tell whether deleting an object takes other people's data with it."""
    return record.key.group_kind in guard.PROTECTED


@asynccontextmanager
async def removing(config: Config, client: Client, inventory: Inventory) -> AsyncIterator[Removal]:
    """Give the removal of the track with this inventory for the length of a block."""
    agent = config.agent
    discovery = Discovery(client)
    async with asyncio.TaskGroup() as watches:
        informers = Informers(
            client=client,
            tasks=watches,
            project=_project,
            on_change=lambda resource, old, new, body: None,
            on_gone=lambda resource: discovery.forget(resource.group),
            selector=f"{marks.AGENT}={inventory.owner.agent}",
            namespace=agent.namespace,
        )
        policy = Policy(agent.namespace, frozenset(agent.ignore_resources), scope=CLUSTER)
        recorder = EventRecorder(client, instance="")  # never run: the command tells it itself
        owner = inventory.owner
        labels = Labels(
            track=owner.track, namespace="", state_namespace=owner.namespace, repository=""
        )
        pruner = Pruner(
            client=client,
            discovery=discovery,
            informers=informers,
            owner=str(inventory.owner),
            policy=policy,
            limit_percent=100,
            reporter=Reporter(recorder=recorder, inventory=inventory, repository="", reference=""),
            measures=Measures(Metrics(version=__version__), labels),
        )
        try:
            yield Removal(client, pruner)
        finally:
            informers.stop()


def _project(obj: JSONObject, resource: Resource) -> Record:
    return project(obj, has_status=resource.has_status)
