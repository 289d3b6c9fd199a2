"""The way of short commands to the cluster: the track they mean, its ConfigMap, its status.

Must not start any part of the agent: no watch, no git, nothing that outlives the command.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from agent.apply.inventory import Contents, Inventory
from agent.config.model import Config, Track
from agent.errors import AgentError
from agent.kube import auth, pod
from agent.kube.client import Client
from agent.kube.transport import Transport
from agent.reconcile import status
from agent.reconcile.status import TrackStatus


class UnknownTrack(AgentError):
    """The configuration has no track of that name."""

    exit_code = 2


class NoStatus(AgentError):
    """The cluster has no status of a track, so no agent has worked on it, or elsewhere."""


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
async def inventory_of(config: Config, track: Track) -> AsyncIterator[Inventory]:
    """Connect to the cluster for the length of a block and give the track's inventory.

    Raises AuthError when there is no way to the cluster.
    """
    agent = config.agent
    namespace = agent.state_namespace or await asyncio.to_thread(pod.namespace)
    access = await auth.load(kubeconfig=str(agent.kubeconfig or ""), context=agent.context)
    async with Transport(access) as transport:
        yield Inventory(Client(transport), agent=agent.name, track=track.name, namespace=namespace)


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
