"""Passes that change nothing: what a track would do, and what becomes of one object.

The very pass that the agent makes, with a client whose writes are dry-runs, a folder that is thrown
away and nobody to tell Events to. So what is shown cannot differ from what is done.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from agent import __version__
from agent.aio.inflight import InFlight
from agent.apply import digestkey
from agent.apply.desired import Resolver
from agent.apply.preview import Preview, Previews
from agent.apply.schemas import Schemas
from agent.apply.signals import Signals
from agent.config.model import Config
from agent.config.model import Track as TrackConfig
from agent.kube.client import Client
from agent.kube.discovery import Discovery
from agent.kube.events import EventRecorder
from agent.kube.informers import Informers
from agent.kube.resource import Resource
from agent.manifest import marks
from agent.manifest.collection import Collected
from agent.manifest.keys import GroupKind, JSONObject, ObjectKey
from agent.manifest.model import Manifest
from agent.metrics import Metrics
from agent.plan import ordering
from agent.plan.change import Action, Outcome
from agent.plan.ownership import Record, live_digest, project
from agent.reconcile.building import TrackBuilder
from agent.reconcile.passes.loading import Loader
from agent.reconcile.passes.track import Track
from agent.reconcile.reports.status import Findings
from agent.reconcile.signals import SignalWatch
from agent.reconcile.sources import SecretLookup, Sources
from agent.source.fetcher import Fetcher
from agent.source.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Change:
    """What would happen to one object: ``preview`` is None where nobody looked at it."""

    outcome: Outcome
    origin: str = ""
    preview: Preview | None = None
    has_status: bool = True


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What a pass of a track would do. ``findings`` says the rest, as after a real one."""

    track: TrackConfig
    findings: Findings
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Content:
    """What a track's repository says now."""

    snapshot: Snapshot
    collected: Collected


@dataclass(frozen=True, slots=True)
class Rehearser:
    """Rehearses tracks of one configuration; made by ``rehearsing``.

    ``discovery`` is shared with whoever asks further, ``at_home`` are the sources as the agent on
    this machine has them, if one runs here.
    """

    builder: TrackBuilder
    discovery: Discovery
    at_home: Sources
    coming: set[str] = field(default_factory=set)

    async def track(self, track: TrackConfig) -> Rehearsed:
        """Rehearse a pass; a suspension does not count."""
        previews, builder = self._prepared()
        rehearsed = builder.build(replace(track, suspend=False))
        await rehearsed.reconcile()
        changes = [
            await self._change(rehearsed, key, outcome, previews)
            for key, outcome in sorted(rehearsed.outcomes.items(), key=_in_order)
        ]
        changes += [Change(outcome) for outcome in rehearsed.findings.pruned]
        return Rehearsed(track, rehearsed.findings, tuple(changes))

    async def content(self, track: TrackConfig, *, commit: str = "") -> Content:
        """Fetch and parse what the track's repository says, at ``commit`` if it still has that.

        Where the repository cannot be reached it is what the agent keeps on this machine, if there
        is such a thing; else the snapshot says why not. Raises SourceError.
        """
        source = self.builder.sources.build(replace(track, reference=commit or track.reference))
        snapshot = await source.poll()
        if snapshot.error and commit:
            return await self.content(track)
        if snapshot.error:
            at_home = self.at_home.build(track)
            if kept := await at_home.last_good():
                source, snapshot = at_home, replace(kept, error=snapshot.error)
        return Content(snapshot, await Loader(source).load(snapshot))

    async def object(self, track: TrackConfig, manifest: Manifest) -> Change:
        """Rehearse one object."""
        previews, builder = self._prepared()
        outcome = await builder.parts(track).objects.reconcile(manifest)
        return await self._seen(manifest, outcome, previews)

    def _prepared(self) -> tuple[Previews, TrackBuilder]:
        previews = Previews(self.builder.client, server_dry_run=True, coming=self.coming)
        return previews, replace(self.builder, requests=previews)

    async def _change(
        self, track: Track, key: ObjectKey, outcome: Outcome, previews: Previews
    ) -> Change:
        manifest = track.desired[key]
        origin = str(manifest.origin)
        if outcome.error and manifest.gvk.group_kind in _kinds_to_come(track):
            made = Outcome(key, Action.CREATE)
            return Change(made, origin, Preview(None, manifest.object(), asked=False))
        return await self._seen(manifest, outcome, previews)

    async def _seen(self, manifest: Manifest, outcome: Outcome, previews: Previews) -> Change:
        """Join an outcome with its preview; a write that only moves ownership of fields is none."""
        preview = previews.seen.get(outcome.key)
        resource = await self.discovery.resolve(manifest.gvk) if preview else None
        has_status = resource is None or resource.has_status
        if preview and outcome.action is Action.UPDATE and _is_same(preview, has_status):
            outcome = replace(outcome, action=Action.UNCHANGED)
        return Change(outcome, str(manifest.origin), preview, has_status)


@asynccontextmanager
async def rehearsing(
    config: Config, client: Client, *, environment: Mapping[str, str], state_namespace: str
) -> AsyncIterator[Rehearser]:
    """Give a rehearser for the length of a block. ``client`` must be a dry-run one.

    ``environment`` is where credentials that the configuration names are looked up.
    """
    if not client.dry_run:
        raise ValueError("a rehearsal needs a client that only dry-runs")
    fetcher = Fetcher()
    with tempfile.TemporaryDirectory(prefix="lightkeeper-") as scratch:
        agent = replace(config.agent, state_dir=Path(scratch))
        digest_key = await asyncio.to_thread(digestkey.load, agent.state_dir)
        discovery = Discovery(client)
        try:
            async with asyncio.TaskGroup() as watches:
                informers = Informers(
                    client=client,
                    tasks=watches,
                    project=_project,
                    on_change=lambda resource, old, new, body: None,
                    on_gone=lambda resource: discovery.forget(resource.group),
                    selector=f"{marks.AGENT}={agent.name}",
                    namespace=agent.namespace,
                )
                builder = TrackBuilder(
                    config=replace(config, agent=agent),
                    client=client,
                    requests=Previews(client, server_dry_run=True),
                    discovery=discovery,
                    resolver=Resolver(discovery, Schemas(client)),
                    informers=informers,
                    sources=Sources(agent, fetcher, environment, SecretLookup(client)),
                    in_flight=InFlight(),
                    recorder=EventRecorder(client, instance=""),  # never run: Events stay in it
                    digest_key=digest_key,
                    state_namespace=state_namespace,
                    metrics=Metrics(version=__version__),  # counted, and shown to nobody
                    signals=_NobodyAsks(client, agent=agent.name, namespace=state_namespace),
                    look_again=lambda track, key: None,
                )
                try:
                    at_home = Sources(config.agent, fetcher, environment, SecretLookup(client))
                    yield Rehearser(builder, discovery, at_home)
                finally:
                    informers.stop()
        finally:
            await fetcher.close()


class _NobodyAsks(SignalWatch):
    """Signals of nobody: a plan is wanted of a suspended track, too."""

    def __init__(self, client: Client, *, agent: str, namespace: str) -> None:
        super().__init__(
            client, agent=agent, namespace=namespace, on_change=lambda track, signals: None
        )

    async def of(self, track: str) -> Signals:
        return Signals()


def _project(obj: JSONObject, resource: Resource) -> Record:
    return project(obj, has_status=resource.has_status)


def _is_same(preview: Preview, has_status: bool) -> bool:
    one, other = preview.before, preview.after
    if one is None or other is None:
        return False
    return live_digest(one, has_status=has_status) == live_digest(other, has_status=has_status)


def _in_order(item: tuple[ObjectKey, Outcome]) -> tuple[int, ObjectKey]:
    """Sort as a pass goes; within a stage it has no order of its own."""
    key, _ = item
    return ordering.stage(key.group_kind), key


def _kinds_to_come(track: Track) -> set[GroupKind]:
    """Return the kinds whose CRDs the track itself would create."""
    kinds = set()
    for key, outcome in track.outcomes.items():
        created = outcome.action is Action.CREATE and not outcome.error
        if key.group_kind == ordering.CUSTOM_RESOURCE_DEFINITION and created:
            spec = track.desired[key].object()["spec"]
            kinds.add(GroupKind(str(spec["group"]), str(spec["names"]["kind"])))
    return kinds
