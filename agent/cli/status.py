"""``lightkeeper status``: how the tracks stand, as their agent last wrote it down.

Reads ConfigMaps, nothing else, so it works from wherever kubectl does.
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from agent.cli import options, output

if TYPE_CHECKING:
    from agent.cli.cluster import Cluster
    from agent.config.model import Config
    from agent.reconcile.reports.status import TrackStatus

NOT_READY = 1

_PAUSE = 1.0  # seconds between two looks of --watch


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments and flags."""
    parser.description = (
        "Show how tracks stand: 0 when all of them are ready, 1 when one is not. "
        "Suspended tracks count as they were found last."
    )
    parser.add_argument("tracks", nargs="*", metavar="TRACK", help="default: all there are")
    parser.add_argument(
        "-w", "--watch", action="store_true", help="print again whenever something changes"
    )
    options.add_output_option(parser)
    options.add_agent_options(parser)


def run(args: argparse.Namespace) -> int:
    """Print the tracks; return 0 when all are ready, 1 otherwise. Raises AgentError."""
    from agent.cli import cluster, eventloop

    config = cluster.with_kubeconfig(options.load_config(args), os.environ)
    as_json = args.output == "json"
    statuses = eventloop.run(_show(config, args.tracks, as_json=as_json, watch=args.watch))
    return 0 if all(status.ready for status in statuses) else NOT_READY


async def _show(
    config: Config, names: list[str], *, as_json: bool, watch: bool
) -> list[TrackStatus]:
    """Print the statuses, once or for ever, and return them."""
    import asyncio

    from agent.cli import cluster

    shown: list[TrackStatus] | None = None
    async with cluster.connected(config) as there:
        while True:
            statuses = await read(there, config, names)
            if statuses != shown:
                _print(statuses, as_json=as_json, again=shown is not None)
                shown = statuses
            if not watch:
                return statuses
            await asyncio.sleep(_PAUSE)


async def read(there: Cluster, config: Config, names: list[str]) -> list[TrackStatus]:
    """Read the tracks of these names, by default all of the file and of the cluster.

    One without a status is there all the same, and not ready. Raises UnknownTrack for a name that
    neither has, KubeError.
    """
    from msgspec.structs import replace

    from agent.cli.cluster import track_of
    from agent.reconcile.reports import status
    from agent.reconcile.reports.status import TrackStatus

    repositories = {track.name: track.repository for track in config.tracks}
    wanted = list(dict.fromkeys(names)) or sorted({*repositories, *await there.tracks()})
    found = []
    for name in wanted:
        contents = await there.inventory(name).read()
        stored = status.read(contents.data)
        if stored is None:
            if not contents.resource_version:
                track_of(config, name)
            stored = TrackStatus(track=name, repository=repositories.get(name, ""))
        if by := contents.signals.suspended:  # the agent may not have noticed, or not run at all
            stored = replace(stored, suspended=by)
        found.append(stored)
    return found


def _print(statuses: list[TrackStatus], *, as_json: bool, again: bool) -> None:
    from agent.cli import report

    if as_json:
        output.write_json([report.as_json(status) for status in statuses])
    else:
        if again:
            output.write("")
        report.write(statuses)
    output.flush()
