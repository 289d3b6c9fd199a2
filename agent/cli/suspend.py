"""``lightkeeper suspend``: have tracks stand still until they are resumed.

Writes one annotation on the track's ConfigMap; the agent does the rest, now or when it starts.
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from agent.cli import options, output

if TYPE_CHECKING:
    from agent.config.model import Config, Track


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments and flags."""
    parser.description = (
        "Have tracks stand still: nothing is fetched, applied, put back or deleted "
        "until lightkeeper resume."
    )
    options.add_tracks(parser, what="a track to suspend")
    options.add_output_option(parser)
    options.add_agent_options(parser)


def run(args: argparse.Namespace) -> int:
    """Suspend the tracks and return 0. Raises AgentError."""
    from agent.cli import cluster, eventloop

    config = cluster.with_kubeconfig(options.load_config(args), os.environ)
    suspended = eventloop.run(_suspend(config, options.tracks(args, config)))
    if args.output == "json":
        output.write_json([{"track": t, "suspended": by} for t, by in suspended.items()])
    else:
        for track, by in suspended.items():
            output.write(f"Track {track} is suspended {by}; lightkeeper resume {track} ends it.")
    return 0


async def _suspend(config: Config, tracks: list[Track]) -> dict[str, str]:
    """Suspend each track that is not yet, and return since when and by whom all of them are."""
    from agent.cli import cluster

    suspended = {}
    async with cluster.connected(config) as there:
        for track in tracks:
            inventory = there.inventory(track.name)
            by = (await inventory.read()).signals.suspended
            if not by:
                by = cluster.since()
                await inventory.suspend(by)
            suspended[track.name] = by
    return suspended
