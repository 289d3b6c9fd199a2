"""One object: decide, skip what is known to be in step, apply, remember the verdict.

The pass and the repair of drift both come through here, one at a time for each object, so they
cannot disagree.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from agent import log
from agent.aio.inflight import InFlight
from agent.aio.locks import KeyedLocks
from agent.apply.applier import Applier
from agent.apply.desired import Desired, Resolver
from agent.kube.errors import KubeError
from agent.kube.informers import Informers
from agent.manifest.keys import ObjectKey
from agent.manifest.model import Manifest
from agent.plan.change import Action, Outcome
from agent.plan.decide import Policy, reason_to_ignore
from agent.plan.ownership import Record
from agent.reconcile.verdicts import Verdicts

logger = logging.getLogger(__name__)

_PAST = {Action.CREATE: "created", Action.UPDATE: "updated", Action.RECREATE: "recreated"}


class ObjectReconciler:
    """Brings single objects of one track in step.

    ``on_stale`` is called with a key whose live object turned out to have changed while it was
    worked on; it is to be looked at again.
    """

    def __init__(
        self,
        *,
        applier: Applier,
        resolver: Resolver,
        informers: Informers[Record],
        policy: Policy,
        verdicts: Verdicts,
        in_flight: InFlight,
        on_stale: Callable[[ObjectKey], None],
    ) -> None:
        self._applier = applier
        self._resolver = resolver
        self._informers = informers
        self._policy = policy
        self._in_flight = in_flight
        self._on_stale = on_stale
        self._locks: KeyedLocks[ObjectKey] = KeyedLocks()
        self._verdicts = verdicts

    async def reconcile(self, manifest: Manifest, *, drift: bool = False) -> Outcome:
        """Bring one object in step; failures are in the outcome, not raised.

        ``drift`` only changes the words of the log: nobody committed anything.
        """
        try:
            desired = await self._resolver.resolve(manifest)
        except KubeError as error:
            return _failed(manifest, str(error))
        if desired is None:
            return _failed(
                manifest,
                f'no matches for kind "{manifest.gvk.kind}" in version '
                f'"{manifest.gvk.api_version}": the server does not have it; '
                "install its CRD or correct apiVersion and kind",
            )
        if reason := self.reason_to_ignore(desired):
            self._verdicts.drop(desired.key)
            return Outcome(desired.key, Action.IGNORE, reason=reason)
        if desired.resource.namespaced and not desired.key.namespace:
            return _failed(
                manifest, "metadata.namespace is missing and the kind is namespaced; write it"
            )
        async with self._locks.hold(desired.key):
            return await self._in_flight.run(self._apply(desired, drift=drift))

    def reason_to_ignore(self, desired: Desired) -> str:
        """Return why the policy leaves this object alone, or ""."""
        resource = desired.resource
        return reason_to_ignore(
            resource=(resource.plural, resource.group, resource.version),
            namespaced=resource.namespaced,
            namespace=desired.key.namespace,
            policy=self._policy,
        )

    def is_settled(self, record: Record) -> bool:
        """True when an event brings nothing new: the verdict on the object still holds."""
        verdict = self._verdicts.get(record.key)
        return verdict is not None and verdict.covers(verdict.desired, record)

    async def _apply(self, desired: Desired, *, drift: bool) -> Outcome:
        informer = await self._informers.ensure(desired.resource)
        record = self._seen(desired) if informer.synced else None
        verdict = self._verdicts.get(desired.key)
        if record and verdict and verdict.covers(desired.manifest.digest, record):
            return Outcome(desired.key, Action.UNCHANGED, reason=verdict.note, live=record)
        outcome = await self._applier.apply(desired, missing=informer.synced and record is None)
        self._remember(desired, outcome)
        _log(desired, outcome, drift=drift)
        return outcome

    def _seen(self, desired: Desired) -> Record | None:
        informer = self._informers.known(desired.resource)
        key = desired.key
        return informer.store.get(namespace=key.namespace, name=key.name) if informer else None

    def _remember(self, desired: Desired, outcome: Outcome) -> None:
        if not outcome.in_sync or outcome.live is None:
            self._verdicts.drop(desired.key)
            return
        verdict = self._verdicts.put(desired.manifest.digest, outcome.live, note=outcome.reason)
        # An edit may have come between our write and its answer; its event found no verdict.
        record = self._seen(desired)
        if record is not None and not verdict.covers(verdict.desired, record):
            self._on_stale(desired.key)


def _failed(manifest: Manifest, reason: str) -> Outcome:
    return Outcome(manifest.key, Action.IGNORE, error=f"{reason} [{manifest.origin}]")


def _log(desired: Desired, outcome: Outcome, *, drift: bool) -> None:
    """Say one line for an object that was changed; unchanged objects are silent."""
    if not outcome.wrote:
        return
    what = _PAST[outcome.action]
    logger.info(
        "drift put back" if drift else f"object {what}",
        extra=log.fields(object=str(desired.key), action=what, origin=str(desired.origin)),
    )
