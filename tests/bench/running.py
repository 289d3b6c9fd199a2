"""The agent while it runs: at rest, after a commit, and when somebody edits what it keeps."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import subprocess
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from urllib.request import urlopen

import aiohttp

from tests.bench import measure
from tests.bench.contestants import Course, agent_command, environment
from tests.bench.floor import Requests
from tests.gitservers.upstream import Upstream

_MERGE = "application/merge-patch+json"
_FIELD = "setting-0"
_TRACKS = 10


@dataclass(frozen=True, slots=True)
class Rest:
    """What nothing costs: share of a core in percent, MiB, requests by verb, in ``seconds``."""

    tracks: int
    seconds: float
    share: float
    resident: float
    requests: Counter[str]


@dataclass(frozen=True, slots=True)
class Drift:
    """Seconds from an edit's watch event to that of its repair, and of a storm of edits."""

    p50: float
    p99: float
    storm: float
    storm_floor: float
    storm_size: int


def at_rest(course: Course, *, seconds: float) -> Rest:
    """Measure the agent with ten tracks, polled once a minute; needs a fresh control plane."""
    tracks = min(_TRACKS, len(course.fleet.namespaces))
    course.plane.kubectl("apply", "--filename", str(course.manifests / "namespaces.yaml"))
    with _agent(course.configuration(tracks=tracks), course) as pid:
        time.sleep(2)  # what is left of the start
        cpu, requests, started = measure.cpu(pid), measure.requests(course.plane), time.monotonic()
        time.sleep(seconds)
        spent = time.monotonic() - started
        return Rest(
            tracks=tracks,
            seconds=spent,
            share=100 * (measure.cpu(pid) - cpu) / spent,
            resident=sum(map(measure.resident, measure.family(pid))),
            requests=measure.requests(course.plane) - requests,
        )


def commit_of_one_file(course: Course) -> tuple[float, Counter[str]]:
    """Change one ConfigMap in git; seconds from the commit to its watch event, and requests."""
    with _agent(course.configuration(interval="1s"), course):
        before = measure.requests(course.plane)
        seconds = asyncio.run(_commit(course))
        return seconds, measure.requests(course.plane) - before


def drift(course: Course, *, edits: int, storm: int) -> Drift:
    """Edit ConfigMaps one after the other, then ``storm`` at once; each twice at most."""
    edits, names = min(edits, course.fleet.apps), _names(course, storm)
    floor = asyncio.run(_floor(course, names))  # while there is no agent to take part
    with _agent(course.configuration(), course):
        return asyncio.run(_drift(course, edits=edits, names=names, floor=floor))


async def _commit(course: Course) -> float:
    path = next(path for path in course.fleet.files if "app-" in path)
    name = Path(path).stem
    text = (course.manifests / path).read_text()
    async with _watch(course) as events:
        Upstream(course.upstream).commit({path: text.replace(f"{name} value 0", "committed")})
        started = time.perf_counter()
        async for seen, _, value in events:
            if value == "committed" and seen == name:
                return time.perf_counter() - started
    raise RuntimeError("the watch ended")


async def _floor(course: Course, names: list[str]) -> float:
    """Return the seconds for as many bare patches, of a field that the agent does not keep."""
    plane = course.plane
    async with Requests(plane.url, str(plane.ca), plane.admin_token) as requests:
        started = time.perf_counter()
        await asyncio.gather(
            *(requests.send(*_touched(name), content_type=_MERGE) for name in names)
        )
        return time.perf_counter() - started


async def _drift(course: Course, *, edits: int, names: list[str], floor: float) -> Drift:
    plane = course.plane
    # Each object once or twice in all: more would be a fight, from which the agent backs off.
    async with (
        _watch(course) as events,
        Requests(plane.url, str(plane.ca), plane.admin_token) as requests,
    ):
        single = [await _edit(requests, events, n) for n in range(edits)]
        started = time.perf_counter()
        sent = asyncio.gather(
            *(requests.send(*_edited(name), content_type=_MERGE) for name in names)
        )
        drifted, repaired = set[str](), set[str]()
        async for name, _, value in events:
            (drifted if value == "drift" else repaired).add(name)
            if len(drifted & repaired) == len(names) and value != "drift":
                break
        took = time.perf_counter() - started
        await sent
    cuts = quantiles(single, n=100)
    return Drift(median(single), cuts[98], took, floor, len(names))


async def _edit(
    requests: Requests, events: AsyncIterator[tuple[str, float, str]], number: int
) -> float:
    name = _name(number)
    await requests.send(*_edited(name), content_type=_MERGE)
    edited = 0.0
    async for seen, at, value in events:
        if seen == name and value == "drift":
            edited = at
        elif seen == name and edited:
            return at - edited
    raise RuntimeError("the watch ended")


def _names(course: Course, storm: int) -> list[str]:
    return [_name(number) for number in range(min(storm, course.fleet.apps))]


def _name(number: int) -> str:
    return f"app-{number:04}"


def _path(name: str) -> str:
    namespace = f"team-{int(name.removeprefix('app-')) // 10:03}"
    return f"/api/v1/namespaces/{namespace}/configmaps/{name}"


def _edited(name: str) -> tuple[str, str, object]:
    return "PATCH", _path(name), {"data": {_FIELD: "drift"}}


def _touched(name: str) -> tuple[str, str, object]:
    return "PATCH", _path(name), {"metadata": {"annotations": {"bench": "touched"}}}


@asynccontextmanager
async def _watch(course: Course) -> AsyncIterator[AsyncIterator[tuple[str, float, str]]]:
    """Give (name, time, value of the field) of each event of a ConfigMap from now on."""
    plane = course.plane
    version = plane.client.json("GET", "/api/v1/configmaps?limit=1")["metadata"]["resourceVersion"]
    url = f"{plane.url}/api/v1/configmaps?watch=true&resourceVersion={version}"
    tls = ssl.create_default_context(cafile=str(plane.ca))
    async with (
        aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {plane.admin_token}"}, read_bufsize=1 << 20
        ) as session,
        session.get(url, ssl=tls, timeout=aiohttp.ClientTimeout(total=None)) as response,
    ):

        async def events() -> AsyncGenerator[tuple[str, float, str]]:
            async for line in response.content:
                at = time.perf_counter()
                found = json.loads(line)["object"]
                value = (found.get("data") or {}).get(_FIELD)
                if value is not None:
                    yield found["metadata"]["name"], at, value

        stream = events()
        async with contextlib.aclosing(stream):
            yield stream


@contextmanager
def _agent(configuration: Path, course: Course) -> Iterator[int]:
    """Run the agent; begin when it says itself that it is ready."""
    with (course.folder / "agent.log").open("ab") as log:
        process = subprocess.Popen(
            agent_command(configuration), env=environment(course), stdout=log, stderr=log
        )
        try:
            _until_ready(course)
            yield process.pid
        finally:
            process.terminate()
            process.wait(30)


def _until_ready(course: Course) -> None:
    """Wait for the agent's own word: a status may be left over from the run before."""
    deadline = time.monotonic() + 600
    url = f"http://127.0.0.1:{course.health_port}/readyz"
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), urlopen(url, timeout=10):
            return
        time.sleep(0.1)
    raise TimeoutError("the agent does not get ready")
