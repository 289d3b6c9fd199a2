"""``lightkeeper run``: keep the cluster as the repositories say; ``--once`` for a single pass.

``--once --wait`` is for init containers and scripts: what comes after it starts from a cluster
that is as git says.
"""

from __future__ import annotations

import argparse
import gc
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING

from agent.cli import options, output

if TYPE_CHECKING:
    from agent.config.model import Config
    from agent.reconcile.reports.status import TrackStatus
    from agent.source.pool import WorkerPool

NOT_IN_SYNC = 1

_YOUNG_OBJECTS = 10_000  # until the youngest are looked through; Python's own 700 is for scripts

WAIT = "5m"
"""How long ``--wait`` waits, unless told otherwise."""


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.add_argument(
        "--once",
        action="store_true",
        help="make one pass of every track and exit: 0 when all is in sync, 1 otherwise",
    )
    parser.add_argument(
        "--wait",
        action="store_true",
        help="with --once: go on with passes until all is in sync, also while git and the API "
        "server are not up yet; does not wait for what was applied to become ready",
    )
    parser.add_argument(
        "--timeout",
        metavar="DURATION",
        help=f"with --wait: how long, then exit with 1 (default: {WAIT})",
    )
    options.add_output_option(parser)
    options.add_agent_options(parser)


def run(args: argparse.Namespace) -> int:
    """Run the agent and return its exit code."""
    from agent.cli import eventloop

    return eventloop.run(_run(args, _patience(args)))


async def _run(args: argparse.Namespace, patience: float | None) -> int:
    async with _workers() as workers:
        with _kept_for_good():
            from agent import app
            from agent.aio import tlsbuffers
            from agent.cli import cluster
            from agent.config.live import LiveConfig
        tlsbuffers.shrink()

        def load() -> Config:
            return app.check(cluster.with_kubeconfig(options.load_config(args), os.environ))

        config = load()
        if not args.once:
            live = LiveConfig(options.config_path(args), load, current=config)
            await app.run(live, os.environ, workers=workers)
            return 0
        statuses = await app.run_once(config, os.environ, workers=workers, patience=patience)
    _report(statuses, as_json=args.output == "json")
    return 0 if all(status.is_in_sync for status in statuses) else NOT_IN_SYNC


@asynccontextmanager
async def _workers() -> AsyncIterator[WorkerPool]:
    """Have a git worker start while the agent's own modules are imported: both take as long."""
    from agent.source.pool import WorkerDied, WorkerPool

    workers = WorkerPool()
    try:
        with suppress(WorkerDied):  # who needs one finds out, and says for what
            await workers.warm()
        yield workers
    finally:
        await workers.close()


@contextmanager
def _kept_for_good() -> Iterator[None]:
    """Spare the garbage collector all that is imported meanwhile, then have it come less often.

    A full collection stops every loop: the modules' 70,000 objects, which never are garbage, were
    most of that stop.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(_YOUNG_OBJECTS, *gc.get_threshold()[1:])
        gc.enable()


def _patience(args: argparse.Namespace) -> float | None:
    """Return for how many seconds to wait, None for not at all. Raises BadUsage."""
    if args.wait and not args.once:
        raise options.BadUsage("--wait goes with --once: without it, run never ends by itself")
    if args.timeout is not None and not args.wait:
        raise options.BadUsage("--timeout goes with --once --wait")
    return options.duration("--timeout", args.timeout or WAIT) if args.wait else None


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
