"""``lightkeeper install``: print all that it takes to run the agent with this configuration.

Installs nothing itself: what it prints is for kubectl or systemd.
"""

from __future__ import annotations

import argparse
import os
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.cli import options, output
from agent.errors import AgentError

if TYPE_CHECKING:
    from agent.cli.rbac import Survey
    from agent.plan.install.settle import Settled

COMPLETE, INCOMPLETE = 0, 1
MODES = ("deployment", "daemonset", "sidecar", "systemd")

_OF_HERE = ("kubeconfig", "context")
_VARIABLES_OF_HERE = ("HOME", "LIGHTKEEPER_KUBECONFIG", "LIGHTKEEPER_CONTEXT")
_OWNER = re.compile(r"([0-9]{1,9}):([0-9]{1,9})")
_RESOURCE = re.compile(r"[a-z0-9]+(\.[-a-z0-9.]+)?")
_NOT_ASKED = (
    "; --offline --kinds=deployments.apps,configmaps,… prints it without asking anybody, with the "
    "rights for those kinds"
)
_LEAST = "# The least rights for what the repositories hold; lightkeeper rbac prints them anew."
_NAMED = "# The rights for the kinds that --kinds named; lightkeeper rbac finds out which it takes."
_NOT_ALL = "# Not everything could be looked at, so that some may be missing:"


class NoSurvey(AgentError):
    """Nobody could say which rights the agent needs."""


class CannotGive(AgentError):
    """A folder could not be given away."""


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.description = (
        "Print all that it takes to run the agent with this configuration: "
        "lightkeeper install --export | kubectl apply -f -. The rights are those that lightkeeper "
        "rbac finds out. Variables of the environment do not count: they are of this machine."
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--export", action="store_true", help="print it")
    what.add_argument(
        "--give-folder",
        metavar="DIR",
        help="make a folder for --to alone; what the DaemonSet's init container does as root",
    )
    parser.add_argument("--to", metavar="UID:GID", help="with --give-folder: whose it is then")
    parser.add_argument(
        "--mode",
        choices=MODES,
        default="deployment",
        help="deployment: two replicas, one of which writes (the default); daemonset: one a node, "
        "with a folder of the node; sidecar: beside an application, with rights in its namespace "
        "only; systemd: a unit for a machine",
    )
    parser.add_argument(
        "--image", metavar="REF", help=f"the container image (default: {default_image()})"
    )
    options.add_kinds_option(parser)
    parser.add_argument(
        "--offline",
        action="store_true",
        help="ask neither cluster nor repositories: the rights are for --kinds, each written as "
        "<plural>.<group> (deployments.apps, configmaps)",
    )
    options.add_agent_options(parser)


def run(args: argparse.Namespace) -> int:
    """Print it; 1 when the rights in it may not be all. Raises AgentError."""
    if args.give_folder:
        _give(Path(args.give_folder), args.to)
        return COMPLETE
    from agent.config.load import load
    from agent.plan.install import shapes, unit
    from agent.plan.install.settle import FOLDER, Mode, settled

    path = options.config_path(args)
    mode = Mode(args.mode)
    of_here = () if mode is Mode.SYSTEMD else _OF_HERE
    flags = {key: v for key, v in options.given_flags(args).items() if key not in of_here}
    there = settled(load(path, environment={}, flags=flags, folder=FOLDER), mode, _texts(flags))
    if mode is Mode.SYSTEMD:
        output.write(unit.unit(there).rstrip("\n"))
        return COMPLETE
    surveyed = _offline(there, args.kinds) if args.offline else _asked(args, path, there)
    toml = path.read_bytes().decode("utf-8-sig")
    image = args.image or default_image()
    text = shapes.manifests(
        there, toml=toml, image=image, roles=surveyed.roles, remarks=surveyed.remarks
    )
    output.write(text.rstrip("\n"))
    output.flush()
    for problem in surveyed.problems:
        output.complain(problem)
    return INCOMPLETE if surveyed.problems else COMPLETE


def default_image() -> str:
    """Return the image of this version, as packaging/container makes it."""
    from agent import __version__

    return f"lightkeeper:{__version__}"


def _texts(flags: Mapping[str, Any]) -> tuple[str, ...]:
    """Return flags as they are written; a list is a flag that is given several times."""
    return tuple(
        f"--{key}={item}"
        for key, value in flags.items()
        for item in (value if isinstance(value, list) else [value])
    )


def _asked(args: argparse.Namespace, path: Path, there: Settled) -> Survey:
    """Ask cluster and repositories, by the ways there are from here. Raises NoSurvey."""
    from agent.cli import cluster
    from agent.cli.rbac import survey
    from agent.config.load import load
    from agent.kube.errors import KubeError

    environment = {name: value for name, value in os.environ.items() if name in _VARIABLES_OF_HERE}
    read = load(path, environment=environment, flags=options.given_flags(args))
    here = cluster.with_kubeconfig(read, os.environ)
    agent = replace(here.agent, state_namespace=there.namespace)
    config = replace(here, agent=agent, leader_election=there.config.leader_election)
    try:
        found = survey(config, args.kinds)
    except KubeError as error:
        raise NoSurvey(f"{error}{_NOT_ASKED}") from error
    said = [_LEAST, found.remarks] if found.remarks else [_LEAST]
    if found.problems:
        lines = (line for problem in found.problems for line in problem.splitlines())
        said += [_NOT_ALL, *(f"#   {line}" for line in lines)]
    return found._replace(remarks="\n".join(said))


def _offline(there: Settled, kinds: Iterable[str]) -> Survey:
    """Take the person's word for the kinds. Raises BadUsage."""
    from agent.cli.rbac import Survey, account_of
    from agent.plan.rights import Need

    needs = []
    for kind in (kind for text in kinds for kind in text.split(",") if kind):
        if not _RESOURCE.fullmatch(kind):
            raise options.BadUsage(
                f"--kinds {kind}: with --offline nobody can be asked what that is; write "
                "<plural>.<group>, such as deployments.apps, or <plural> for the core group"
            )
        plural, _, group = kind.partition(".")
        deletes = any(track.prune for track in there.config.tracks)
        needs.append(Need(group, plural, deletes=deletes))
    if not needs:
        raise options.BadUsage("--offline: name what the repositories hold with --kinds")
    found = Survey.of(account_of(there.config, there.namespace), needs)
    return found._replace(remarks="\n".join(filter(None, (_NAMED, found.remarks))))


def _give(folder: Path, owner: str | None) -> None:
    """Make a folder that only its owner can look into. Raises BadUsage and CannotGive."""
    ids = _OWNER.fullmatch(owner or "")
    if ids is None:
        raise options.BadUsage("--give-folder needs --to=UID:GID, two numbers")
    user, group = map(int, ids.groups())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        now = folder.stat()
        if now.st_uid == os.geteuid():  # first: given away it is not ours to change any more
            folder.chmod(stat.S_IRWXU)
        if (now.st_uid, now.st_gid) != (user, group):
            os.chown(folder, user, group)
    except OSError as error:
        raise CannotGive(
            f"{folder}: cannot be given to {user}:{group}: {error.strerror}; it takes root with "
            "the capability CHOWN"
        ) from error
