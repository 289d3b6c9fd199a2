"""How a configuration runs in a shape: what has to be different there, and why.

The file itself stays as it is. What must be otherwise is a flag, which wins over it, with the
reason beside it; what cannot be put right by one is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Final

from agent.config.model import Agent, Config
from agent.config.serving import DISABLED, BindAddress, parse_bind_address
from agent.plan.errors import PlanError
from agent.plan.install.outside import named

FOLDER: Final = Path("/etc/lightkeeper")
"""Where the configuration lies; its relative paths start here."""

FILE: Final = FOLDER / "config.toml"
"""The configuration, in every shape."""

STATE: Final = Path("/var/lib/lightkeeper")
"""The folder that systemd makes for the service."""

KUBECONFIG: Final = FOLDER / "kubeconfig"
"""The way to the cluster from a machine, where the configuration names none."""

NAMESPACE: Final = "lightkeeper"
"""Where the agent lives, unless the configuration names a namespace."""

_PROBED_INSIDE: Final = "127.0.0.1:8081"
_EVERY_INTERFACE: Final = ("", "0.0.0.0", "::")  # noqa: S104  # asked about, not listened on
_METRICS: Final = Agent.__dataclass_fields__["metrics_bind_address"].default


class Mode(StrEnum):
    """The shapes."""

    DEPLOYMENT = "deployment"
    """Two replicas, one of which writes."""
    DAEMONSET = "daemonset"
    """One a node, with a folder of the node that outlives it."""
    SIDECAR = "sidecar"
    """Beside an application, in its Pod, with rights in its namespace only."""
    SYSTEMD = "systemd"
    """A service of a machine."""


class CannotInstall(PlanError):
    """A configuration does not go with a shape; says what to change."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag, and why it is there; "" for one that a person gave."""

    text: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Settled:
    """A configuration in a shape.

    ``config`` is what the flags make of the file there. ``own_namespace`` says that nobody but the
    agent lives in ``namespace``, so that it is made with it.
    """

    mode: Mode
    config: Config
    flags: tuple[Flag, ...]
    namespace: str
    own_namespace: bool

    @property
    def name(self) -> str:
        """What everything is called."""
        return self.config.agent.name

    @property
    def health(self) -> BindAddress | None:
        """Where health is served; never None in a Pod."""
        return parse_bind_address(self.config.agent.health_bind_address)

    @property
    def metrics(self) -> BindAddress | None:
        """Where metrics are served, None for nowhere."""
        return parse_bind_address(self.config.agent.metrics_bind_address)


def settled(config: Config, mode: Mode, flags: tuple[str, ...] = ()) -> Settled:
    """Return how a configuration runs in a shape. ``flags`` are given, and in ``config`` already.

    ``config`` has been read as if it lay in FOLDER, without an environment.
    Raises CannotInstall.
    """
    _check_paths(config)
    agent = config.agent
    given = tuple(map(Flag, flags))
    if mode is Mode.SYSTEMD:
        changed, more = _on_a_machine(config)
        return Settled(mode, changed, (*given, *more), agent.state_namespace, False)
    namespace = agent.state_namespace or agent.namespace or NAMESPACE
    if mode is Mode.SIDECAR:
        _check_sidecar(config, namespace)
    changed, more = _in_a_pod(config, mode)
    kept = tuple(flag for flag in given if _key(flag) not in map(_key, more))
    own = not agent.state_namespace and not agent.namespace
    return Settled(mode, changed, (*kept, *more), namespace, own)


def reaches_everyone(address: BindAddress | None) -> bool:
    """Tell whether an address is one that others reach at the Pod's own."""
    return address is not None and address.host.strip("[]") in _EVERY_INTERFACE


def _in_a_pod(config: Config, mode: Mode) -> tuple[Config, tuple[Flag, ...]]:
    """Return what has to differ in a Pod, and the flags that say so."""
    agent, election = config.agent, config.leader_election
    flags = list(_ways_to_the_cluster(agent))
    agent = replace(agent, kubeconfig=None, context="")
    if not election.enabled:
        election = replace(election, enabled=True)
        flags.append(Flag("--leader-election", f"Off in the file, but {_WRITERS[mode]}."))
    if agent.health_bind_address == DISABLED:
        agent = replace(agent, health_bind_address=_PROBED_INSIDE)
        why = "Off in the file, but the probes have to ask; nobody outside of the Pod can."
        flags.append(Flag(f"--health-bind-address={_PROBED_INSIDE}", why))
    if mode is Mode.SIDECAR and agent.metrics_bind_address == _METRICS:
        agent = replace(agent, metrics_bind_address=DISABLED)
        why = "The containers of a Pod share its ports, and 8080 is often the main one's."
        flags.append(Flag("--metrics-bind-address=0", why))
    return replace(config, agent=agent, leader_election=election), tuple(flags)


_WRITERS: Final = {
    Mode.DEPLOYMENT: "of two replicas one must write",
    Mode.DAEMONSET: "of all nodes one must write",
    Mode.SIDECAR: "a rollout has two Pods for a while, and one must write",
}


def _ways_to_the_cluster(agent: Agent) -> Iterator[Flag]:
    why = "The file's is for another place: a Pod has its service account."
    if agent.kubeconfig is not None:
        yield Flag("--kubeconfig=", why)
    if agent.context:
        yield Flag("--context=", why)


def _on_a_machine(config: Config) -> tuple[Config, tuple[Flag, ...]]:
    """Return what has to differ in a service of a machine, and the flags that say so."""
    agent, flags = config.agent, []
    if agent.kubeconfig is None:
        agent = replace(agent, kubeconfig=KUBECONFIG)
        why = "The file names none, and a service has no home directory to look in."
        flags.append(Flag(f"--kubeconfig={KUBECONFIG}", why))
    if agent.state_dir != STATE:
        agent = replace(agent, state_dir=STATE)
        flags.append(Flag(f"--state-dir={STATE}", "The folder that systemd makes for it."))
    return replace(config, agent=agent), tuple(flags)


def _check_sidecar(config: Config, namespace: str) -> None:
    agent, leases = config.agent, config.leader_election.namespace
    if not agent.namespace:
        raise CannotInstall(
            "a sidecar has rights in its own namespace only, and agent.namespace is not set: set "
            'namespace = "…" in [agent], or give --namespace'
        )
    for key, other in (("agent.state-namespace", namespace), ("leader-election.namespace", leases)):
        if other and other != agent.namespace:
            raise CannotInstall(
                f"a sidecar has rights in its own namespace only: {key} is {other}, and "
                f"agent.namespace {agent.namespace}; leave the first out"
            )
    if agent.metrics_authorization:
        raise CannotInstall(
            "a sidecar has rights in its own namespace only, and metrics-authorization needs one "
            "in the whole cluster: switch it off, or give --metrics-authorization=false"
        )


def _check_paths(config: Config) -> None:
    """Refuse home directories: they are of the machine where the file was written."""
    outside = named(config)
    paths = (*outside.files, *outside.folders, config.agent.state_dir)
    for path in paths:
        if "~" in path.parts:
            text = path.relative_to(FOLDER) if path.is_relative_to(FOLDER) else path
            raise CannotInstall(
                f"{text}: there is no home directory where the agent will run; write the path "
                "that it has there"
            )


def _key(flag: Flag) -> str:
    return flag.text.partition("=")[0].replace("--no-", "--", 1)
