"""The kinds of the oracle: how each is named, shaped and served.

Strings may hold ``NS``, which becomes the namespace of the side: that is how the names of
cluster-scoped objects differ between the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from agent.manifest.keys import GroupVersionKind, JSONObject
from tests.integration.oracle import core, customs, policies, workloads
from tests.integration.oracle.pods import WORDS
from tests.integration.oracle.shapes import Pick, Record, Subset, Words, fixed

_LABEL = Pick(("", *WORDS))
_METADATA = Record(
    # One label is always there: what happens without one, see test_better_than_kubectl.
    {
        "labels": Record(
            {"of": fixed("git")},
            {"app": _LABEL, "tier": _LABEL, "team": _LABEL, "a.example/b": _LABEL},
        )
    },
    {
        "annotations": Words(("note", "a.example/note"), ("", "1", '{"a": "<b>"}', "ü\nü")),
        "finalizers": Subset(("example.com/a", "example.com/b", "example.com/c")),
    },
    odds=0.4,
)


@dataclass(frozen=True, eq=False)
class Kind:
    """One kind; ``share`` is how many triples it gets beside the others."""

    gvk: GroupVersionKind
    body: Record
    share: int = 2
    namespaced: bool = True

    @property
    def name(self) -> str:
        """The kind's own name; no two here have the same."""
        return self.gvk.kind

    def draw(self, rng: Random, *, number: int) -> JSONObject:
        """Return an object as git has it first."""
        said = {"metadata": _METADATA.draw(rng), **self.body.draw(rng)}
        return self.named(number, said)

    def redraw(self, rng: Random, old: JSONObject, *, number: int) -> JSONObject:
        """Return the object as git has it next."""
        fields = {
            name: old[name] for name in old if name in (*self.body.required, *self.body.optional)
        }
        metadata = _METADATA.redraw(rng, old["metadata"])
        return self.named(number, {"metadata": metadata, **self.body.redraw(rng, fields)})

    def named(self, number: int, said: JSONObject) -> JSONObject:
        """Return an object that says this beside its kind and name."""
        where = {"namespace": "NS"} if self.namespaced else {}
        metadata = {"name": self.object_name(number), **where, **said.get("metadata", {})}
        body = _numbered(said, number)
        kind = {"apiVersion": self.gvk.api_version, "kind": self.gvk.kind}
        return {**kind, **body, "metadata": metadata}

    def object_name(self, number: int) -> str:
        """Return the name of one object; it says which triple it belongs to."""
        if self.name == "CustomResourceDefinition":
            return f"things{number}.NS.example.com"
        return f"{self.name.lower()}-{number}" + ("" if self.namespaced else "-NS")


def _numbered(value: Any, number: int) -> Any:
    """Put the number where a body says ``#``: kinds and plurals of a CRD are unique."""
    if isinstance(value, dict):
        return {key: _numbered(item, number) for key, item in value.items()}
    if isinstance(value, list):
        return [_numbered(item, number) for item in value]
    return value.replace("#", str(number)) if isinstance(value, str) else value


def _kind(
    api_version: str, name: str, body: Record, *, share: int = 2, namespaced: bool = True
) -> Kind:
    return Kind(GroupVersionKind.parse(api_version, name), body, share, namespaced)


KINDS = (
    _kind("apps/v1", "Deployment", workloads.DEPLOYMENT, share=6),
    _kind("apps/v1", "StatefulSet", workloads.STATEFUL_SET, share=4),
    _kind("apps/v1", "DaemonSet", workloads.DAEMON_SET, share=4),
    _kind("apps/v1", "ReplicaSet", workloads.REPLICA_SET),
    _kind("batch/v1beta1", "CronJob", workloads.CRON_JOB, share=4),
    _kind("batch/v1", "Job", workloads.JOB),
    _kind("v1", "Service", core.SERVICE, share=5),
    _kind("v1", "ConfigMap", core.CONFIG_MAP, share=3),
    _kind("v1", "Secret", core.SECRET, share=4),
    _kind("v1", "ServiceAccount", core.SERVICE_ACCOUNT, share=3),
    _kind("v1", "PersistentVolumeClaim", core.VOLUME_CLAIM),
    _kind("v1", "Endpoints", core.ENDPOINTS),
    _kind("rbac.authorization.k8s.io/v1", "Role", policies.ROLE),
    _kind("rbac.authorization.k8s.io/v1", "RoleBinding", policies.ROLE_BINDING),
    _kind("rbac.authorization.k8s.io/v1", "ClusterRole", policies.ROLE, namespaced=False),
    _kind("networking.k8s.io/v1", "Ingress", policies.INGRESS, share=3),
    _kind("networking.k8s.io/v1", "NetworkPolicy", policies.NETWORK_POLICY, share=3),
    _kind("autoscaling/v2beta2", "HorizontalPodAutoscaler", policies.AUTOSCALER, share=3),
    _kind("policy/v1beta1", "PodDisruptionBudget", policies.BUDGET),
    _kind(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        customs.CRD,
        share=1,
        namespaced=False,
    ),
    _kind(f"{customs.WIDGET_GROUP}/v1", "Widget", customs.WIDGET, share=5),
)
