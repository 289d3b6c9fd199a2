"""``lightkeeper validate``: check the configuration offline, and show what it comes to.

Looks at the file, the environment and the flags, never at the cluster or a repository.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict

from agent.cli import options, output
from agent.config.errors import ConfigError
from agent.config.export import exported
from agent.config.model import Config


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    options.add_output_option(parser)
    options.add_agent_options(parser)


def run(args: argparse.Namespace) -> int:
    """Print the configuration and return 0, or every problem in it and return 2."""
    try:
        path = options.config_path(args)
        config = options.load_config(args)
    except ConfigError as error:
        if args.output != "json":
            raise
        problems = [asdict(problem) for problem in error.problems]
        output.write_json({"valid": False, "problems": problems})
        return error.exit_code
    if args.output == "json":
        output.write_json({"valid": True, "file": str(path), "config": exported(config)})
    else:
        output.write(f"{path} is valid.")
        _show(config)
    return 0


def _show(config: Config) -> None:
    values = exported(config)
    output.write("")
    rows = [(key, _cell(value)) for key, value in values["agent"].items()]
    output.write_table(("agent", ""), rows)
    output.write("")
    rows = [(key, _cell(value)) for key, value in values["leader-election"].items()]
    output.write_table(("leader-election", ""), rows)
    output.write("")
    columns = ("name", "repository", "reference", "sub-path", "scope", "interval", "prune")
    tracks = [[_cell(track[column]) for column in columns] for track in values["track"]]
    output.write_table(("track", *columns[1:]), tracks)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(value) or "-"
    return "-" if value is None or value == "" else str(value)
