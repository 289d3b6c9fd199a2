"""Who campaigns for what: one elector for the agent, or one a track, as the configuration says."""

from __future__ import annotations

import uuid

from agent.config.model import Config, ElectionMode
from agent.config.model import Track as TrackConfig
from agent.kube import pod
from agent.kube.client import Client
from agent.kube.lease import LeaseLock
from agent.reconcile.leadership.elector import Elector, Timing
from agent.reconcile.leadership.sharing import Share


def candidates(
    config: Config, client: Client, state_namespace: str
) -> dict[Elector, tuple[TrackConfig, ...]]:
    """Return the electors of this process, each with the tracks it is the right to write of."""
    settings = config.leader_election
    scopes = leases(config)
    timing = Timing(settings.lease_duration, settings.renew_deadline, settings.retry_period)
    share = Share(len(scopes), retry_period=settings.retry_period)
    identity = f"{settings.identity or pod.name()}_{uuid.uuid4()}"
    electors = {
        Elector(
            LeaseLock(client, namespace=settings.namespace or state_namespace, name=lease),
            timing,
            identity=identity,
            handicap=share.handicap,
        ): tracks
        for lease, tracks in scopes.items()
    }
    share.among(list(electors))
    return electors


def leases(config: Config) -> dict[str, tuple[TrackConfig, ...]]:
    """Return the names of the Leases, each with the tracks it is the right to write of."""
    settings = config.leader_election
    name = settings.id or f"{config.agent.name}-leader"
    if settings.mode is ElectionMode.TRACK:
        # No track's name has a dot, so no two Leases of ours can have one name.
        return {f"{name}.{track.name}": (track,) for track in config.tracks}
    return {name: config.tracks}
