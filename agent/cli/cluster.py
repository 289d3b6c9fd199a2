"""The way of short commands to the cluster: the tracks they mean, their ConfigMaps, their status.

Must not start any part of the agent: no watch, no git, nothing that outlives the command.
"""

from __future__ import annotations

import asyncio
import getpass
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from agent.apply.inventory import Contents, Inventory, tracks_in
from agent.config.model import Config, Track
from agent.errors import AgentError
from agent.kube import auth, pod
from agent.kube.client import Client
from agent.kube.errors import Forbidden
from agent.kube.transport import Transport
from agent.reconcile.reports import status
from agent.reconcile.reports.status import TrackStatus

T = TypeVar("T")


class UnknownTrack(AgentError):
    """The configuration has no track of that name."""

    exit_code = 2


class NoStatus(AgentError):
    """The cluster has no status of a track, so no agent has worked on it, or elsewhere."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A connection to the cluster, and whose tracks are meant there."""

    client: Client
    agent: str
    namespace: str

    def inventory(self, track: str) -> Inventory:
        """Return the inventory of a track, unread."""
        return Inventory(self.client, agent=self.agent, track=track, namespace=self.namespace)

    async def tracks(self) -> list[str]:
        """Return the tracks that have a ConfigMap; none where they may not be listed."""
        try:
            return await tracks_in(self.client, agent=self.agent, namespace=self.namespace)
        except Forbidden:
            return []


def with_kubeconfig(config: Config, environment: Mapping[str, str]) -> Config:
    """Take $KUBECONFIG where the configuration names no file, as kubectl does."""
    named = environment.get("KUBECONFIG")
    if config.agent.kubeconfig is not None or not named:
        return config
    return replace(config, agent=replace(config.agent, kubeconfig=Path(named)))


def track_of(config: Config, name: str) -> Track:
    """Return the track of this name. Raises UnknownTrack."""
    for track in config.tracks:
        if track.name == name:
            return track
    known = ", ".join(track.name for track in config.tracks)
    raise UnknownTrack(f"there is no track {name!r} in the configuration, which has {known}")


@asynccontextmanager
async def connected(config: Config, *, dry_run: bool = False) -> AsyncIterator[Cluster]:
    """Connect to the cluster for the length of a block; with ``dry_run`` no write is for real.

    Raises AuthError when there is no way to the cluster.
    """
    agent = config.agent
    namespace = agent.state_namespace or await asyncio.to_thread(pod.namespace)
    access = await auth.load(kubeconfig=str(agent.kubeconfig or ""), context=agent.context)
    async with Transport(access) as transport:
        yield Cluster(Client(transport, dry_run=dry_run), agent.name, namespace)


async def read_status(inventory: Inventory) -> tuple[Contents, TrackStatus]:
    """Read what the ConfigMap holds and the status in it.

    Raises NoStatus, PlanError for somebody else's ConfigMap, KubeError.
    """
    contents = await inventory.read()
    found = status.read(contents.data)
    if found is None:
        raise NoStatus(
            f"there is no status of track {inventory.owner} in ConfigMap "
            f"{inventory.namespace}/{inventory.name}: no agent has made a pass yet, or it runs "
            "with another name or state-namespace than this configuration says"
        )
    return contents, found


def since() -> str:
    """Return what a suspension says of itself: the time, RFC 3339, and who asks, if known."""
    try:
        who = f"{getpass.getuser()}@{socket.gethostname()}"
    except (OSError, KeyError):  # no such user, in a container
        who = socket.gethostname()
    return f"since {datetime.now(UTC).strftime(status.TIME_FORMAT)} by {who}"
