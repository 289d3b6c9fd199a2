"""The rights that an agent needs, as RBAC objects. Pure.

Verbs are those of its requests: it lists and watches what carries its label, reads an object before
it changes it, creates, patches, and deletes where it prunes or recreates. It never updates (PUT)
anything but its Lease, and never deletes collections.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from itertools import groupby
from typing import Final

from agent.config.model import Place, Track, Verify, VerifyKeys
from agent.manifest.keys import JSONObject

RBAC: Final = "rbac.authorization.k8s.io"

_VERBS: Final = ("get", "list", "watch", "create", "patch")
_STATE_RULES: Final[tuple[tuple[str, str, tuple[str, ...]], ...]] = (
    ("", "configmaps", ("get", "list", "watch", "create", "patch")),
    ("", "events", ("create", "patch")),
)


@dataclass(frozen=True, slots=True, order=True)
class Need:
    """A kind that the agent manages, by API group and plural; ``deletes`` if it may delete one."""

    group: str
    plural: str
    deletes: bool


@dataclass(frozen=True, slots=True)
class Agent:
    """Whose rights they are.

    ``namespace`` is the one it is restricted to, "" for the whole cluster; ``account`` is its
    service account in ``state_namespace``, where its ConfigMaps are. ``leases`` are the Leases in
    ``lease_namespace`` that it campaigns for, ``secrets`` namespace and name of what it reads
    credentials from.
    """

    name: str
    namespace: str
    state_namespace: str
    account: str
    lease_namespace: str = ""
    leases: tuple[str, ...] = ()
    secrets: frozenset[tuple[str, str]] = frozenset()


def roles(agent: Agent, needs: Iterable[Need]) -> list[JSONObject]:
    """Return the roles and their bindings, in the order in which they can be applied."""
    rules = _rules(needs)
    made = _pair(agent, agent.name, agent.namespace, rules) if rules else []
    made += _pair(agent, f"{agent.name}-state", agent.state_namespace, _state_rules())
    if agent.leases:
        name = f"{agent.name}-leader-election"
        made += _pair(agent, name, agent.lease_namespace, _lease_rules(agent.leases))
    for namespace in sorted({namespace for namespace, _ in agent.secrets}):
        names = sorted(name for where, name in agent.secrets if where == namespace)
        rule = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": names}
        made += _pair(agent, f"{agent.name}-credentials", namespace, [{**rule, "verbs": ["get"]}])
    return made


def named_secrets(tracks: Iterable[Track]) -> frozenset[tuple[str, str]]:
    """Return namespace and name of each Secret that tracks read credentials or public keys from."""
    found = [value for track in tracks for value in places_of(track)]
    return frozenset((p.secret_namespace, p.secret_name) for p in found if p.secret_name)


def places_of(value: Track | Place | Verify) -> Iterator[Place | VerifyKeys]:
    """Walk through the places in a track, and those in a place."""
    for part in (getattr(value, field.name) for field in fields(value)):
        if isinstance(part, Place | VerifyKeys):
            yield part
        if isinstance(part, Place | Verify):
            yield from places_of(part)


def merged(needs: Iterable[Need]) -> list[Need]:
    """Return each kind once; it is deleted if one of them says so."""
    found: dict[tuple[str, str], bool] = {}
    for need in needs:
        place = (need.group, need.plural)
        found[place] = found.get(place, False) or need.deletes
    return sorted(Need(*place, deletes) for place, deletes in found.items())


def _rules(needs: Iterable[Need]) -> list[JSONObject]:
    """Return one rule for each group and set of verbs."""

    def group_and_verbs(need: Need) -> tuple[str, bool]:
        return need.group, need.deletes

    return [
        {
            "apiGroups": [group],
            "resources": [need.plural for need in found],
            "verbs": [*_VERBS, "delete"] if deletes else [*_VERBS],
        }
        for (group, deletes), found in groupby(
            sorted(merged(needs), key=group_and_verbs), key=group_and_verbs
        )
    ]


def _state_rules() -> list[JSONObject]:
    return [
        {"apiGroups": [group], "resources": [plural], "verbs": list(verbs)}
        for group, plural, verbs in _STATE_RULES
    ]


def _lease_rules(names: Iterable[str]) -> list[JSONObject]:
    """Return the rules for these Leases; a create cannot be limited to names."""
    leases: JSONObject = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"]}
    return [
        {**leases, "resourceNames": sorted(names), "verbs": ["get", "update"]},
        {**leases, "verbs": ["create"]},
    ]


def _pair(agent: Agent, name: str, namespace: str, rules: list[JSONObject]) -> list[JSONObject]:
    """Return a role and its binding, for one namespace or, with "", the cluster."""
    kind = "Role" if namespace else "ClusterRole"
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    subject = {
        "kind": "ServiceAccount",
        "name": agent.account,
        "namespace": agent.state_namespace,
    }
    return [
        {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": dict(metadata), "rules": rules},
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": f"{kind}Binding",
            "metadata": dict(metadata),
            "roleRef": {"apiGroup": RBAC, "kind": kind, "name": name},
            "subjects": [subject],
        },
    ]
