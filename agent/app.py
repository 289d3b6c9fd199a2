"""The composition root: builds everything, one TaskGroup, signals, the order of the end.

The only module that knows all others. Reads no argv and no environment: ``cli`` hands both in.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from agent import __version__, log
from agent.aio.inflight import InFlight
from agent.aio.supervise import forever
from agent.apply import digestkey
from agent.apply.applier import Applier
from agent.apply.desired import Resolver
from agent.apply.inventory import Inventory
from agent.apply.requests import Requests
from agent.apply.schemas import Schemas
from agent.config.model import Config, CredentialType, DeployKey, KnownHosts
from agent.config.model import Track as TrackConfig
from agent.kube import auth, pod
from agent.kube.client import Client
from agent.kube.discovery import Discovery
from agent.kube.events import EventRecorder
from agent.kube.informers import Informers
from agent.kube.resource import Resource
from agent.kube.transport import Transport
from agent.manifest import marks
from agent.manifest.keys import JSONObject, ObjectKey
from agent.plan.decide import Policy
from agent.plan.ownership import Record, project
from agent.reconcile.events import Reporter
from agent.reconcile.loops import Loops
from agent.reconcile.objects import ObjectReconciler
from agent.reconcile.pruning import Pruner
from agent.reconcile.staging import Stager
from agent.reconcile.status import TrackStatus
from agent.reconcile.track import Parts, Track
from agent.reconcile.verdicts import Verdicts
from agent.source import providers
from agent.source.credentials import basic_auth, ssh_key
from agent.source.fetcher import Fetcher
from agent.source.git import GitSource

logger = logging.getLogger(__name__)

DRAIN = 20.0
"""Seconds that writes in flight have at the end; Kubernetes' default grace period is 30."""

RECORD = 5.0
"""Seconds that the last status has to be written in."""

EVENTS_DRAIN = 2.0
"""Seconds that Events have at the end to be written."""


@dataclass(frozen=True, slots=True)
class Agent:
    """A built agent: its tracks in the loops, and what has to be ended with it."""

    loops: Loops
    informers: Informers[Record]
    in_flight: InFlight


async def run_once(config: Config, environment: Mapping[str, str]) -> list[TrackStatus]:
    """Make one pass of every track, side by side, and return their states.

    ``environment`` is where credentials that the configuration names are looked up.
    Raises AgentError when there is no API server to talk to or no folder to write.
    """
    async with _built(config, environment) as agent, asyncio.TaskGroup() as tasks:
        passes = [tasks.create_task(t.reconcile()) for t in agent.loops.tracks.values()]
    return [done.result() for done in passes]


async def run(config: Config, environment: Mapping[str, str]) -> None:
    """Keep all tracks in step until SIGTERM or SIGINT; objects in flight are finished first.

    Raises AgentError when there is no API server to talk to or no folder to write.
    """
    stop = asyncio.Event()
    with _signals(stop.set):
        await run_until(stop, config, environment)


async def run_until(stop: asyncio.Event, config: Config, environment: Mapping[str, str]) -> None:
    """Keep all tracks in step until ``stop`` is set; as ``run``, without the signals."""
    async with _built(config, environment) as agent, asyncio.TaskGroup() as tasks:
        running = agent.loops.start(tasks)
        tracks = agent.loops.tracks.values()
        logger.info("lightkeeper runs", extra=log.fields(version=__version__, tracks=len(tracks)))
        await stop.wait()
        logger.info("stopping")
        agent.loops.stop()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        if lost := await agent.in_flight.drain(DRAIN):
            logger.warning("writes cut off", extra=log.fields(count=lost))
        await _record(list(tracks))
    logger.info("stopped")


async def _record(tracks: list[Track]) -> None:
    """Write what is known of the tracks, all at once and not for long: the end must come."""
    try:
        async with asyncio.timeout(RECORD):
            await asyncio.gather(*(track.write_status() for track in tracks))
    except TimeoutError:
        logger.warning("status not written: no answer from the API server in time")


@asynccontextmanager
async def _built(config: Config, environment: Mapping[str, str]) -> AsyncIterator[Agent]:
    """Build the agent; end its watches, workers and connections in that order."""
    settings = config.agent
    digest_key = await asyncio.to_thread(digestkey.load, settings.state_dir)
    state_namespace = settings.state_namespace or await asyncio.to_thread(pod.namespace)

    async def load_access() -> auth.Access:
        return await auth.load(kubeconfig=str(settings.kubeconfig or ""), context=settings.context)

    fetcher = Fetcher()
    loops = Loops(sync_period=settings.sync_period)
    in_flight = InFlight()
    try:
        async with (
            Transport(await load_access(), reload=load_access) as transport,
            asyncio.TaskGroup() as watches,
        ):
            client = Client(transport)
            discovery = Discovery(client)
            recorder = EventRecorder(client, instance=pod.name())
            writer = watches.create_task(forever("events", recorder.run), name="events")
            informers = Informers(
                client=client,
                tasks=watches,
                project=_project,
                on_change=lambda _, old, new: loops.observe(old, new),
                on_gone=lambda resource: discovery.forget(resource.group),
                selector=f"{marks.AGENT}={settings.name}",
                namespace=settings.namespace,
            )
            builder = _TrackBuilder(
                config=config,
                client=client,
                discovery=discovery,
                resolver=Resolver(discovery, Schemas(client)),
                informers=informers,
                fetcher=fetcher,
                in_flight=in_flight,
                recorder=recorder,
                digest_key=digest_key,
                state_namespace=state_namespace,
                environment=environment,
                look_again=loops.look_again,
            )
            for track in config.tracks:
                loops.add(builder.build(track), interval=track.interval)
            try:
                yield Agent(loops=loops, informers=informers, in_flight=in_flight)
            finally:
                informers.stop()
                await recorder.drain(EVENTS_DRAIN)
                writer.cancel()
    finally:
        await fetcher.close()


@dataclass(frozen=True, slots=True)
class _TrackBuilder:
    """Puts one track together out of what all share."""

    config: Config
    client: Client
    discovery: Discovery
    resolver: Resolver
    informers: Informers[Record]
    fetcher: Fetcher
    in_flight: InFlight
    recorder: EventRecorder
    digest_key: bytes
    state_namespace: str
    environment: Mapping[str, str]
    look_again: Callable[[str, ObjectKey], None]

    def build(self, track: TrackConfig) -> Track:
        """Return a track that has done nothing yet."""
        settings = self.config.agent
        inventory = Inventory(
            self.client, agent=settings.name, track=track.name, namespace=self.state_namespace
        )
        source = self._source(track)
        reporter = Reporter(
            recorder=self.recorder,
            inventory=inventory,
            repository=source.url,
            reference=track.reference,
        )
        context = f"{self.client.host} {inventory.owner} adopt={track.adopt}"
        verdicts = Verdicts(settings.state_dir / "verdicts" / inventory.name, context=context)
        policy = Policy(
            agent_namespace=settings.namespace,
            ignored=frozenset(settings.ignore_resources),
            scope=track.scope,
        )
        objects = ObjectReconciler(
            applier=Applier(
                requests=Requests(self.client, server_dry_run=settings.server_dry_run),
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
            on_stale=lambda key: self.look_again(track.name, key),
        )
        parts = Parts(
            discovery=self.discovery,
            source=source,
            inventory=inventory,
            objects=objects,
            verdicts=verdicts,
            stager=Stager(client=self.client, discovery=self.discovery, objects=objects),
            pruner=Pruner(
                client=self.client,
                discovery=self.discovery,
                informers=self.informers,
                owner=str(inventory.owner),
                policy=policy,
                limit_percent=track.prune_limit,
                reporter=reporter,
            ),
            reporter=reporter,
        )
        return Track(name=track.name, repository=track.repository, prune=track.prune, parts=parts)

    def _source(self, track: TrackConfig) -> GitSource:
        return GitSource(
            url=track.repository,
            reference=track.reference,
            sub_path=track.sub_path,
            state_dir=self.config.agent.state_dir,
            credentials=self._credentials(track),
            timeout=self.config.agent.fetch_timeout,
            fetcher=self.fetcher,
        )

    def _credentials(self, track: TrackConfig) -> providers.PlacedCredentials:
        key, hosts = track.deploy_key, track.known_hosts
        basic = key is not None and key.type is CredentialType.HTTP_BASIC_AUTH
        return providers.PlacedCredentials(
            secret=self._place(key),
            reader=basic_auth if basic else ssh_key,
            known_hosts=self._place(hosts),
            ca_file=str(track.ca_file or ""),
        )

    def _place(self, reference: DeployKey | KnownHosts | None) -> providers.Place | None:
        if reference is None:
            return None
        if reference.file is not None:
            return providers.File(reference.file)
        return providers.Variable(reference.env, self.environment)


def _project(obj: JSONObject, resource: Resource) -> Record:
    return project(obj, has_status=resource.has_status)


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` at the first SIGTERM or SIGINT; a second one ends the process at once."""
    loop = asyncio.get_running_loop()

    def first() -> None:
        stop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, first)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
