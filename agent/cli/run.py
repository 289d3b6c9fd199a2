"""``lightkeeper run``: keep the cluster as the repositories say; ``--once`` for a single pass."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from agent.cli import options, output

if TYPE_CHECKING:
    from agent.config.model import Config
    from agent.reconcile.status import TrackStatus

NOT_IN_SYNC = 1


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.add_argument(
        "--once",
        action="store_true",
        help="make one pass of every track and exit: 0 when all is in sync, 1 otherwise",
    )
    options.add_output_option(parser)
    options.add_agent_options(parser)


def run(args: argparse.Namespace) -> int:
    """Run the agent and return its exit code."""
    from agent import app
    from agent.cli import cluster
    from agent.config.live import LiveConfig

    def load() -> Config:
        return app.check(cluster.with_kubeconfig(options.load_config(args), os.environ))

    config = load()
    if not args.once:
        live = LiveConfig(options.config_path(args), load, current=config)
        cluster.run(app.run(live, os.environ))
        return 0
    statuses = cluster.run(app.run_once(config, os.environ))
    _report(statuses, as_json=args.output == "json")
    in_sync = all(status.ready and not status.suspended for status in statuses)
    return 0 if in_sync else NOT_IN_SYNC


def _report(statuses: list[TrackStatus], *, as_json: bool) -> None:
    """Print how each track stands, then what is wrong with it."""
    from agent.cli import report

    if as_json:
        output.write_json([report.as_json(status) for status in statuses])
        return
    header = ("track", "revision", "discovered", "applied", "ignored", "in sync", "ready")
    output.write_table(header, [_row(status) for status in statuses])
    for status in statuses:
        for problem in report.problems(status):
            output.complain(f"{status.track}: {problem}")


def _row(status: TrackStatus) -> tuple[str, ...]:
    counters = (status.discovered, status.applied, status.ignored, status.in_sync)
    ready = "True" if status.ready else "False"
    return (status.track, status.revision or "-", *map(str, counters), ready)
