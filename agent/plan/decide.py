"""Whether a track manages an object at all: Faros' rules in Faros' order (faros.md section 6).

Ignoring is not deleting: an ignored object keeps its place in git's set of identities, so it is
never pruned, and the live object is left as it is.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

CLUSTER = "cluster"
CLUSTER_ONLY = "cluster-only"

IgnoredResource = tuple[str, str, str]
"""(plural, group, version), as ``ignore-resources`` names it."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What limits a track: the agent's namespace and ignore list, the track's scope."""

    agent_namespace: str
    ignored: Collection[IgnoredResource]
    scope: str


def reason_to_ignore(
    *, resource: IgnoredResource, namespaced: bool, namespace: str, policy: Policy
) -> str:
    """Return why an object of a known kind is not managed, or "" when it is.

    ``resource`` is the exact plural, group and version that the manifest resolves to.
    """
    if namespaced and policy.agent_namespace and namespace != policy.agent_namespace:
        return f"namespace `{namespace}` is not managed by this agent"
    if resource in policy.ignored:
        plural, group, version = resource
        return f"resource `{plural}.{group}/{version}` ignored globally by flag"
    return _outside_scope(namespaced=namespaced, namespace=namespace, scope=policy.scope)


def _outside_scope(*, namespaced: bool, namespace: str, scope: str) -> str:
    if scope == CLUSTER:
        return ""
    if scope == CLUSTER_ONLY:
        if namespaced:
            return "namespaced resources cannot be managed by a track with scope `cluster-only`"
        return ""
    if not namespaced:
        return f"a track with scope `{scope}` cannot manage a cluster-scoped resource"
    if namespace != scope:
        return f"namespace `{namespace}` is not managed by this track"
    return ""
