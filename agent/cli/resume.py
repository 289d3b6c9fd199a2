"""``lightkeeper resume``: end a suspension; the agent makes a pass at once."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from agent.cli import options, output

if TYPE_CHECKING:
    from agent.config.model import Config, Track


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments and flags."""
    parser.description = "End the suspension of tracks. A running agent makes a pass at once."
    options.add_tracks(parser, what="a track to resume")
    options.add_output_option(parser)
    options.add_agent_options(parser)


def run(args: argparse.Namespace) -> int:
    """Resume the tracks; 1 when one stays suspended by the configuration. Raises AgentError."""
    from agent.cli import cluster, eventloop

    config = cluster.with_kubeconfig(options.load_config(args), os.environ)
    tracks = options.tracks(args, config)
    was = eventloop.run(_resume(config, tracks))
    still = [track.name for track in tracks if track.suspend]
    if args.output == "json":
        output.write_json(
            [{"track": t.name, "was": was[t.name], "suspended": t.suspend} for t in tracks]
        )
    else:
        for track in tracks:
            if not track.suspend:
                what = "resumes" if was[track.name] else "was not suspended"
                output.write(f"Track {track.name} {what}.")
    for name in still:
        output.complain(
            f"track {name} stays suspended: the configuration says suspend = true; remove that"
        )
    return 1 if still else 0


async def _resume(config: Config, tracks: list[Track]) -> dict[str, str]:
    """Resume the tracks; return since when and by whom each was suspended, "" for not at all."""
    from agent.cli import cluster

    was = {}
    async with cluster.connected(config) as there:
        for track in tracks:
            inventory = there.inventory(track.name)
            was[track.name] = (await inventory.read()).signals.suspended
            if was[track.name]:
                await inventory.resume()
    return was
