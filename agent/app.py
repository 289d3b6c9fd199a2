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
from agent.apply.desired import Resolver
from agent.apply.schemas import Schemas
from agent.config.model import Config
from agent.kube import auth, pod
from agent.kube.client import Client
from agent.kube.discovery import Discovery
from agent.kube.events import EventRecorder
from agent.kube.informers import Informers
from agent.kube.resource import Resource
from agent.kube.transport import Transport
from agent.manifest import marks
from agent.manifest.keys import JSONObject
from agent.plan.ownership import Record, project
from agent.reconcile.building import TrackBuilder
from agent.reconcile.loops import Loops
from agent.reconcile.sources import Sources
from agent.reconcile.status import TrackStatus
from agent.reconcile.track import Track
from agent.source.fetcher import Fetcher

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
            builder = TrackBuilder(
                config=config,
                client=client,
                discovery=discovery,
                resolver=Resolver(discovery, Schemas(client)),
                informers=informers,
                sources=Sources(settings, fetcher, environment),
                in_flight=in_flight,
                recorder=recorder,
                digest_key=digest_key,
                state_namespace=state_namespace,
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
