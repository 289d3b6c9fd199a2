"""``lightkeeper approve``: let the deletions happen that a track holds back.

Writes one annotation on the track's ConfigMap; the agent does the rest. The approval is bound to
the plan that was shown: if git or the cluster changes in between, it releases nothing.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.cli import options, output
from agent.errors import AgentError

if TYPE_CHECKING:
    from agent.config.model import Config, Track
    from agent.reconcile.reports.status import TrackStatus


class NotApproved(AgentError):
    """Nothing was approved: nothing is held, it is another plan, or the person said no."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A track's status and the plan that was approved last, "" for none."""

    status: TrackStatus
    approved: str

    @property
    def plan(self) -> str:
        return self.status.held_digest


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments and flags."""
    parser.add_argument("track", metavar="TRACK", help="the track whose deletions are held")
    parser.add_argument("--plan", metavar="ID", help="approve only if this is the held plan")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask first")
    options.add_output_option(parser)
    options.add_agent_options(parser)


def run(args: argparse.Namespace) -> int:
    """Show what is held, ask, approve, and return 0. Raises AgentError when it is not approved."""
    from agent.cli import cluster, eventloop

    config = cluster.with_kubeconfig(options.load_config(args), os.environ)
    track = cluster.track_of(config, args.track)
    held = eventloop.run(_read(config, track))
    _check(held, track=track.name, wanted=args.plan)
    as_json = args.output == "json"
    if not (as_json and args.yes):
        _show(held, aside=as_json)
    if held.approved != held.plan:
        if not args.yes:
            options.confirm("Approve?", otherwise="not approved; the deletions stay held")
        eventloop.run(_approve(config, track, held.plan))
    if as_json:
        output.write_json(_result(held))
    else:
        output.write(f"Approved plan {held.plan}; a running agent carries it out now.")
    return 0


async def _read(config: Config, track: Track) -> _Held:
    from agent.cli import cluster

    async with cluster.connected(config) as there:
        contents, found = await cluster.read_status(there.inventory(track.name))
    return _Held(found, contents.signals.approved)


async def _approve(config: Config, track: Track, plan: str) -> None:
    from agent.cli import cluster

    async with cluster.connected(config) as there:
        await there.inventory(track.name).approve(plan)


def _check(held: _Held, *, track: str, wanted: str | None) -> None:
    """Raise NotApproved unless a plan is held, and it is the one that is wanted."""
    if not held.plan:
        raise NotApproved(f"track {track} holds no deletions; there is nothing to approve")
    if wanted is not None and wanted != held.plan:
        raise NotApproved(
            f"track {track} holds plan {held.plan} and not {wanted}; look at what is held now: "
            f"lightkeeper approve {track}"
        )


def _show(held: _Held, *, aside: bool) -> None:
    """Print what would be deleted; ``aside`` keeps it out of the data."""
    say = output.complain if aside else output.write
    say(f"Track {held.status.track} holds plan {held.plan}: {held.status.held}.")
    say("It deletes:")
    for name in held.status.held_objects:
        say(f"  {name}")
    output.flush()


def _result(held: _Held) -> dict[str, object]:
    return {
        "track": held.status.track,
        "plan": held.plan,
        "reason": held.status.held,
        "objects": held.status.held_objects,
        "approved": True,
    }
