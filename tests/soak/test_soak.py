"""Commits and drift events over and over leave the agent as large as it was.

``LIGHTKEEPER_SOAK=3600`` (seconds; ``make soak``) makes it long. Counts have to be the same in the
end, exactly; memory within a generous bound, because an allocator keeps what it once had.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.controlplane.rest import MERGE_PATCH, RequestError
from tests.controlplane.server import ControlPlane
from tests.eventually import eventually
from tests.gitservers.upstream import Upstream
from tests.soak.process import Agent, Held

TRACKS = 4
"""Repositories side by side, because one is looked at only once a second."""

OBJECTS = 100
FIELDS = 10
EDITS = 10
"""A round's; with FIELDS each field is edited too seldom for a fight."""

WARM_UP = 10
"""Rounds before the first look: caches, thread pool and connections are made in them."""

SECONDS = float(os.environ.get("LIGHTKEEPER_SOAK", "20"))
ROUNDS = 15
"""Rounds between the looks, however slow the machine is."""

CONNECTIONS = 32
"""Those to the API server are closed after a minute of rest: at most so many are there."""

THREADS = 2 + min(32, (os.cpu_count() or 1) + 4)
"""The main thread, the resolver's, and asyncio's pool, which may fill up late, but not further; one
more waits for each child."""

GROWTH = 1.15, 8.0
"""Memory may be larger by this factor and so many MiB."""


class Soak:
    """A track: a repository of ConfigMaps, the cluster, and what both shall be like."""

    def __init__(self, name: str, plane: ControlPlane, namespace: str, upstream: Upstream) -> None:
        self.name = name
        self.plane = plane
        self.namespace = namespace
        self.upstream = upstream
        self.round = 0
        self.wanted = {f"{name}-{n:03}": self._data("0") for n in range(OBJECTS)}
        self.upstream.commit({f"{one}.yaml": self._manifest(one) for one in self.wanted})

    def track(self) -> list[str]:
        """The lines of the configuration that have the agent keep it."""
        return [
            "[[track]]",
            f'name = "{self.name}"',
            f'repository = "file://{self.upstream.path}"',
            'interval = "1s"',
        ]

    async def go(self, *, rounds: int, until: float = 0.0) -> None:
        """Go so many rounds at least, and on until that time of the monotonic clock."""
        last = self.round + rounds
        while self.round < last or time.monotonic() < until:
            await self._go_round()

    async def _go_round(self) -> None:
        """Commit one change, edit some objects, delete one, and wait until git has its way."""
        await asyncio.to_thread(self._disturb)
        await eventually(self._is_as_wanted, within=90, what=f"{self.name}: round {self.round}")
        self.round += 1

    def _disturb(self) -> None:
        names = list(self.wanted)
        first = self.round * EDITS
        changed = names[self.round % OBJECTS]
        self.wanted[changed] = self._data(str(self.round + 1))
        self.upstream.commit({f"{changed}.yaml": self._manifest(changed)})
        field = f"field-{first // OBJECTS % FIELDS}"
        for number in range(first, first + EDITS):
            # One that was deleted in the last round may not be back when a commit was faster.
            with suppress(RequestError):
                self._request("PATCH", names[number % OBJECTS], {"data": {field: "drift"}})
        self._request("DELETE", names[(first + OBJECTS // 2) % OBJECTS])

    async def _is_as_wanted(self) -> bool:
        await asyncio.sleep(0.2)
        path = f"/api/v1/namespaces/{self.namespace}/configmaps?labelSelector=soak={self.name}"
        found = await asyncio.to_thread(self.plane.client.json, "GET", path)
        return {o["metadata"]["name"]: o["data"] for o in found["items"]} == self.wanted

    def _request(self, method: str, name: str, body: object = None) -> None:
        path = f"/api/v1/namespaces/{self.namespace}/configmaps/{name}"
        self.plane.client.json(method, path, body, content_type=MERGE_PATCH)

    def _data(self, revision: str) -> dict[str, str]:
        return {"revision": revision, **{f"field-{n}": "x" * 100 for n in range(FIELDS)}}

    def _manifest(self, name: str) -> str:
        lines = [f"  {key}: {value!r}" for key, value in self.wanted[name].items()]
        metadata = f"{{name: {name}, namespace: {self.namespace}, labels: {{soak: {self.name}}}}}"
        head = ["apiVersion: v1", "kind: ConfigMap", f"metadata: {metadata}", "data:"]
        return "\n".join([*head, *lines]) + "\n"


@pytest.mark.integration
@pytest.mark.timeout(SECONDS + 600)
@pytest.mark.asyncio
async def test_commits_and_drift_leave_tasks_threads_descriptors_and_memory_as_they_were(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    soaks = [
        Soak(name, control_plane, namespace, Upstream(tmp_path / f"{name}.git"))
        for name in (f"t{number}" for number in range(TRACKS))
    ]
    agent = Agent(
        tmp_path,
        [
            f'kubeconfig = "{control_plane.kubeconfig}"',
            f'state-namespace = "{namespace}"',
            'sync-period = "10s"',
            *(line for soak in soaks for line in soak.track()),
        ],
    )
    async with agent.running():
        await asyncio.gather(*(soak.go(rounds=WARM_UP) for soak in soaks))
        before = await _at_rest(agent)
        end = time.monotonic() + SECONDS
        await asyncio.gather(*(soak.go(rounds=ROUNDS, until=end) for soak in soaks))
        after = await _like(agent, before)
    commits = sum(soak.round for soak in soaks)
    print(f"\n{commits} commits, {commits * (EDITS + 1)} edits and deletions")
    print(f"before {before}\nafter  {after}\ncomplaints {agent.complaints()}")
    assert _counts(after) == _counts(before)
    assert after.threads <= THREADS + after.children
    assert after.connections <= CONNECTIONS
    factor, more = GROWTH
    assert after.resident <= before.resident * factor + more
    assert agent.complaints() == []


def _counts(held: Held) -> dict[str, object]:
    """Return what has to be the same, exactly."""
    counts = asdict(held)
    del counts["threads"], counts["connections"], counts["resident"]
    return counts


async def _at_rest(agent: Agent) -> Held:
    """Look when nothing is under way: twice the same, with a poll and a status write between."""
    held = await agent.held()
    while True:
        await asyncio.sleep(2)
        held, before = await agent.held(), held
        if _counts(held) == _counts(before):
            return held


async def _like(agent: Agent, before: Held) -> Held:
    """Look until it is as before, for a while; return the last look."""
    held = await agent.held()
    with suppress(TimeoutError):
        async with asyncio.timeout(60):
            while _counts(held) != _counts(before):
                await asyncio.sleep(0.5)
                held = await agent.held()
    return held
