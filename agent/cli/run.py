"""``lightkeeper run``: keep the cluster as the repositories say; ``--once`` for a single pass."""

from __future__ import annotations

import argparse
import os
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from agent.cli import options, output
from agent.errors import AgentError

if TYPE_CHECKING:
    from agent.config.model import Config
    from agent.reconcile.status import TrackStatus

T = TypeVar("T")

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
        _plainly(app.run(live, os.environ))
        return 0
    statuses = _plainly(app.run_once(config, os.environ))
    _report(statuses, as_json=args.output == "json")
    return 0 if all(status.ready for status in statuses) else NOT_IN_SYNC


def _plainly(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work``; an AgentError out of its task groups comes out as itself."""
    import asyncio

    try:
        return asyncio.run(work)
    except BaseExceptionGroup as group:
        known = group.subgroup(AgentError)
        if known is None:
            raise
        error: BaseException = known
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from group


def _report(statuses: list[TrackStatus], *, as_json: bool) -> None:
    """Print how each track stands, then what is wrong with it."""
    if as_json:
        from msgspec import to_builtins

        output.write_json([to_builtins(status) for status in statuses])
        return
    header = ("track", "revision", "discovered", "applied", "ignored", "in sync", "ready")
    output.write_table(header, [_row(status) for status in statuses])
    for status in statuses:
        for problem in problems(status):
            output.complain(f"{status.track}: {problem}")


def _row(status: TrackStatus) -> tuple[str, ...]:
    counters = (status.discovered, status.applied, status.ignored, status.in_sync)
    ready = "True" if status.ready else "False"
    return (status.track, status.revision or "-", *map(str, counters), ready)


def problems(status: TrackStatus) -> list[str]:
    """Return what keeps a track from being ready, a line each."""
    lines = [f"{place}: {reason}" for place, reason in status.problems.items()]
    lines += [
        condition.message
        for condition in status.conditions
        if condition.status == "False" and condition.type == "FilesFetched"
    ]
    if status.stale_since:
        lines.append(
            f"stale: the source last answered at {status.stale_since}, {_age(status)} ago; "
            "nothing is pruned until it answers again"
        )
    if status.held:
        lines.append(f"deletions held: {status.held}; lightkeeper approve {status.track}")
    return lines


def _age(status: TrackStatus) -> str:
    """Return how long the source has not answered, as kubectl shows ages: its largest unit."""
    from datetime import UTC, datetime

    since = datetime.fromisoformat(status.stale_since)
    seconds = max(0, int((datetime.now(UTC) - since).total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"
