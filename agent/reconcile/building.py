"""Puts a track together: out of its configuration and what all tracks share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agent.aio.inflight import InFlight
from agent.apply.applier import Applier
from agent.apply.desired import Resolver
from agent.apply.inventory import Inventory
from agent.apply.requests import Requests
from agent.config.model import Config
from agent.config.model import Track as TrackConfig
from agent.kube.client import Client
from agent.kube.discovery import Discovery
from agent.kube.events import EventRecorder
from agent.kube.informers import Informers
from agent.manifest.keys import ObjectKey
from agent.metrics import Metrics
from agent.plan.decide import Policy
from agent.plan.ownership import Record
from agent.reconcile.passes.objects import ObjectReconciler
from agent.reconcile.passes.pruning import Pruner
from agent.reconcile.passes.staging import Stager
from agent.reconcile.passes.track import Parts, Track
from agent.reconcile.passes.verdicts import Verdicts
from agent.reconcile.reports.events import Reporter
from agent.reconcile.reports.measures import Labels, Measures
from agent.reconcile.signals import SignalWatch, Suspension
from agent.reconcile.sources import Sources


@dataclass(frozen=True, slots=True)
class TrackBuilder:
    """Puts one track together out of what all share.

    ``requests`` stand in for those that do what is asked of them.
    """

    config: Config
    client: Client
    discovery: Discovery
    resolver: Resolver
    informers: Informers[Record]
    sources: Sources
    in_flight: InFlight
    recorder: EventRecorder
    digest_key: bytes
    state_namespace: str
    metrics: Metrics
    signals: SignalWatch
    look_again: Callable[[str, ObjectKey], None]
    requests: Requests | None = None

    def build(self, track: TrackConfig) -> Track:
        """Return a track that has done nothing yet."""
        return Track(
            name=track.name,
            repository=track.repository,
            prune=track.prune,
            suspend=track.suspend,
            parts=self.parts(track),
        )

    def parts(self, track: TrackConfig) -> Parts:
        """Return what a track works with, which is its own."""
        settings = self.config.agent
        inventory = Inventory(
            self.client, agent=settings.name, track=track.name, namespace=self.state_namespace
        )
        source = self.sources.build(track)
        reporter = Reporter(
            recorder=self.recorder,
            inventory=inventory,
            repository=source.url,
            reference=track.reference,
        )
        measures = self._measures(track, source.url)
        context = f"{self.client.host} {inventory.owner} adopt={track.adopt}"
        verdicts = Verdicts(settings.state_dir / "verdicts" / inventory.name, context=context)
        policy = self.policy(track)
        suspension = Suspension()
        pruner = self._pruner(track, inventory, reporter, measures, suspension)
        objects = ObjectReconciler(
            applier=Applier(
                requests=self.requests
                or Requests(self.client, server_dry_run=settings.server_dry_run),
                owner=inventory.owner,
                digest_key=self.digest_key,
                adopt=track.adopt,
                ignored=track.ignore_fields,
            ),
            resolver=self.resolver,
            informers=self.informers,
            policy=policy,
            verdicts=verdicts,
            in_flight=self.in_flight,
            reporter=reporter,
            measures=measures,
            on_stale=lambda key: self.look_again(track.name, key),
            suspension=suspension,
        )
        return Parts(
            discovery=self.discovery,
            source=source,
            inventory=inventory,
            objects=objects,
            verdicts=verdicts,
            stager=Stager(client=self.client, discovery=self.discovery, objects=objects),
            pruner=pruner,
            reporter=reporter,
            measures=measures,
            signals=self.signals,
            suspension=suspension,
        )

    def _measures(self, track: TrackConfig, url: str) -> Measures:
        labels = Labels(
            track=track.name,
            namespace=track.scope_namespace,
            state_namespace=self.state_namespace,
            repository=url,
        )
        return Measures(self.metrics, labels)

    def policy(self, track: TrackConfig) -> Policy:
        """Return what limits the track."""
        settings = self.config.agent
        return Policy(
            agent_namespace=settings.namespace,
            ignored=frozenset(settings.ignore_resources),
            scope=track.scope,
        )

    def _pruner(
        self,
        track: TrackConfig,
        inventory: Inventory,
        reporter: Reporter,
        measures: Measures,
        suspension: Suspension,
    ) -> Pruner:
        return Pruner(
            client=self.client,
            discovery=self.discovery,
            informers=self.informers,
            owner=str(inventory.owner),
            policy=self.policy(track),
            limit_percent=track.prune_limit,
            reporter=reporter,
            measures=measures,
            suspension=suspension,
        )
