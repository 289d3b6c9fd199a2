"""A repository, a cluster and the agent between them, all real; the agent runs in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from agent import app
from agent.config.live import LiveConfig
from agent.config.load import load
from agent.config.model import Config
from agent.reconcile.reports.status import TrackStatus
from tests.controlplane.audit import Request
from tests.controlplane.kubectl import Kubectl
from tests.controlplane.server import ControlPlane
from tests.gitservers.upstream import Upstream

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass
class World:
    """What a test about the agent needs.

    ``git`` is the repository's upstream, ``repository`` what the track names in its place.
    ``settings`` are lines of ``[agent]``, ``track`` lines of the one ``[[track]]``. Manifests say
    ``NS`` where the test's own namespace belongs.
    """

    namespace: str
    kubectl: Kubectl
    control_plane: ControlPlane
    git: Upstream
    folder: Path
    settings: list[str] = field(default_factory=list)
    track: list[str] = field(default_factory=list)
    name: str = field(default_factory=lambda: f"agent-{token_hex(3)}")
    kubeconfig: Path | None = None
    own_state_namespace: bool = True
    repository: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    metrics_address: str = "0"
    health_address: str = "0"
    interval: str = "1s"

    def commit(self, files: dict[str, str], *, remove: tuple[str, ...] = ()) -> str:
        """Commit files, ``NS`` replaced by the namespace."""
        own = {path: text.replace("NS", self.namespace) for path, text in files.items()}
        return self.git.commit(own, remove=remove)

    def live(self) -> LiveConfig:
        """The configuration as a running agent follows it."""
        current = self.config()

        def read() -> Config:
            return app.check(load(self.config_file, environment={}, flags={}))

        return LiveConfig(self.config_file, read, current=current)

    @property
    def config_file(self) -> Path:
        """Where the configuration is."""
        return self.folder / "lightkeeper.toml"

    def config(self) -> Config:
        """Write and load the configuration."""
        path = self.config_file
        lines = [
            "[agent]",
            f'name = "{self.name}"',
            f'state-dir = "{self.folder / "state"}"',
            *([f'state-namespace = "{self.namespace}"'] if self.own_state_namespace else []),
            f'kubeconfig = "{self.kubeconfig or self.kubectl.kubeconfig}"',
            f'metrics-bind-address = "{self.metrics_address}"',
            f'health-bind-address = "{self.health_address}"',
            *self.settings,
            "[[track]]",
            'name = "shop"',
            f'repository = "{self.repository or f"file://{self.git.path}"}"',
            f'interval = "{self.interval}"',
            *self.track,
        ]
        path.write_text("\n".join(lines) + "\n")
        return load(path, environment={}, flags={})

    async def once(self) -> TrackStatus:
        """Make one pass, as ``run --once`` does."""
        [status] = await app.run_once(self.config(), self.environment)
        return status

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the agent for the length of a block, and end it as SIGTERM does."""
        stop = asyncio.Event()
        task = asyncio.create_task(app.run_until(stop, self.live(), self.environment))
        try:
            yield
        finally:
            stop.set()
            await task

    async def get(self, *what: str) -> dict[str, Any] | None:
        """Return a live object, None when there is none."""
        done = await asyncio.to_thread(
            self.kubectl, "get", *what, "-o", "json", "--ignore-not-found"
        )
        return json.loads(done.stdout) if done.stdout else None

    async def do(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl as somebody else would, without blocking the agent."""
        done = await asyncio.to_thread(self.kubectl, *arguments, stdin=stdin)
        return done.stdout

    async def status(self) -> dict[str, Any]:
        """Return the status out of the track's ConfigMap."""
        config_map = await self.get("configmap", f"{self.name}.shop") or {}
        status: dict[str, Any] = json.loads(config_map.get("data", {}).get("status", "{}"))
        return status

    def requests(self, since: int) -> list[Request]:
        """Return the agent's requests since a mark, dry-runs included."""
        return self.control_plane.audit(since, user_agent="lightkeeper/")

    def writes(self, since: int) -> list[Request]:
        """Return the agent's requests that could change something."""
        return [r for r in self.requests(since) if r.verb in WRITES]


@pytest.fixture
def world(
    namespace: str, kubectl: Kubectl, control_plane: ControlPlane, tmp_path: Path
) -> Iterator[World]:
    """A namespace, an empty repository and an agent of their own."""
    yield World(
        namespace=namespace,
        kubectl=kubectl,
        control_plane=control_plane,
        git=Upstream(tmp_path / "upstream.git"),
        folder=tmp_path,
    )


@pytest.fixture
def cleanup(cluster: Any) -> Iterator[Callable[..., None]]:
    """Have cluster-scoped objects deleted after the test: ``cleanup("crd", "name")``."""
    doomed: list[tuple[str, ...]] = []
    yield lambda *what: doomed.append(what)
    for what in reversed(doomed):
        cluster.kubectl("delete", *what, "--ignore-not-found", "--wait=false")
