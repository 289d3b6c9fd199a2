"""Apply many objects in the order of their kinds, each failing alone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from agent import log
from agent.aio.concurrent import each
from agent.apply.wait import established
from agent.kube.client import Client
from agent.kube.discovery import Discovery
from agent.manifest.keys import ObjectKey
from agent.manifest.model import Manifest
from agent.plan import ordering
from agent.plan.change import Outcome
from agent.reconcile.passes.objects import ObjectReconciler

logger = logging.getLogger(__name__)

CONCURRENCY = 32
"""Objects in work at once within a stage; requests in flight are bounded by the transport."""

BREATH = 500
"""Objects after which others on the event loop get a turn: a few milliseconds."""


@dataclass(frozen=True, slots=True)
class Stager:
    """Applies the desired objects of a track. ``outcomes`` is kept up to date as it goes."""

    client: Client
    discovery: Discovery
    objects: ObjectReconciler

    async def apply(
        self, desired: Mapping[ObjectKey, Manifest], outcomes: dict[ObjectKey, Outcome]
    ) -> None:
        """Apply everything, stage by stage; then the failed ones again if anything changed.

        The second round is for what the order of kinds cannot know, such as an object that an
        admission webhook of the same commit refuses until its service exists.
        """
        if await self._round(list(desired), desired, outcomes):
            failed = [key for key in desired if outcomes[key].error]
            await self._round(failed, desired, outcomes)

    async def _round(
        self,
        keys: Collection[ObjectKey],
        desired: Mapping[ObjectKey, Manifest],
        outcomes: dict[ObjectKey, Outcome],
    ) -> bool:
        """Apply these objects once, in stages; True when something was changed."""

        async def one(key: ObjectKey) -> Outcome:
            outcome = await self.objects.reconcile(desired[key])
            outcomes[key] = outcome
            return outcome

        changed = False
        for stage in ordering.stages((key.group_kind, key) for key in keys):
            out_of_step = await self._out_of_step(stage, desired, outcomes)
            results = await each(one, out_of_step, limit=CONCURRENCY)
            changed |= any(outcome.wrote for outcome in results)
            await self._await_crds(results, desired)
        return changed

    async def _out_of_step(
        self,
        keys: Collection[ObjectKey],
        desired: Mapping[ObjectKey, Manifest],
        outcomes: dict[ObjectKey, Outcome],
    ) -> list[ObjectKey]:
        """Return the objects that have to be looked at; those known to be in step are done."""
        left: list[ObjectKey] = []
        for number, key in enumerate(keys):
            if number % BREATH == 0:
                await asyncio.sleep(0)
            outcome = self.objects.in_step(desired[key])
            if outcome is None:
                left.append(key)
            else:
                outcomes[key] = outcome
        return left

    async def _await_crds(
        self, results: list[Outcome], desired: Mapping[ObjectKey, Manifest]
    ) -> None:
        """Wait until the CRDs that were just written are served, so that their objects can be."""
        for outcome in results:
            kind = outcome.key.group_kind
            unwritten = self.client.dry_run or not outcome.wrote
            if unwritten or kind != ordering.CUSTOM_RESOURCE_DEFINITION:
                continue
            resource = await self.discovery.resolve(desired[outcome.key].gvk)
            if resource is None or not await established(
                self.client, self.discovery, resource=resource, key=outcome.key
            ):
                logger.warning("not established in time", extra=log.fields(object=str(outcome.key)))
