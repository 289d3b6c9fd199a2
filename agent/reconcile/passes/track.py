"""A track's pass: fetch -> load -> widen -> apply in stages -> prune -> settle.

Level-triggered: a pass compares what is with what shall be and needs no memory of what happened.
What it remembers (parsed files, verdicts, outcomes) only saves work.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from msgspec.structs import replace

from agent import log
from agent.apply.desired import resolve
from agent.apply.inventory import Contents, Inventory
from agent.apply.signals import Signals
from agent.errors import AgentError
from agent.kube.discovery import Discovery
from agent.kube.errors import KubeError
from agent.kube.resource import Resource
from agent.manifest.collection import Collected, duplicate
from agent.manifest.errors import ManifestError
from agent.manifest.keys import GroupKind, GroupVersionKind, JSONObject, ObjectKey
from agent.manifest.model import Manifest
from agent.plan.change import Outcome
from agent.plan.leftovers import in_git
from agent.plan.ownership import Record
from agent.reconcile.passes.loading import Loader
from agent.reconcile.passes.objects import ObjectReconciler
from agent.reconcile.passes.pruning import Pruner
from agent.reconcile.passes.staging import Stager
from agent.reconcile.passes.verdicts import Verdicts
from agent.reconcile.reports import status
from agent.reconcile.reports.events import Reporter
from agent.reconcile.reports.measures import Measures
from agent.reconcile.reports.status import Findings, TrackStatus
from agent.reconcile.reports.telling import Teller
from agent.reconcile.signals import SignalWatch, Suspension
from agent.source.git import GitSource
from agent.source.snapshot import Snapshot, Trust

logger = logging.getLogger(__name__)

Resources = Mapping[GroupVersionKind, Resource | None]


@dataclass(frozen=True, slots=True)
class Parts:
    """What a track works with."""

    discovery: Discovery
    source: GitSource
    inventory: Inventory
    objects: ObjectReconciler
    verdicts: Verdicts
    stager: Stager
    pruner: Pruner
    reporter: Reporter
    measures: Measures
    signals: SignalWatch
    suspension: Suspension


class Track:
    """One repository, reference and path, kept in step with the cluster.

    ``desired`` and ``outcomes`` are what the last revision asks for and what came of it.
    """

    def __init__(
        self, *, name: str, repository: str, prune: bool, parts: Parts, suspend: bool = False
    ) -> None:
        self.name = name
        self.status = TrackStatus(track=name, repository=repository)
        self.desired: dict[ObjectKey, Manifest] = {}
        self.outcomes: dict[ObjectKey, Outcome] = {}
        self._parts = parts
        self._prune = prune
        self._suspend = suspend
        self._loader = Loader(parts.source)
        self._findings = Findings()
        self._teller = Teller(name)
        self._done: str | None = None  # the tree that a pass has brought in step, whole
        self._status_read = False
        self._inventory_lock = asyncio.Lock()

    async def reconcile(self, *, resync: bool = False) -> TrackStatus:
        """Make one pass and return the track's status; never raises an AgentError.

        An unchanged tree that is in step costs the poll and nothing else, unless ``resync``. A
        suspended track costs nothing at all.
        """
        started = time.perf_counter()
        with log.bind(track=self.name):
            signals, inventory = await self._heed()
            if self._parts.suspension:
                await self._stand_still()
                self.measures.passed(time.perf_counter() - started, good=True, idle=True)
                return self.status
            asked = signals.requested if signals else self.status.last_handled_reconcile_at
            resync |= asked != self.status.last_handled_reconcile_at
            snapshot = await self._parts.source.poll(fresh=resync)
            self.measures.polled(snapshot, time.perf_counter() - started)
            idle = not resync and self._is_done(snapshot)
            if not idle:
                with log.bind(revision=str(snapshot.revision or "")):
                    await self._look_through(snapshot, inventory, asked)
        good = self.status.ready and not self.stopped
        self.measures.passed(time.perf_counter() - started, good=good, idle=idle)
        return self.status

    async def _look_through(
        self, snapshot: Snapshot, inventory: Contents | AgentError | None, asked: str
    ) -> None:
        """Make a pass on a snapshot, whatever becomes of it, and record it as asked for so."""
        findings = Findings(snapshot=snapshot)
        try:
            await self._pass(snapshot, findings, inventory)
        except AgentError as error:
            findings.extra["pass"] = str(error)
        self._teller.problem("pass stopped", findings.extra.get("pass", ""))
        if self._parts.suspension:
            await self._stand_still()
            return
        self._findings = findings
        self.status = replace(self.status, last_handled_reconcile_at=asked)
        written = await self.write_status()
        self._done = snapshot.tree_id if written and self.status.ready else None

    async def repair(self, key: ObjectKey, *, seen: JSONObject | None = None) -> Outcome | None:
        """Look at one object again: drift that was ``seen``, or a retry; None if git dropped it."""
        manifest = self.desired.get(key)
        if manifest is None:
            return None
        if self._parts.suspension:
            return self.outcomes.get(key)
        before = self.outcomes.get(key)
        was_good = before is not None and before.in_sync
        with log.bind(track=self.name, revision=self.status.revision):
            outcome = await self._parts.objects.reconcile(manifest, drift=was_good, seen=seen)
        if key not in self.desired:  # a commit has dropped it meanwhile
            self._parts.verdicts.drop(key)
            return None
        self.outcomes[key] = outcome
        return outcome

    async def write_status(self) -> bool:
        """Bring status and ConfigMap up to date; False, and a line in the log, when that fails.

        No request when nothing differs.
        """
        await self._parts.verdicts.save()
        async with self._inventory_lock:
            if not self.status.suspended:
                self.status = status.derive(self._findings, previous=self.status, now=_now())
            reach = self._findings.reach
            try:
                await self._parts.inventory.settle(
                    kinds=reach.kinds if reach else None,
                    namespaces=reach.namespaces if reach else None,
                    data=status.write(self.status),
                )
                problem = ""
            except AgentError as error:
                problem = str(error)
        self._teller.problem("status not written", problem)
        self._parts.reporter.flush()
        return not problem

    def heed(self, signals: Signals) -> None:
        """Take note of what people ask: a suspension holds from here on."""
        by = "the configuration (suspend = true)" if self._suspend else signals.suspended
        if by != self._parts.suspension.by:
            what = "suspended" if by else "resumed"
            logger.info(what, extra=log.fields(track=self.name, by=by or "a person"))
        self._parts.suspension.by = by

    async def _heed(self) -> tuple[Signals | None, Contents | AgentError | None]:
        """Learn what people ask, from the watch or else, and at first, from the ConfigMap.

        Returns what was asked, None if that cannot be found out now and what is known holds; and
        the ConfigMap's contents, or why they cannot be read, if they were asked for.
        """
        inventory: Contents | AgentError | None = None
        signals = await self._parts.signals.of(self.name)
        if signals is None or not self._status_read:
            try:
                inventory = await self._read_inventory()
                signals = signals or inventory.signals
            except AgentError as error:
                inventory = error
        if signals is not None or self._suspend:
            self.heed(signals or Signals())
        return signals, inventory

    async def _stand_still(self) -> TrackStatus:
        """Do nothing, and say in the status that nothing is done. What was found last stays."""
        self._done = None
        self.status = replace(self.status, suspended=self._parts.suspension.by)
        if self._status_read:  # else it would take the place of a status that could not be read
            await self.write_status()
        return self.status

    @property
    def findings(self) -> Findings:
        """What the last pass found out; not to be modified."""
        return self._findings

    def changes(self) -> AsyncGenerator[None, None] | None:
        """Yield whenever the source says that it changed; None when it has to be polled."""
        return self._parts.source.changes()

    @property
    def stopped(self) -> bool:
        """True when the last pass could not be carried through, e.g. without an API server."""
        return "pass" in self._findings.extra

    @property
    def measures(self) -> Measures:
        """What was counted of it."""
        return self._parts.measures

    @property
    def held(self) -> int:
        """How many deletions wait for an approval."""
        return len(self._findings.held_keys)

    @property
    def fights(self) -> int:
        """How many objects are being fought over with another writer."""
        return self._parts.objects.fights.ongoing

    def is_settled(self, record: Record) -> bool:
        """True when a live object is known to be what git wants: an event brings nothing new."""
        return self._parts.objects.is_settled(record)

    def _is_done(self, snapshot: Snapshot) -> bool:
        in_step = self._done is not None and self._done == snapshot.tree_id
        return in_step and snapshot.trust is Trust.UNCHANGED

    async def _pass(
        self, snapshot: Snapshot, findings: Findings, inventory: Contents | AgentError | None
    ) -> None:
        """Carry a pass through; ``inventory`` is what reading it just came to, None if not read."""
        self.status = replace(self.status, suspended="")
        self._teller.fetch(snapshot)
        self._teller.notes(snapshot)
        if isinstance(inventory, AgentError):
            raise inventory
        contents = inventory or await self._read_inventory()
        self._parts.reporter.checkout(snapshot)
        if snapshot.trust in (Trust.EMPTY, Trust.UNREADABLE):
            findings.outcomes = self.outcomes or None
            return
        collected = await self._loader.load(snapshot)
        findings.file_errors = collected.errors
        self._teller.files(collected)
        resources = await self._resolve({manifest.gvk for manifest in collected.manifests})
        recovered = self._recover(contents)
        before = self.desired
        findings.file_errors += self._adopt(collected.manifests, resources)
        self.measures.expect(before, self.desired, snapshot.revision)
        wanted = self._reach(resources)
        async with self._inventory_lock:
            # What the last pass found must not narrow it again, if this one is cut short.
            self._findings.reach = None
            contents = await self._parts.inventory.widen(
                kinds=wanted.kinds | recovered, namespaces=wanted.namespaces
            )
        await self._parts.stager.apply(self.desired, self.outcomes)
        findings.outcomes = self.outcomes
        if not self._parts.suspension:
            await self._prune_leftovers(findings, collected, contents, wanted)

    async def _read_inventory(self) -> Contents:
        """Read the ConfigMap: approvals are written there, and at first the last status is."""
        async with self._inventory_lock:
            contents = await self._parts.inventory.read()
        if not self._status_read:
            await self._parts.verdicts.load()
            stored = status.read(contents.data)
            if stored is not None and stored.track == self.name:
                self.status = replace(stored, repository=self.status.repository)
                self._parts.reporter.resume(stored)
            self._status_read = True
        return contents

    def _recover(self, contents: Contents) -> set[GroupKind]:
        """Return the kinds that an inventory which was deleted must have had.

        Without them what git drops next would be forgotten instead of pruned.
        """
        if contents.resource_version:
            return set()
        known = {key.group_kind for key in self._parts.verdicts.objects()}
        return known | self._parts.pruner.watched_kinds()

    async def _resolve(self, gvks: Collection[GroupVersionKind]) -> Resources:
        """Look the kinds up; one whose group cannot be asked counts as unknown for now."""
        found: dict[GroupVersionKind, Resource | None] = {}
        for gvk in sorted(gvks):
            try:
                found[gvk] = await self._parts.discovery.resolve(gvk)
            except KubeError:
                found[gvk] = None
        return found

    def _adopt(
        self, manifests: Collection[Manifest], resources: Resources
    ) -> tuple[ManifestError, ...]:
        """Make these manifests the desired state, and forget what is not in it.

        Returns the objects that are written twice, which shows only now that scopes are known.
        """
        desired: dict[ObjectKey, Manifest] = {}
        twice: list[ManifestError] = []
        for manifest in manifests:
            resource = resources[manifest.gvk]
            key = resolve(manifest, resource).key if resource else manifest.key
            kept = desired.setdefault(key, manifest)
            if kept is not manifest:
                twice.append(duplicate(manifest, kept))
        self.desired = desired
        self.outcomes = {key: o for key, o in self.outcomes.items() if key in desired}
        self._parts.verdicts.retain(desired)
        self._parts.reporter.retain(desired)
        return tuple(twice)

    def _reach(self, resources: Resources) -> status.Reach:
        """Return the kinds and namespaces of the objects that are not left alone."""
        kinds: set[GroupKind] = set()
        namespaces: set[str] = set()
        for key, manifest in self.desired.items():
            resource = resources[manifest.gvk]
            if resource and self._parts.objects.reason_to_ignore(resolve(manifest, resource)):
                continue
            kinds.add(key.group_kind)
            namespaces.add(key.namespace)
        return status.Reach(frozenset(kinds), frozenset(namespaces))

    async def _prune_leftovers(
        self,
        findings: Findings,
        collected: Collected,
        contents: Contents,
        wanted: status.Reach,
    ) -> None:
        """Delete what git dropped, unless anything says that git is not seen whole."""
        owned = await self._parts.pruner.owned(contents.kinds)
        if not self._prune:
            findings.prune_errors = ()
            return
        reason = _why_not_prune(findings.snapshot, collected)
        self._teller.problem("nothing is pruned", reason)
        findings.not_pruned = reason
        if reason:
            return
        names = {manifest.key for manifest in collected.manifests} | self.desired.keys()
        pruned = await self._parts.pruner.prune(
            owned, git=in_git(names, self.outcomes), approved=contents.signals.approved
        )
        findings.prune_errors = pruned.errors + tuple(
            f"{kind}: cannot be listed: {why}" for kind, why in owned.unseen.items()
        )
        findings.held, findings.held_digest = pruned.held, pruned.held_digest
        findings.held_keys, findings.pruned = pruned.held_keys, pruned.outcomes
        findings.extra.update(pruned.left_alone)
        self._parts.reporter.cleanup(findings.prune_errors)
        self._parts.reporter.held(
            count=len(pruned.held_keys), reason=pruned.held, plan=pruned.held_digest
        )
        left = [r.key for _, r in owned.records if r.key not in pruned.gone and not r.deleting]
        findings.reach = status.Reach(
            wanted.kinds
            | {key.group_kind for key in left}
            | owned.unseen.keys()
            | (owned.absent & contents.kinds),
            wanted.namespaces | {key.namespace for key in left},
        )


def _why_not_prune(snapshot: Snapshot | None, collected: Collected) -> str:
    """Return why git may hold more than was seen, or "" when nothing is missing."""
    if snapshot is None or not snapshot.may_prune:
        trust = "unknown" if snapshot is None else snapshot.trust.value
        return f"the source is {trust}, so git may be ahead of it"
    if not collected.complete:
        return "a file could not be read, so what it holds is unknown"
    return ""


def _now() -> str:
    return datetime.now(UTC).strftime(status.TIME_FORMAT)
