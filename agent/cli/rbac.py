"""``lightkeeper rbac``: the least rights that this configuration needs, ready for kubectl apply.

Prints and grants nothing. The JSON is a ``v1`` List of the same objects.
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from agent.cli import options, output

if TYPE_CHECKING:
    from agent.config.model import Config
    from agent.manifest.keys import JSONObject
    from agent.plan.rights import Agent
    from agent.reconcile.needs import Found

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
    parser.add_argument(
        "--kinds",
        action="append",
        default=[],
        metavar="KIND",
        help="a kind that git will have one day, as kubectl takes it; repeatable",
    )
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
    from agent.plan.rights import RBAC, roles

    options.quiet(args)
    config = cluster.with_kubeconfig(options.load_config(args), os.environ)
    kinds = [kind for text in args.kinds for kind in text.split(",") if kind]
    agent, found = cluster.run(_survey(config, kinds, account=args.service_account))
    made = roles(agent, found.needs)
    if args.output == "json":
        output.write_json({"apiVersion": "v1", "kind": "List", "items": made})
    else:
        _write(made, escalation=any(need.group == RBAC for need in found.needs))
    output.flush()
    for problem in found.problems:
        output.complain(problem)
    return INCOMPLETE if found.problems else COMPLETE


async def _survey(config: Config, kinds: list[str], *, account: str | None) -> tuple[Agent, Found]:
    from agent.cli import cluster
    from agent.plan.rights import Agent, named_secrets
    from agent.reconcile.candidates import leases
    from agent.reconcile.needs import Surveyor
    from agent.reconcile.rehearsal import rehearsing

    async with (
        cluster.connected(config, dry_run=True) as there,
        rehearsing(
            config, there.client, environment=os.environ, state_namespace=there.namespace
        ) as rehearser,
    ):
        surveyor = Surveyor(there.client, rehearser, there.agent, there.namespace)
        with output.progress("looking through the repositories"):
            found = await surveyor.survey(config.tracks, more=kinds)
    settings, election = config.agent, config.leader_election
    agent = Agent(
        settings.name,
        settings.namespace,
        there.namespace,
        account=account or settings.name,
        lease_namespace=election.namespace or there.namespace,
        leases=tuple(leases(config)) if election.enabled else (),
        secrets=named_secrets(config.tracks),
    )
    return agent, found


def _write(roles: list[JSONObject], *, escalation: bool) -> None:
    import yaml

    if escalation:
        output.write(_ESCALATION)
    documents = [yaml.safe_dump(role, sort_keys=False, default_flow_style=False) for role in roles]
    output.write("---\n".join(documents).rstrip())
