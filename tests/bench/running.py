"""The agent while it runs: at its start on a converged cluster, at rest, and after a commit."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from urllib.request import urlopen

from tests.bench import measure
from tests.bench.contestants import Course, agent_command, environment
from tests.bench.events import Edit, watch
from tests.bench.measure import Memory
from tests.gitservers.upstream import Upstream

AGENT = "lightkeeper/"
"""What the agent's user agent begins with."""


@dataclass(frozen=True, slots=True)
class Rest:
    """What nothing costs: share of a core in percent, memory, requests by verb, in ``seconds``."""

    tracks: int
    seconds: float
    share: float
    memory: Memory
    requests: Counter[str]


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of one file, in seconds from the push and from the fetch's end: medians of several.

    ``requests`` by verb are those of all ``number`` of them.
    """

    number: int
    from_push: float
    from_fetch: float
    requests: Counter[str]


@dataclass(frozen=True, slots=True)
class Restart:
    """From the start of the process until it is ready, in seconds; CPU; requests by verb."""

    wall: float
    cpu: float
    requests: Counter[str]


def restarts(course: Course, *, times: int) -> list[Restart]:
    """Start the agent on a cluster that is in step, and end it again."""
    found = []
    for _ in range(times):
        since, started = course.plane.mark(), time.perf_counter()
        with agent(course) as pid:
            wall, cpu = time.perf_counter() - started, measure.cpu(pid)
            found.append(Restart(wall, cpu, measure.requests(course.plane, since, of=AGENT)))
    return found


def at_rest(
    course: Course, *, sub_paths: Sequence[str], seconds: float, https: bool = True
) -> Rest:
    """Measure the agent with nothing to do but a poll a minute of each track."""
    with agent(course, sub_paths=sub_paths, https=https) as pid:
        time.sleep(5)  # what is left of the start
        cpu, since, started = measure.cpu(pid), course.plane.mark(), time.monotonic()
        time.sleep(seconds)
        spent = time.monotonic() - started
        return Rest(
            tracks=len(sub_paths),
            seconds=spent,
            share=100 * (measure.cpu(pid) - cpu) / spent,
            memory=measure.memory(pid, share=True),
            requests=measure.requests(course.plane, since, of=AGENT),
        )


def commits_of_one_file(course: Course, *, times: int) -> Commit:
    """Change one ConfigMap in git, and again another one; the agent polls once a second."""
    with agent(course, interval="1s"):
        since = course.plane.mark()
        pairs = asyncio.run(_commits(course, times))
        return Commit(
            number=times,
            from_push=median(push for push, _ in pairs),
            from_fetch=median(fetch for _, fetch in pairs),
            requests=measure.requests(course.plane, since, of=AGENT),
        )


async def _commits(course: Course, times: int) -> list[tuple[float, float]]:
    paths = [path for path in course.fleet.files if "app-" in path]
    async with watch(course, ["ConfigMap"]) as events:
        return [await _commit(course, events, paths[n % len(paths)], n) for n in range(times)]


async def _commit(
    course: Course, events: AsyncIterator[Edit], path: str, number: int
) -> tuple[float, float]:
    text = (course.manifests / path).read_text()
    name = path.rpartition("/")[2].removesuffix(".yaml")
    wanted = f"committed {number}"
    Upstream(course.upstream).commit({path: text.replace(f"{name} value 0", wanted)})
    pushed = time.time()
    async for seen in events:
        if seen.value == wanted and seen.name == name:
            # The last thing a fetch does is to write this ref.
            refs = course.folder.glob("state/repositories/*/refs/lightkeeper/incoming/*")
            return seen.at - pushed, seen.at - max(ref.stat().st_mtime for ref in refs)
    raise RuntimeError("the watch ended")


@contextmanager
def agent(
    course: Course, *, sub_paths: Sequence[str] = ("",), interval: str = "1m", https: bool = True
) -> Iterator[int]:
    """Run the agent; begin when it says itself that it is ready."""
    configuration = course.configuration(sub_paths=sub_paths, interval=interval, https=https)
    with (course.folder / "agent.log").open("ab") as log:
        process = subprocess.Popen(
            agent_command(course, configuration), env=environment(course), stdout=log, stderr=log
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
        time.sleep(0.01)
    raise TimeoutError("the agent does not get ready")
