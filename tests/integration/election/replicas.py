"""Replicas of one agent as processes, and somebody who gives them work all the time."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.controlplane.rest import RequestError
from tests.controlplane.server import ControlPlane
from tests.eventually import eventually
from tests.gitservers.upstream import Upstream
from tests.integration.election import evidence

PATIENCE = 60.0
"""Seconds until something that must happen is said not to; how long it takes is printed."""

OBJECTS = 8


@dataclass
class Replica:
    """One process. ``user`` is who it is to the API server; it is part of its identity, too."""

    user: str
    command: list[str]
    environment: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None

    @contextmanager
    def running(self) -> Iterator[Replica]:
        """Start it; at the end of the block it is killed if it still runs."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, env=self.environment, stderr=log)
        try:
            yield self
        finally:
            self.process.kill()
            self.process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        if self.process is None:
            raise RuntimeError("not started")
        self.process.send_signal(number)

    def ended(self) -> int | None:
        """Return its exit code, None while it runs."""
        if self.process is None:
            raise RuntimeError("not started")
        return self.process.poll()

    def said(self, message: str) -> list[dict[str, Any]]:
        """Return its log lines with this message."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        entries = [json.loads(line) for line in lines if line.startswith("{")]
        return [entry for entry in entries if entry["msg"] == message]


@dataclass
class Stage:
    """A namespace, a repository with a few ConfigMaps, and the replicas that keep them."""

    namespace: str
    control_plane: ControlPlane
    git: Upstream
    folder: Path
    settings: list[str] = field(default_factory=list)
    tracks: tuple[str, ...] = ("shop",)
    program: tuple[str, ...] = (sys.executable, "-m", "agent")
    began: int = 0

    def __post_init__(self) -> None:
        self.began = self.control_plane.mark()
        for track in self.tracks:
            self.commit(track)

    def commit(self, track: str, *, more: str = "") -> str:
        """Commit the objects of a track, and one more."""
        names = [f"{track}-{number}" for number in range(OBJECTS)] + ([more] if more else [])
        return self.git.commit(
            {
                f"{track}/{name}.yaml": "apiVersion: v1\nkind: ConfigMap\n"
                f"metadata: {{name: {name}, namespace: {self.namespace}}}\n"
                for name in names
            }
        )

    @property
    def agent(self) -> str:
        return f"a{self.namespace}"

    @property
    def lease(self) -> str:
        return f"{self.agent}-leader"

    def replica(
        self,
        name: str,
        *,
        kubeconfig: Path | None = None,
        user: str = "",
        wrapper: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
    ) -> Replica:
        """Return a replica that was not started yet, an administrator unless told otherwise."""
        user = user or f"{name}-{self.namespace}"
        if kubeconfig is None:
            kubeconfig = self.control_plane.user(user, groups=("system:masters",))
        config = self.folder / f"{name}.toml"
        tracks = "".join(
            f'[[track]]\nname = "{track}"\nrepository = "file://{self.git.path}"\n'
            f'sub-path = "{track}"\ninterval = "1s"\n'
            for track in self.tracks
        )
        settings = {"lease-duration": '"3s"', "renew-deadline": '"2s"', "retry-period": '"500ms"'}
        settings |= dict(line.split(" = ") for line in self.settings)
        config.write_text(
            f'[agent]\nname = "{self.agent}"\nstate-dir = "{self.folder / name}"\n'
            f'state-namespace = "{self.namespace}"\nkubeconfig = "{kubeconfig}"\n'
            'metrics-bind-address = "0"\nhealth-bind-address = "0"\n'
            f'[leader-election]\nenabled = true\nidentity = "{name}"\n'
            + "".join(f"{key} = {value}\n" for key, value in settings.items())
            + tracks
        )
        return Replica(
            user=user,
            command=[*wrapper, *self.program, "run", "-c", str(config)],
            environment={"PATH": os.environ["PATH"], **(environment or {})},
            log=self.folder / f"{name}.log",
        )

    # --- the cluster ------------------------------------------------------------------------------

    def path(self, lease: str = "") -> str:
        folder = f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases"
        return f"{folder}/{lease or self.lease}"

    def holder(self, lease: str = "") -> str:
        """Return which replica holds the Lease, by its name; "" for none."""
        try:
            found = self.control_plane.client.json("GET", self.path(lease))
        except (RequestError, OSError):
            return ""
        return str(found["spec"].get("holderIdentity") or "").partition("_")[0]

    def steal(self, holder: str, lease: str = "") -> None:
        """Write somebody's name into the Lease, as kubectl edit would."""
        while True:
            found = self.control_plane.client.json("GET", self.path(lease))
            found["spec"]["holderIdentity"] = holder
            try:
                self.control_plane.client.json("PUT", self.path(lease), found)
            except RequestError as error:
                if error.code != 409:  # it was renewed in this very moment
                    raise
            else:
                return

    async def until_led_by(self, name: str, *, lease: str = "") -> float:
        """Wait until a replica holds the Lease; return for how long, in seconds."""
        return await self.until(lambda: self.holder(lease) == name, f"{name} leads")

    async def until_it_writes(self, replica: Replica, *, since: int) -> float:
        """Wait until a replica writes objects; return for how long, in seconds."""
        return await self.until(
            lambda: evidence.writes_of(self.requests(since), replica.user),
            f"{replica.user} writes",
        )

    async def until_renewed(self, replica: Replica, times: int) -> None:
        """Wait until a replica has written the Lease so many times more."""
        since = self.control_plane.mark()
        await self.until(
            lambda: evidence.lease_writes(self.requests(since), replica.user, self.lease) >= times,
            f"{replica.user} renews {times} times",
        )

    async def until_said(self, replica: Replica, message: str) -> None:
        """Wait for a line in a replica's log."""
        await self.until(lambda: replica.said(message), f"{replica.user} says {message!r}")

    async def until(self, check: Callable[[], object], what: str) -> float:
        """Wait until ``check``, called in a thread, is true; return for how long, in seconds."""
        begun = time.monotonic()
        await eventually(lambda: asyncio.to_thread(check), within=PATIENCE, what=what)
        return time.monotonic() - begun

    def requests(self, since: int | None = None) -> list[Any]:
        """Return the replicas' requests that are answered, since a mark or the beginning."""
        since = self.began if since is None else since
        return [
            request
            for request in self.control_plane.audit(since, user_agent="lightkeeper/")
            if request.namespace == self.namespace
        ]

    async def assert_one_writer(self) -> None:
        """No replica has ever written while another held the Lease, and some have written."""
        requests = await asyncio.to_thread(self.requests)
        assert not evidence.intruders(requests, self.lease)
        assert any(request.resource == "configmaps" for request in requests)

    @asynccontextmanager
    async def trouble(self) -> AsyncIterator[None]:
        """Delete objects all the time, so that whoever may write has something to write."""
        stop = asyncio.Event()
        task = asyncio.create_task(self._vandalise(stop))
        try:
            yield
        finally:
            stop.set()
            await task

    async def _vandalise(self, stop: asyncio.Event) -> None:
        folder = f"/api/v1/namespaces/{self.namespace}/configmaps"
        number = 0
        while not stop.is_set():
            track = self.tracks[number % len(self.tracks)]
            path = f"{folder}/{track}-{number // len(self.tracks) % OBJECTS}"
            with suppress(RequestError, OSError):  # not made again yet, or no server
                await asyncio.to_thread(self.control_plane.client.json, "DELETE", path)
            with suppress(TimeoutError):
                async with asyncio.timeout(0.03):
                    await stop.wait()
            number += 1
