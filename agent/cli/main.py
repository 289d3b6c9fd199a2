"""The ``lightkeeper`` command: finds the command asked for, runs it, turns errors to exit codes.

A command is a module with ``register(parser)`` and ``run(args) -> int``, imported only when it
is asked for. Exit codes: 0 done, 1 failed, 2 bad input, 130 interrupted, 141 reader gone; a
command may add its own.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple, NoReturn

from agent import frozen
from agent.cli import options, output
from agent.errors import AgentError

_INTERRUPTED = 128 + 2  # as a shell reports SIGINT
_READER_GONE = 128 + 13  # as a shell reports SIGPIPE
_GIT_WORKER = "git-worker"


class Command(NamedTuple):
    """A command by name, what --help says of it, and the module that carries it out."""

    name: str
    help: str
    module: str


COMMANDS = (
    Command("run", "keep the cluster as the repositories say", "agent.cli.run"),
    Command("plan", "show what a pass would do, without doing it", "agent.cli.plan"),
    Command("status", "show how the tracks stand", "agent.cli.status"),
    Command("why", "say why an object is as it is", "agent.cli.why"),
    Command("approve", "let held deletions happen", "agent.cli.approve"),
    Command("healthcheck", "ask the running agent whether it is well", "agent.cli.healthcheck"),
    Command("suspend", "have tracks stand still", "agent.cli.suspend"),
    Command("resume", "end a suspension", "agent.cli.resume"),
    Command("reconcile", "have the agent make a pass now", "agent.cli.reconcile"),
    Command("delete", "end a track and delete what it owns", "agent.cli.delete"),
    Command("rbac", "print the least rights this configuration needs", "agent.cli.rbac"),
    Command("install", "print what it takes to run the agent somewhere", "agent.cli.install"),
    Command("validate", "check the configuration and show it", "agent.cli.validate"),
    Command("version", "print the version", "agent.cli.version"),
)


def entrypoint() -> NoReturn:
    """Run as a program: arguments from the system, result as exit code."""
    if sys.argv[1:2] != [_GIT_WORKER]:
        frozen.settle()
    sys.exit(main(sys.argv[1:]))


def main(argv: Sequence[str]) -> int:
    """Run one command and return its exit code; messages have been printed."""
    try:
        code = _dispatch(argv)
        output.flush()
    except AgentError as error:
        if isinstance(error, output.OutputError):
            _discard_stdout()
        output.complain(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        _discard_stdout()
        return _READER_GONE
    return code


def _dispatch(argv: Sequence[str]) -> int:
    if argv[:1] == [_GIT_WORKER]:  # the agent's own child process; not for people
        return _exit_code(import_module("agent.source.worker.main").main(argv[1:]))
    try:
        args = _parser(argv).parse_args(argv)
    except SystemExit as exit_:  # argparse has printed help or a usage error
        return _exit_code(exit_.code)
    options.configure_log(args)
    return _exit_code(import_module(args.module).run(args))


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lightkeeper",
        description="A standalone GitOps agent for Kubernetes: one process, one binary, no CRDs.",
        epilog="lightkeeper COMMAND --help tells more of each.",
        allow_abbrev=False,
    )
    options.add_global_options(parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        own = commands.add_parser(
            command.name, help=command.help, description=command.help, allow_abbrev=False
        )
        own.set_defaults(module=command.module)
        options.add_global_options(own, suppress=True)
        if command.name in argv:  # the others' flags cannot be needed, nor what they import
            import_module(command.module).register(own)
    return parser


def _exit_code(code: object) -> int:
    return code if isinstance(code, int) else 0


def _discard_stdout() -> None:
    """Point stdout nowhere, so that the interpreter's last flush does not complain either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
