"""``lightkeeper healthcheck``: ask the running agent how it is; for exec probes and for people.

Reads the same configuration as the agent, for the address. Imports no HTTP library: a probe runs
every few seconds.
"""

from __future__ import annotations

import argparse
import http.client
from typing import NamedTuple

from agent.cli import options, output
from agent.config.errors import ConfigError, Problem
from agent.config.serving import BindAddress, parse_bind_address

TIMEOUT = 5.0
"""Seconds for the answer; a process that takes longer is not well."""

_ANY = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # asked, not listened on


class _Answer(NamedTuple):
    good: bool
    text: str


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.add_argument(
        "--ready",
        action="store_true",
        help="ask whether it is ready (first pass done), not only whether it is alive",
    )
    options.add_agent_options(parser)


def run(args: argparse.Namespace) -> int:
    """Return 0 when the agent is alive (ready), 1 and why when it is not."""
    address = options.load_config(args).agent.health_bind_address
    where = parse_bind_address(address)
    if where is None:
        message = f'is "{address}", so the agent opens no port that could be asked; set one'
        raise ConfigError((Problem("configuration", message, key="agent.health-bind-address"),))
    answer = _ask(where, "/readyz" if args.ready else "/healthz")
    if answer.good:
        output.write(answer.text)
        return 0
    output.complain(answer.text)
    return 1


def _ask(where: BindAddress, path: str) -> _Answer:
    connection = http.client.HTTPConnection(
        _ANY.get(where.host, where.host), where.port, timeout=TIMEOUT
    )
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return _Answer(response.status == 200, response.read().decode(errors="replace").strip())
    except (OSError, http.client.HTTPException) as error:
        reason = str(error) or type(error).__name__
        hint = "is the agent running, with this configuration?"
        address = f"http://{connection.host}:{connection.port}{path}"
        return _Answer(good=False, text=f"{address}: no answer: {reason}; {hint}")
    finally:
        connection.close()
