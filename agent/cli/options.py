"""The flags that commands share, and the way from them to a Config.

Each key of ``[agent]`` is a flag of the same name. Values stay text here: ``config.load`` judges
them, so that a flag, a variable and the file are read by the same rules.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from agent import log
from agent.errors import AgentError

if TYPE_CHECKING:
    from agent.config.errors import ConfigError
    from agent.config.model import Config, Track

CONFIG_VARIABLE = "LIGHTKEEPER_CONFIG"
DEFAULT_PATHS = (Path("lightkeeper.toml"), Path("/etc/lightkeeper/config.toml"))

AGENT_FLAGS: Mapping[str, str] = {
    "name": "identity of this agent, part of every ownership mark",
    "namespace": 'restrict the agent to one namespace; "" is the whole cluster',
    "ignore-resources": "<plural>.<group>/<version> never to touch; repeatable",
    "sync-period": "how often everything is compared again, such as 5m",
    "server-dry-run": "ask the server before each update whether it changes anything",
    "fetch-timeout": "how long one fetch from a repository may take, such as 30s",
    "state-dir": "folder of mirrors and last good revisions",
    "repository-dir": "the same as --state-dir",
    "state-namespace": "namespace of the ConfigMaps with inventory and status",
    "kubeconfig": "kubeconfig file",
    "context": "context of the kubeconfig",
    "metrics-bind-address": 'where /metrics and /status are served, such as :8080; "0" is nowhere',
    "metrics-cert-file": "certificate of /metrics and /status",
    "metrics-key-file": "key of that certificate",
    "metrics-authorization": "ask the API server who may read /metrics and /status",
    "health-bind-address": 'where /healthz and /readyz are served, such as :8081; "0" is nowhere',
}
"""Keys of ``[agent]``, with their other spellings, and what --help says of them."""

ELECTION_FLAGS: Mapping[str, str] = {
    "leader-election": "write only while holding a Lease, for more than one replica",
    "leader-election-id": "name of the Lease",
    "leader-election-namespace": "namespace of the Lease",
    "leader-election-mode": "one Lease for the agent or one a track: agent, track",
    "leader-election-lease-duration": "how long an unrenewed Lease is respected, such as 15s",
    "leader-election-renew-deadline": "how long a leader goes on without renewing, such as 10s",
    "leader-election-retry-period": "pause between attempts to get or renew it, such as 2s",
    "leader-election-identity": "what this replica calls itself in the Lease",
}
"""Flags of the keys of ``[leader-election]``, and what --help says of them."""

_SWITCHES = {"server-dry-run": "send updates unasked", "leader-election": "always write"}

_LOG_FLAGS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "log-level": (log.LEVELS, "info"),
    "log-format": (log.FORMATS, "auto"),  # text on a terminal, JSON elsewhere
}

_DEST = "agent."  # keeps `--namespace` apart from a command's own argument of that name


class BadUsage(AgentError):
    """Arguments that do not go together."""

    exit_code = 2


class NobodyToAsk(AgentError):
    """There is no terminal to ask at, and no --yes."""

    exit_code = 2


class Declined(AgentError):
    """The person was asked, and did not say yes."""


def add_global_options(parser: argparse.ArgumentParser, *, suppress: bool = False) -> None:
    """Add the flags of every command.

    ``suppress`` leaves out the defaults: for a command's own parser, so that a flag before the
    command is not overwritten by its absence after it.
    """
    group = parser.add_argument_group("global options")
    default = argparse.SUPPRESS if suppress else None
    searched = ", ".join([f"${CONFIG_VARIABLE}", *map(str, DEFAULT_PATHS)])
    group.add_argument(
        "-c", "--config", metavar="FILE", default=default, help=f"default: {searched}"
    )
    for flag, (known, standard) in _LOG_FLAGS.items():
        group.add_argument(f"--{flag}", choices=known, default=default, help=f"default: {standard}")


def add_agent_options(parser: argparse.ArgumentParser) -> None:
    """Add a flag for each key of ``[agent]`` and ``[leader-election]``.

    For commands that read the configuration.
    """
    group = parser.add_argument_group("options that override [agent] in the configuration")
    for key, meaning in {**AGENT_FLAGS, **ELECTION_FLAGS}.items():
        dest = _DEST + key
        if key in _SWITCHES:
            group.add_argument(
                f"--{key}", dest=dest, nargs="?", const="true", metavar="BOOL", help=meaning
            )
            group.add_argument(
                f"--no-{key}",
                dest=dest,
                action="store_const",
                const="false",
                help=_SWITCHES[key],
            )
        elif key == "metrics-authorization":
            group.add_argument(
                f"--{key}", dest=dest, nargs="?", const="true", metavar="BOOL", help=meaning
            )
        elif key == "ignore-resources":
            names = ("--ignore-resource", f"--{key}")
            group.add_argument(*names, dest=dest, action="append", metavar="RESOURCE", help=meaning)
        else:
            group.add_argument(f"--{key}", dest=dest, metavar="VALUE", help=meaning)


def add_output_option(parser: argparse.ArgumentParser) -> None:
    """Add ``-o json``."""
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")


def add_kinds_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--kinds``, for rights that are not needed yet."""
    parser.add_argument(
        "--kinds",
        action="append",
        default=[],
        metavar="KIND",
        help="a kind that git will have one day, as kubectl takes it; repeatable",
    )


def add_tracks(parser: argparse.ArgumentParser, *, what: str) -> None:
    """Add ``TRACK...`` and ``--all``, of which exactly one has to be given; see ``tracks``."""
    parser.add_argument("tracks", nargs="*", metavar="TRACK", help=what)
    parser.add_argument("--all", action="store_true", help="every track of the configuration")


def tracks(args: argparse.Namespace, config: Config) -> list[Track]:
    """Return the tracks that the arguments name, each once; all of them for ``--all``.

    Raises UnknownTrack, and BadUsage when neither or both are given.
    """
    from agent.cli.cluster import track_of

    if bool(args.tracks) == args.all:
        raise BadUsage("name at least one TRACK, or all of them with --all")
    if args.all:
        return list(config.tracks)
    return [track_of(config, name) for name in dict.fromkeys(args.tracks)]


def duration(flag: str, text: str) -> float:
    """Return the seconds that a flag's text stands for. Raises BadUsage."""
    from agent.config.durations import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise BadUsage(f"{flag}: {error}") from error


def confirm(question: str, *, otherwise: str) -> None:
    """Ask the person. Raises Declined with ``otherwise`` for anything but a yes.

    Raises NobodyToAsk when nobody is there.
    """
    if not sys.stdin.isatty():
        raise NobodyToAsk("this is no terminal, so nobody can be asked; say it with --yes")
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Declined(otherwise)


def configure_log(args: argparse.Namespace, *, environment: Mapping[str, str] = os.environ) -> None:
    """Set up logging as flags, LIGHTKEEPER_LOG_LEVEL and LIGHTKEEPER_LOG_FORMAT say.

    Raises ConfigError when a variable is wrong; argparse has judged the flags.
    """
    chosen = {}
    for flag, (known, standard) in _LOG_FLAGS.items():
        dest = flag.replace("-", "_")
        variable = f"LIGHTKEEPER_{dest.upper()}"
        value = getattr(args, dest) or environment.get(variable) or standard
        if value not in known:
            raise _config_error(variable, f"unknown (got {value!r}), expected {', '.join(known)}")
        chosen[flag] = value
    colour = not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
    log.configure(
        level=cast(log.Level, chosen["log-level"]),
        format=cast(log.Format, chosen["log-format"]),
        colour=colour,
    )


def quiet(args: argparse.Namespace, *, environment: Mapping[str, str] = os.environ) -> None:
    """Switch the log off unless a level was asked for: the command tells everything itself."""
    if not (args.log_level or environment.get("LIGHTKEEPER_LOG_LEVEL")):
        logging.disable(logging.CRITICAL)


def given_flags(args: argparse.Namespace) -> dict[str, Any]:
    """Return what flags have set, as ``config.load`` takes it."""
    values = {key: getattr(args, _DEST + key, None) for key in (*AGENT_FLAGS, *ELECTION_FLAGS)}
    return {key: value for key, value in values.items() if value is not None}


def config_path(args: argparse.Namespace, *, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the configuration file to read: --config, the variable, or the first that exists.

    Raises ConfigError when none is named and none is there.
    """
    if named := args.config or environment.get(CONFIG_VARIABLE):
        return Path(named)
    for path in DEFAULT_PATHS:
        if path.exists():
            return path
    looked = ", ".join(str(path) for path in DEFAULT_PATHS)
    message = f"no file found (looked for {looked}), name one with --config or ${CONFIG_VARIABLE}"
    raise _config_error("configuration", message)


def load_config(args: argparse.Namespace, *, environment: Mapping[str, str] = os.environ) -> Config:
    """Return the configuration that a command's flags, the environment and the file give.

    Raises ConfigError with every problem found.
    """
    from agent.config.load import load

    path = config_path(args, environment=environment)
    return load(path, environment=environment, flags=given_flags(args))


def _config_error(source: str, message: str) -> ConfigError:
    from agent.config.errors import ConfigError, Problem

    return ConfigError((Problem(source, message),))
