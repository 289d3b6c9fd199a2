"""``lightkeeper rbac``: the least rights that this configuration needs, ready for kubectl apply.

Prints and grants nothing. The JSON is a ``v1`` List of the same objects.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from agent.cli import options, output

if TYPE_CHECKING:
    from agent.config.model import Config
    from agent.manifest.keys import JSONObject
    from agent.plan.rights import Agent, Need

COMPLETE, INCOMPLETE = 0, 1

_ESCALATION = """\
# The repositories hold RBAC objects. The API server lets nobody grant more than they have
# (privilege escalation prevention): for each role in git this agent needs the rights in it as
# well, or the verb "escalate" on roles and clusterroles, and "bind" on the roles that bindings in
# git name."""


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments and flags."""
    parser.description = (
        "Print the least rights that this configuration needs, for the kinds that are in the "
        "repositories now: lightkeeper rbac | kubectl apply -f -"
    )
    options.add_kinds_option(parser)
    parser.add_argument(
        "--service-account",
        metavar="NAME",
        help="the agent's service account in the state namespace (default: the agent's name)",
    )
    options.add_output_option(parser)
    options.add_agent_options(parser)


def run(args: argparse.Namespace) -> int:
    """Print the roles; 1 when not everything could be looked at. Raises AgentError."""
    from agent.cli import cluster

    options.quiet(args)
    config = cluster.with_kubeconfig(options.load_config(args), os.environ)
    found = survey(config, args.kinds, account=args.service_account)
    if args.output == "json":
        output.write_json({"apiVersion": "v1", "kind": "List", "items": found.roles})
    else:
        _write(found)
    output.flush()
    for problem in found.problems:
        output.complain(problem)
    return INCOMPLETE if found.problems else COMPLETE


class Survey(NamedTuple):
    """The rights, what is to be said of them as comments, and what could not be found out."""

    roles: list[JSONObject]
    remarks: str
    problems: tuple[str, ...]

    @classmethod
    def of(cls, agent: Agent, needs: Sequence[Need], problems: tuple[str, ...] = ()) -> Survey:
        """Return the rights of an agent that manages these kinds."""
        from agent.plan.rights import RBAC, roles

        escalation = any(need.group == RBAC for need in needs)
        return cls(roles(agent, needs), _ESCALATION if escalation else "", problems)


def survey(config: Config, kinds: Iterable[str], *, account: str | None = None) -> Survey:
    """Look through cluster and repositories. ``kinds`` are more of them, as a person names them.

    Raises AgentError.
    """
    from agent.cli import eventloop

    more = [kind for text in kinds for kind in text.split(",") if kind]
    return eventloop.run(_survey(config, more, account=account))


def account_of(config: Config, namespace: str, *, account: str | None = None) -> Agent:
    """Return whose rights they are, with the state in this namespace."""
    from agent.plan.rights import Agent, named_secrets
    from agent.reconcile.leadership.candidates import leases

    settings, election = config.agent, config.leader_election
    return Agent(
        settings.name,
        settings.namespace,
        namespace,
        account=account or settings.name,
        lease_namespace=election.namespace or namespace,
        leases=tuple(leases(config)) if election.enabled else (),
        secrets=named_secrets(config.tracks),
    )


async def _survey(config: Config, kinds: list[str], *, account: str | None) -> Survey:
    from agent.cli import cluster
    from agent.reconcile.inquiry.needs import Surveyor
    from agent.reconcile.inquiry.rehearsal import rehearsing

    async with (
        cluster.connected(config, dry_run=True) as there,
        rehearsing(
            config, there.client, environment=os.environ, state_namespace=there.namespace
        ) as rehearser,
    ):
        surveyor = Surveyor(there.client, rehearser, there.agent, there.namespace)
        with output.progress("looking through the repositories"):
            found = await surveyor.survey(config.tracks, more=kinds)
    agent = account_of(config, there.namespace, account=account)
    return Survey.of(agent, found.needs, found.problems)


def _write(found: Survey) -> None:
    import yaml

    if found.remarks:
        output.write(found.remarks)
    documents = [
        yaml.safe_dump(role, sort_keys=False, default_flow_style=False) for role in found.roles
    ]
    output.write("---\n".join(documents).rstrip())
