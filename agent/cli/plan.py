"""``lightkeeper plan``: what a pass would do, shown and not done.

Talks to the repositories and to the API server as the agent does, with dry-runs only; the running
agent takes no part and sees nothing of it.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.cli import options, output
from agent.errors import AgentError

if TYPE_CHECKING:
    from agent.config.model import Config, Track
    from agent.reconcile.inquiry.rehearsal import Rehearsed

NO_DIFFERENCES, DIFFERENCES, ERRORS = 0, 1, 2
"""Exit codes, as of ``kubectl diff``."""


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments and flags."""
    parser.description = (
        "Show what a pass would do, without doing it: exit code 0 when that is nothing, 1 when "
        "there are differences, 2 when something is wrong."
    )
    parser.add_argument("tracks", nargs="*", metavar="TRACK", help="default: all of them")
    parser.add_argument(
        "--reference",
        metavar="REF",
        help="plan this branch, tag, commit or ref (refs/pull/1/head) in place of the track's own",
    )
    parser.add_argument("--summary", action="store_true", help="name the objects, show no diff")
    options.add_output_option(parser)
    options.add_agent_options(parser)


def run(args: argparse.Namespace) -> int:
    """Print the plan and return its exit code."""
    from agent.cli import cluster, eventloop, planned

    options.quiet(args)
    try:
        config = cluster.with_kubeconfig(options.load_config(args), os.environ)
        names = args.tracks or [track.name for track in config.tracks]
        tracks = [cluster.track_of(config, name) for name in dict.fromkeys(names)]
        if args.reference is not None:
            tracks = [replace(track, reference=args.reference) for track in tracks]
        plans = eventloop.run(_rehearse(config, tracks))
    except AgentError as error:  # exit code 1 means differences here
        output.complain(str(error))
        return ERRORS
    if args.output == "json":
        output.write_json([planned.as_json(plan) for plan in plans])
    else:
        planned.write(plans, diffs=not args.summary)
    if any(planned.errors(plan) for plan in plans):
        return ERRORS
    return DIFFERENCES if any(planned.changes(plan) for plan in plans) else NO_DIFFERENCES


async def _rehearse(config: Config, tracks: list[Track]) -> list[Rehearsed]:
    from agent.cli import cluster
    from agent.reconcile.inquiry.rehearsal import rehearsing

    async with (
        cluster.connected(config, dry_run=True) as there,
        rehearsing(
            config, there.client, environment=os.environ, state_namespace=there.namespace
        ) as rehearser,
    ):
        plans = []
        for track in tracks:
            with output.progress(f"comparing track {track.name} with the cluster"):
                plans.append(await rehearser.track(track))
        return plans
