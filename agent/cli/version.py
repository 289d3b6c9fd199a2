"""``lightkeeper version``: what this is, quickly and without touching anything."""

from __future__ import annotations

import argparse
import platform

import agent
from agent.cli import options, output


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    options.add_output_option(parser)


def run(args: argparse.Namespace) -> int:
    """Print the version of the agent and of Python; always 0."""
    machine = f"{platform.system().lower()}/{platform.machine()}"
    if args.output == "json":
        python = platform.python_version()
        output.write_json({"version": agent.__version__, "python": python, "platform": machine})
    else:
        output.write(f"lightkeeper {agent.__version__}")
        output.write(f"python {platform.python_version()} on {machine}")
    return 0
