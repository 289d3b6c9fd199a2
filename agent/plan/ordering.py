"""In which order kinds are applied; prune runs in reverse.

Order shortens the way to convergence; retries are what guarantees it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from agent.manifest.keys import GroupKind

T = TypeVar("T")

NAMESPACE = GroupKind("", "Namespace")
CUSTOM_RESOURCE_DEFINITION = GroupKind("apiextensions.k8s.io", "CustomResourceDefinition")

_RBAC_GROUP = "rbac.authorization.k8s.io"

_STAGES: tuple[frozenset[GroupKind], ...] = (
    frozenset({NAMESPACE}),
    frozenset({CUSTOM_RESOURCE_DEFINITION}),
    frozenset(
        {
            GroupKind("", "ServiceAccount"),
            GroupKind(_RBAC_GROUP, "ClusterRole"),
            GroupKind(_RBAC_GROUP, "Role"),
            GroupKind(_RBAC_GROUP, "ClusterRoleBinding"),
            GroupKind(_RBAC_GROUP, "RoleBinding"),
            GroupKind("policy", "PodSecurityPolicy"),
        }
    ),
    frozenset(
        {
            GroupKind("storage.k8s.io", "StorageClass"),
            GroupKind("storage.k8s.io", "CSIDriver"),
            GroupKind("scheduling.k8s.io", "PriorityClass"),
            GroupKind("networking.k8s.io", "IngressClass"),
            GroupKind("node.k8s.io", "RuntimeClass"),
            GroupKind("", "PersistentVolume"),
            GroupKind("", "ResourceQuota"),
            GroupKind("", "LimitRange"),
        }
    ),
    frozenset(
        {
            GroupKind("", "ConfigMap"),
            GroupKind("", "Secret"),
            GroupKind("", "PersistentVolumeClaim"),
            GroupKind("networking.k8s.io", "NetworkPolicy"),
        }
    ),
)
_LAST: frozenset[GroupKind] = frozenset(
    {
        # These stand between everybody else and the API server: what they call must run first.
        GroupKind("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
        GroupKind("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
        GroupKind("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
        GroupKind("apiregistration.k8s.io", "APIService"),
    }
)
_WORKLOADS = len(_STAGES)

_STAGE_OF = {
    **{kind: number for number, kinds in enumerate(_STAGES) for kind in kinds},
    **dict.fromkeys(_LAST, _WORKLOADS + 1),
}


def stage(kind: GroupKind) -> int:
    """Return the stage of a kind, from 0; workloads and custom resources share one."""
    return _STAGE_OF.get(kind, _WORKLOADS)


def stages(items: Iterable[tuple[GroupKind, T]]) -> list[list[T]]:
    """Group items by the stage of their kind, in order; empty stages are left out."""
    grouped: dict[int, list[T]] = {}
    for kind, item in items:
        grouped.setdefault(stage(kind), []).append(item)
    return [grouped[number] for number in sorted(grouped)]
