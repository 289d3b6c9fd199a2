"""``lightkeeper version``: what this is, quickly and without touching anything."""

from __future__ import annotations

import argparse
import platform

import agent
from agent import build
from agent.cli import options, output

_UNKNOWN = "unknown: this runs from its source"


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.add_argument(
        "--licenses",
        action="store_true",
        help="print whose software the binary contains, and under which licences",
    )
    options.add_output_option(parser)


def run(args: argparse.Namespace) -> int:
    """Print the version of the agent and of Python, or the licences; always 0.

    Raises NotBuiltError when there are no licences to print.
    """
    if args.output == "json":
        output.write_json(_as_json(with_licenses=args.licenses))
    elif args.licenses:
        output.write(build.licenses().rstrip("\n"))
    else:
        made = build.read()
        output.write(f"lightkeeper {agent.__version__}")
        output.write(f"commit {f'{made.commit} of {made.date}' if made else _UNKNOWN}")
        output.write(f"python {platform.python_version()} on {_machine()}")
    return 0


def _as_json(*, with_licenses: bool) -> dict[str, object]:
    made = build.read()
    values: dict[str, object] = {
        "version": agent.__version__,
        "commit": made.commit if made else None,
        "date": made.date if made else None,
        "python": platform.python_version(),
        "platform": _machine(),
    }
    if with_licenses:
        values["licenses"] = build.licenses()
        values["components"] = list(made.components) if made else []
    return values


def _machine() -> str:
    return f"{platform.system().lower()}/{platform.machine()}"
