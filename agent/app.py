"""The composition root: builds everything, one TaskGroup, signals, the order of the end.

The only module that knows all others. Reads no argv and no environment: ``cli`` hands both in.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial

import msgspec

from agent import __version__, log
from agent.aio.backoff import Backoff
from agent.aio.pulse import Pulse
from agent.aio.supervise import forever
from agent.apply import digestkey
from agent.apply.desired import Resolver
from agent.apply.schemas import Schemas
from agent.config.live import LiveConfig
from agent.config.model import Config, ElectionMode
from agent.config.model import Track as TrackConfig
from agent.errors import AgentError
from agent.kube import auth, pod
from agent.kube.client import Client
from agent.kube.discovery import Discovery
from agent.kube.fence import OPEN, SHUT, LeaseFence
from agent.kube.informers import Informers
from agent.kube.resource import Resource
from agent.kube.transport import Transport
from agent.manifest import marks
from agent.manifest.keys import JSONObject
from agent.metrics import Metrics
from agent.plan.ownership import Record, project
from agent.reconcile.building import TrackBuilder
from agent.reconcile.health import Health
from agent.reconcile.leadership.candidates import candidates
from agent.reconcile.leadership.elector import Elector
from agent.reconcile.reports.gauges import Gauges
from agent.reconcile.reports.status import TrackStatus
from agent.reconcile.signals import SignalWatch
from agent.reconcile.sources import SecretLookup, Sources
from agent.reconcile.steering import Steering
from agent.reconcile.terms import Terms, stand_by
from agent.serve.server import serving
from agent.source.fetcher import Fetcher
from agent.source.pool import WorkerPool
from agent.source.url import parse_url

logger = logging.getLogger(__name__)

RESTART = (1.0, 30.0)
"""First and longest pause before what worked once is started again, in seconds."""


SAME_SIGNAL = 0.5
"""Within so many seconds a second signal is the first one again."""


@dataclass(frozen=True, slots=True)
class Agent:
    """A built agent: what all terms share, and who campaigns for the right to begin one.

    ``electors`` is empty without leader election.
    """

    client: Client
    terms: Terms
    sources: Sources
    informers: Informers[Record]
    electors: Mapping[Elector, tuple[TrackConfig, ...]]
    metrics: Metrics


async def run_once(
    config: Config,
    environment: Mapping[str, str],
    *,
    workers: WorkerPool | None = None,
    patience: float | None = None,
) -> list[TrackStatus]:
    """Make one pass of every track, side by side, and return their states.

    Takes no part in leader election: who asks for a pass wants that pass, now. ``environment`` is
    where credentials that the configuration names are looked up, ``workers`` are git workers that
    are its caller's, if there are such. With ``patience``, in seconds, tries until all is in sync,
    but no longer; repositories, API server and kubeconfig may still be missing at first.
    Raises AgentError when there is no API server to talk to or no folder to write.
    """
    if patience is None:
        async with _built(config, environment, elect=False, workers=workers) as agent:
            return await agent.terms.once(agent.client, config.tracks)
    begun = time.monotonic()
    pauses = Backoff(*RESTART)
    while True:
        left = max(0.0, begun + patience - time.monotonic())
        try:
            async with _built(config, environment, elect=False, workers=workers) as agent:
                return await agent.terms.once(agent.client, config.tracks, patience=left)
        except AgentError as error:
            pause = pauses.next()
            if pause > left:
                raise
            logger.warning("cannot start, trying again", extra=log.fields(error=str(error)))
            await asyncio.sleep(pause)


def check(config: Config) -> Config:
    """Return a configuration whose tracks can be built; raise AgentError for the first that cannot.

    Before it is in force: a running agent must not stumble over it.
    """
    for track in config.tracks:
        parse_url(track.repository)
    return config


async def run(
    config: LiveConfig, environment: Mapping[str, str], *, workers: WorkerPool | None = None
) -> None:
    """Keep all tracks in step until SIGTERM or SIGINT; objects in flight are finished first.

    Follows the configuration's file, which SIGHUP has read at once. Raises AgentError when there
    is no API server to talk to or no folder to write.
    """
    stop = asyncio.Event()
    with _signals(stop.set, hang_up=config.hang_up):
        await run_until(stop, config, environment, workers=workers)


async def run_until(
    stop: asyncio.Event,
    config: LiveConfig,
    environment: Mapping[str, str],
    *,
    workers: WorkerPool | None = None,
) -> None:
    """Keep all tracks in step until ``stop`` is set; as ``run``, without the signals."""
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(forever("configuration", config.watch), name="configuration")
        works: Config | None = None
        pauses = Backoff(*RESTART)
        while works is None or not stop.is_set():
            steering = Steering(config.current)
            config.on_change = steering.change
            try:
                built = _built(
                    steering.config,
                    environment,
                    elect=steering.config.leader_election.enabled,
                    workers=workers,
                )
                async with built as agent:
                    await _stretch(agent, steering, stop, refused=lambda: config.refused)
            except (AgentError, ExceptionGroup) as error:
                # What cannot be started is as good as a file that cannot be read.
                if works is None or steering.begun or (reason := _known(error)) is None:
                    raise
                if steering.config != works:
                    config.refuse(str(reason), back_to=works)
                    continue
                # Not the file's fault: the kubeconfig is gone, say, and may come back.
                logger.error("cannot start anew, trying again", extra=log.fields(error=str(reason)))
                await _wait(stop, pauses.next())
            else:
                works = steering.config
                pauses.reset()
        following.cancel()
    logger.info("stopped")


async def _wait(stop: asyncio.Event, pause: float) -> None:
    """Wait for ``pause`` seconds, but not longer than until ``stop``."""
    with suppress(TimeoutError):
        async with asyncio.timeout(pause):
            await stop.wait()


async def _stretch(
    agent: Agent, steering: Steering, stop: asyncio.Event, *, refused: Callable[[], str]
) -> None:
    """Work on one configuration until ``stop`` or until it needs everything to be built anew."""
    config = steering.config
    async with _serving(config, agent), asyncio.TaskGroup() as tasks:
        await agent.sources.sweep(config.tracks)
        steering.begun = True
        agent.metrics.configuration_good.set_function(lambda: 0.0 if refused() else 1.0)
        tracks = len(config.tracks)
        logger.info("lightkeeper runs", extra=log.fields(version=__version__, tracks=tracks))
        if not config.leader_election.enabled:
            tasks.create_task(steering.follow(partial(agent.terms.run, agent.client)), name="term")
        for elector in agent.electors:
            tasks.create_task(_campaign(agent, elector, steering), name=f"elector {elector.name}")
        stopping = tasks.create_task(_stop_at(stop, steering), name="stop")
        await steering.over.wait()
        stopping.cancel()
        logger.info("stopping" if stop.is_set() else "starting anew with another configuration")


@asynccontextmanager
async def _serving(config: Config, agent: Agent) -> AsyncIterator[None]:
    """Show what the agent is doing: from before the first pass until after the last write."""
    pulse = Pulse(agent.metrics.event_loop_lag.observe)
    fetch_timeout = config.agent.fetch_timeout
    health = Health(agent.terms, agent.electors, agent.informers, pulse, fetch_timeout)
    async with (
        asyncio.TaskGroup() as tasks,
        serving(
            config.agent,
            client=agent.client,
            metrics=agent.metrics.page,
            status=lambda: msgspec.json.encode([t.status for t in agent.terms.tracks.values()]),
            dead=health.dead,
            unready=health.unready,
        ),
    ):
        beats = tasks.create_task(forever("pulse", pulse.run), name="pulse")
        try:
            yield
        finally:
            beats.cancel()


def _known(error: AgentError | ExceptionGroup[Exception]) -> AgentError | None:
    """Return the error for the user in what came out of nested task groups, None for a defect."""
    if isinstance(error, AgentError):
        return error
    ours, defects = error.split(AgentError)
    if ours is None or defects is not None:
        return None
    first: BaseException = ours
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first if isinstance(first, AgentError) else None


async def _stop_at(stop: asyncio.Event, steering: Steering) -> None:
    await stop.wait()
    steering.stop()


async def _campaign(agent: Agent, elector: Elector, steering: Steering) -> None:
    """Work on an elector's tracks whenever it leads; everything written then is under its fence."""
    # One Lease for the agent is the right to write of all tracks, those to come included.
    a_lease_each = steering.config.leader_election.mode is ElectionMode.TRACK
    only = {track.name for track in agent.electors[elector]} if a_lease_each else None

    async def lead(fence: LeaseFence) -> None:
        await steering.follow(partial(agent.terms.run, agent.client.under(fence)), only=only)

    async def wait() -> None:
        await steering.follow(partial(stand_by, agent.sources), only=only)

    await elector.run(steering.over, lead=lead, stand_by=wait)


@asynccontextmanager
async def _built(
    config: Config, environment: Mapping[str, str], *, elect: bool, workers: WorkerPool | None
) -> AsyncIterator[Agent]:
    """Build the agent; end its watches, workers and connections in that order."""
    settings = config.agent
    digest_key = await asyncio.to_thread(digestkey.load, settings.state_dir)
    state_namespace = settings.state_namespace or await asyncio.to_thread(pod.namespace)
    load_access = partial(
        auth.load, kubeconfig=str(settings.kubeconfig or ""), context=settings.context
    )
    fetcher, metrics = Fetcher(workers=workers), Metrics(version=__version__)
    try:
        async with (
            Transport(
                await load_access(),
                reload=load_access,
                fence=SHUT if elect else OPEN,
                observe=metrics.requested,
            ) as transport,
            asyncio.TaskGroup() as watches,
        ):
            client = Client(transport)
            metrics.request_limit.set_function(lambda: transport.limit)
            sources = Sources(settings, fetcher, environment, SecretLookup(client))
            discovery = Discovery(client)
            informers = Informers(
                client=client,
                tasks=watches,
                project=_project,
                on_change=lambda _, old, new, body: terms.observe(old, new, body),
                on_gone=lambda resource: discovery.forget(resource.group),
                selector=f"{marks.AGENT}={settings.name}",
                namespace=settings.namespace,
            )
            builder = partial(
                TrackBuilder,
                config=config,
                discovery=discovery,
                resolver=Resolver(discovery, Schemas(client)),
                informers=informers,
                sources=sources,
                digest_key=digest_key,
                state_namespace=state_namespace,
                metrics=metrics,
            )
            hearing = partial(SignalWatch, agent=settings.name, namespace=state_namespace)
            terms = Terms(builder, hearing, sync_period=settings.sync_period, metrics=metrics)
            electors = candidates(config, client, state_namespace) if elect else {}
            metrics.add(Gauges(metrics, terms, electors))
            try:
                yield Agent(client, terms, sources, informers, electors, metrics)
            finally:
                informers.stop()
    finally:
        await fetcher.close()


def _project(obj: JSONObject, resource: Resource) -> Record:
    return project(obj, has_status=resource.has_status)


@contextmanager
def _signals(stop: Callable[[], None], *, hang_up: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` at the first SIGTERM or SIGINT; a second one ends the process at once.

    Not one that comes with the first: of Ctrl-C a terminal tells both processes of a one-file
    binary, and the outer one passes it on. Call ``hang_up`` at each SIGHUP.
    """
    loop = asyncio.get_running_loop()

    def first() -> None:
        stop()
        loop.call_later(SAME_SIGNAL, give_way)

    def give_way() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, first)
    loop.add_signal_handler(signal.SIGHUP, hang_up)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)
