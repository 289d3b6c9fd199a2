"""``lightkeeper reconcile``: have the running agent make a pass now, and wait for what comes of it.

Writes one annotation on the track's ConfigMap. Makes no pass itself: for that there is run --once.
"""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from agent.cli import options, output
from agent.errors import AgentError

if TYPE_CHECKING:
    from agent.cli.cluster import Cluster
    from agent.config.model import Config, Track
    from agent.reconcile.reports.status import TrackStatus

NOT_READY = 1

_PAUSE = 0.25  # seconds between two looks at the answer


class NotHandled(AgentError):
    """No agent has answered, or none will."""


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments and flags."""
    parser.description = (
        "Have the running agent fetch and compare everything now. Ends with 0 when the tracks are "
        "ready afterwards, 1 when one is not or no agent answers."
    )
    options.add_tracks(parser, what="a track to reconcile")
    parser.add_argument(
        "--wait",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="wait for the pass and print the status (default), or only ask for it",
    )
    parser.add_argument(
        "--timeout", metavar="DURATION", default="2m", help="how long to wait (default: 2m)"
    )
    options.add_output_option(parser)
    options.add_agent_options(parser)


def run(args: argparse.Namespace) -> int:
    """Ask for passes, wait for them, print the tracks. Raises AgentError."""
    from agent.cli import cluster, eventloop, report

    timeout = options.duration("--timeout", args.timeout)
    config = cluster.with_kubeconfig(options.load_config(args), os.environ)
    tracks = options.tracks(args, config)
    statuses = eventloop.run(_reconcile(config, tracks, wait=timeout if args.wait else 0.0))
    if args.output == "json":
        output.write_json([report.as_json(status) for status in statuses])
    elif args.wait:
        report.write(statuses)
    else:
        for track in tracks:
            output.write(f"Track {track.name}: a pass is asked for.")
    return 0 if not args.wait or all(status.ready for status in statuses) else NOT_READY


async def _reconcile(config: Config, tracks: list[Track], *, wait: float) -> list[TrackStatus]:
    """Ask for passes and return the statuses, after the passes if ``wait`` (seconds) is not 0."""
    import asyncio

    from agent.cli import cluster

    token = datetime.now(UTC).isoformat()
    async with cluster.connected(config) as there:
        for track in tracks:
            await _refuse_suspended(there, track)
        for track in tracks:
            await there.inventory(track.name).request(token)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        return [await _answer(there, t, token, deadline=deadline if wait else None) for t in tracks]


async def _refuse_suspended(there: Cluster, track: Track) -> None:
    from agent.cli import cluster

    contents, _ = await cluster.read_status(there.inventory(track.name))
    if track.suspend:
        raise NotHandled(f"track {track.name} is suspended by the configuration (suspend = true)")
    if by := contents.signals.suspended:
        raise NotHandled(
            f"track {track.name} is suspended {by}; lightkeeper resume {track.name} ends that "
            "and makes a pass"
        )


async def _answer(
    there: Cluster, track: Track, token: str, *, deadline: float | None
) -> TrackStatus:
    """Return the status once it answers ``token``, or at once without a deadline."""
    import asyncio

    from agent.cli import cluster

    inventory = there.inventory(track.name)
    while True:
        _, status = await cluster.read_status(inventory)
        if deadline is None or status.last_handled_reconcile_at == token:
            return status
        if asyncio.get_running_loop().time() >= deadline:
            raise NotHandled(
                f"no agent has made a pass of track {track.name} in time; is one running? Its log "
                "says more. Where it may not watch its ConfigMaps it looks at its next poll only"
            )
        await asyncio.sleep(_PAUSE)
