"""One object: decide, skip what is known to be in step, apply, remember the verdict.

The pass and the repair of drift both come through here, one at a time for each object, so they
cannot disagree.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from agent import log
from agent.aio.inflight import InFlight
from agent.aio.locks import KeyedLocks
from agent.aio.supervise import contained
from agent.apply.applier import Applier
from agent.apply.desired import Desired, Resolver, resolve
from agent.kube.errors import KubeError
from agent.kube.informers import Informers
from agent.manifest.keys import JSONObject, ObjectKey
from agent.manifest.model import Manifest
from agent.plan.change import Action, Outcome
from agent.plan.decide import Policy, reason_to_ignore
from agent.plan.ownership import Record
from agent.reconcile.passes.fights import Fight, Fights
from agent.reconcile.passes.verdicts import Verdicts
from agent.reconcile.reports.events import Reporter
from agent.reconcile.reports.measures import Measures
from agent.reconcile.signals import Suspension


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectReconciler:
    """Brings single objects of one track in step.

    ``on_stale`` is called with a key whose live object turned out to have changed while it was
    worked on; it is to be looked at again.
    """

    applier: Applier
    resolver: Resolver
    informers: Informers[Record]
    policy: Policy
    verdicts: Verdicts
    in_flight: InFlight
    reporter: Reporter
    measures: Measures
    on_stale: Callable[[ObjectKey], None]
    suspension: Suspension = field(default_factory=Suspension)
    fights: Fights = field(default_factory=Fights)
    _locks: KeyedLocks[ObjectKey] = field(default_factory=KeyedLocks, init=False)

    async def reconcile(
        self, manifest: Manifest, *, drift: bool = False, seen: JSONObject | None = None
    ) -> Outcome:
        """Bring one object in step; failures are in the outcome, not raised.

        ``drift`` only changes what is said of it: nobody committed anything. ``seen`` is the live
        object as a watch brought it, which saves reading it.
        """
        started = time.perf_counter()
        with log.bind(object=str(manifest.key)):
            outcome = await self._reconcile(manifest, drift=drift, seen=seen)
        self.measures.reconciled(outcome, time.perf_counter() - started)
        return outcome

    def in_step(self, manifest: Manifest) -> Outcome | None:
        """Return the outcome for an object that is known to be in step; asks and tells nobody.

        None for one that ``reconcile`` has to look at. What it would find here is the same.
        """
        resource = self.resolver.discovery.known(manifest.gvk)
        informer = self.informers.known(resource) if resource else None
        if resource is None or informer is None or not informer.synced or self.suspension:
            return None
        desired = resolve(manifest, resource)
        key = desired.key
        if self.fights.is_watched(key) or self.reason_to_ignore(desired):
            return None
        record = informer.store.get(namespace=key.namespace, name=key.name)
        verdict = self.verdicts.get(key)
        if not (record and verdict and verdict.covers(self.applier.digest(desired), record)):
            return None
        self.verdicts.share(record)
        outcome = Outcome(key, Action.UNCHANGED, reason=verdict.note, live=record)
        self.measures.reconciled(outcome, 0.0)
        return outcome

    async def _reconcile(
        self, manifest: Manifest, *, drift: bool, seen: JSONObject | None
    ) -> Outcome:
        desired = await self._judge(manifest)
        if isinstance(desired, Outcome):
            return desired
        async with self._locks.hold(desired.key):
            work = contained(
                f"object {desired.key}",
                self._apply(desired, drift=drift, seen=seen),
                lambda error: Outcome(
                    desired.key,
                    Action.UPDATE,
                    error=f"internal error, please report it: {type(error).__name__} "
                    f"(the log has more) [{desired.origin}]",
                ),
            )
            return await self.in_flight.run(work)

    async def _judge(self, manifest: Manifest) -> Desired | Outcome:
        """Return what is to be applied, or why nothing is; the latter has been said."""
        try:
            desired = await self.resolver.resolve(manifest)
        except KubeError as error:
            return self._failed(manifest, str(error))
        if desired is None:
            return self._failed(
                manifest,
                f'no matches for kind "{manifest.gvk.kind}" in version '
                f'"{manifest.gvk.api_version}": the server does not have it; '
                "install its CRD or correct apiVersion and kind",
            )
        if reason := self.reason_to_ignore(desired):
            self.verdicts.drop(desired.key)
            ignored = Outcome(desired.key, Action.IGNORE, reason=reason)
            self.reporter.ignored(ignored)
            return ignored
        if desired.resource.namespaced and not desired.key.namespace:
            return self._failed(
                manifest, "metadata.namespace is missing and the kind is namespaced; write it"
            )
        return desired

    def _failed(self, manifest: Manifest, reason: str) -> Outcome:
        outcome = Outcome(manifest.key, Action.IGNORE, error=f"{reason} [{manifest.origin}]")
        self.reporter.failed(outcome)
        return outcome

    def reason_to_ignore(self, desired: Desired) -> str:
        """Return why the policy leaves this object alone, or ""."""
        resource = desired.resource
        return reason_to_ignore(
            resource=(resource.plural, resource.group, resource.version),
            namespaced=resource.namespaced,
            namespace=desired.key.namespace,
            policy=self.policy,
        )

    def is_settled(self, record: Record) -> bool:
        """True when an event brings nothing new: the verdict on the object still holds."""
        verdict = self.verdicts.get(record.key)
        return verdict is not None and verdict.covers(verdict.desired, record)

    async def _apply(self, desired: Desired, *, drift: bool, seen: JSONObject | None) -> Outcome:
        informer = await self.informers.ensure(desired.resource)
        if self.suspension:
            return Outcome(desired.key, Action.HOLD, reason="the track is suspended")
        record = self._known(desired) if informer.synced else None
        missing = informer.synced and record is None
        digest = self.applier.digest(desired)
        verdict = self.verdicts.get(desired.key)
        accepted = verdict.accepted(digest) if verdict else ""
        if not (record and verdict and verdict.covers(digest, record)):
            verdict = None
        fight = self.fights.pausing(desired.key, digest, in_step=verdict is not None)
        if fight and not missing:
            return _left_alone(desired.key, fight)
        if verdict:
            return Outcome(desired.key, Action.UNCHANGED, reason=verdict.note, live=record)
        if record is None or (seen and not _is_of(record, seen)):
            seen = None  # it has changed since
        outcome = await self.applier.apply(desired, missing=missing, seen=seen, accepted=accepted)
        if outcome.error and missing:
            outcome = replace(outcome, action=Action.CREATE)  # as far as the watch can tell
        outcome = _sharing(outcome, self._known(desired))
        self._remember(desired, outcome, digest)
        drift = drift or self.fights.is_watched(desired.key)
        self.reporter.applied(outcome, origin=desired.origin, drift=drift)
        self.measures.changed(outcome, drift=drift)
        return self._fought_over(outcome, digest, drift=drift)

    def _fought_over(self, outcome: Outcome, digest: bytes, *, drift: bool) -> Outcome:
        """Count what was put back; return the outcome, or the fight that it has become."""
        key = outcome.key
        fight = None
        if drift and outcome.wrote and outcome.action is Action.UPDATE:
            fight = self.fights.put_back(key, digest, outcome.changed, outcome.writer)
        elif outcome.action is Action.UNCHANGED:
            self.fights.found_in_step(key)
        if fight is None:
            # The outcome of every object is kept; who changed what is only wanted here.
            return replace(outcome, changed=(), writer=None)
        if fight.new:
            self.reporter.fight(key, fight.text)
        return _left_alone(key, fight)

    def _known(self, desired: Desired) -> Record | None:
        informer = self.informers.known(desired.resource)
        key = desired.key
        return informer.store.get(namespace=key.namespace, name=key.name) if informer else None

    def _remember(self, desired: Desired, outcome: Outcome, digest: bytes) -> None:
        if not outcome.in_sync or outcome.live is None:
            self.verdicts.drop(desired.key)
            return
        if outcome.raced:
            self.verdicts.drop(desired.key)
            self.on_stale(desired.key)
            return
        verdict = self.verdicts.put(
            digest, outcome.live, note=outcome.reason, in_vain=outcome.in_vain
        )
        # An edit may have come between our write and its answer; its event found no verdict.
        record = self._known(desired)
        if record is not None and not verdict.covers(verdict.desired, record):
            self.on_stale(desired.key)


def _is_of(record: Record, body: JSONObject) -> bool:
    """Tell whether a record was made of this very body."""
    metadata = body["metadata"]
    state = (metadata.get("uid"), metadata.get("resourceVersion"))
    return state == (record.uid, record.resource_version)


def _sharing(outcome: Outcome, record: Record | None) -> Outcome:
    """Return the outcome with the watch's record in it, if that says the same: one is kept."""
    return replace(outcome, live=record) if record == outcome.live else outcome


def _left_alone(key: ObjectKey, fight: Fight) -> Outcome:
    return Outcome(key, Action.HOLD, error=fight.text, retry_in=fight.remaining)
