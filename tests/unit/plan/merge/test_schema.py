"""The table of merge keys, and the same from a server's OpenAPI."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from agent.manifest.keys import GroupVersionKind, JSONObject
from agent.plan.merge import STRATEGIC_MERGE_PATCH, from_openapi, lookup, three_way
from agent.plan.merge.schema import Field, Schema

ROOT = Path(__file__).parents[4]
WIDGET = GroupVersionKind("example.com", "v1", "Widget")

KINDS = [
    "v1 Pod",
    "v1 Service",
    "v1 Secret",
    "v1 Namespace",
    "apps/v1 Deployment",
    "apps/v1 StatefulSet",
    "batch/v1 CronJob",
    "autoscaling/v2 HorizontalPodAutoscaler",
    # Gone since, but served by 1.20.
    "policy/v1beta1 PodDisruptionBudget",
    "policy/v1beta1 PodSecurityPolicy",
    "batch/v1beta1 CronJob",
    "extensions/v1beta1 Ingress",
    "networking.k8s.io/v1beta1 Ingress",
    "networking.k8s.io/v1beta1 IngressClass",
    "autoscaling/v2beta1 HorizontalPodAutoscaler",
    "autoscaling/v2beta2 HorizontalPodAutoscaler",
    "rbac.authorization.k8s.io/v1beta1 ClusterRole",
    "scheduling.k8s.io/v1beta1 PriorityClass",
    "storage.k8s.io/v1beta1 StorageClass",
    "coordination.k8s.io/v1beta1 Lease",
    "certificates.k8s.io/v1beta1 CertificateSigningRequest",
    "flowcontrol.apiserver.k8s.io/v1beta1 FlowSchema",
    "apiextensions.k8s.io/v1 CustomResourceDefinition",
    "apiregistration.k8s.io/v1 APIService",
    # Newer than 1.25.
    "admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy",
    "resource.k8s.io/v1 ResourceClaimTemplate",
    "networking.k8s.io/v1 ServiceCIDR",
]


def _gvk(text: str) -> GroupVersionKind:
    api_version, kind = text.split()
    return GroupVersionKind.parse(api_version, kind)


def _at(schema: Schema | None, path: str) -> Field:
    assert schema is not None
    field = Field(schema)
    for name in path.split("."):
        field = field.schema.field(name)
    return field


@pytest.mark.parametrize("kind", KINDS)
def test_every_built_in_kind_has_the_merge_keys_of_its_metadata(kind: str) -> None:
    schema = lookup(_gvk(kind))
    assert _at(schema, "metadata.ownerReferences").merge_key == "uid"
    assert _at(schema, "metadata.finalizers").merge


@pytest.mark.parametrize(
    "kind",
    [
        "gateway.example.com/v1 Route",
        "apiextensions.k8s.io/v1beta1 CustomResourceDefinition",
        "apps/v1 DeploymentList",
        "apps/v9 Deployment",
    ],
)
def test_other_kinds_have_no_schema(kind: str) -> None:
    assert lookup(_gvk(kind)) is None


POD = "spec.template.spec"
CONTAINER = f"{POD}.containers"


@pytest.mark.parametrize(
    ("kind", "path", "expected"),
    [
        ("apps/v1 Deployment", "spec.strategy", {"retain_keys"}),
        ("apps/v1 Deployment", CONTAINER, {"merge", "name"}),
        ("apps/v1 Deployment", f"{POD}.initContainers", {"merge", "name"}),
        ("apps/v1 Deployment", f"{POD}.volumes", {"merge", "name", "retain_keys"}),
        ("apps/v1 Deployment", f"{CONTAINER}.env", {"merge", "name"}),
        ("apps/v1 Deployment", f"{CONTAINER}.ports", {"merge", "containerPort", "protocol"}),
        ("apps/v1 Deployment", f"{CONTAINER}.volumeMounts", {"merge", "mountPath"}),
        ("apps/v1 Deployment", f"{CONTAINER}.args", set()),
        ("apps/v1 Deployment", f"{CONTAINER}.envFrom", set()),
        ("apps/v1 Deployment", f"{POD}.tolerations", set()),
        ("apps/v1 Deployment", f"{POD}.hostAliases", {"merge", "ip"}),
        ("apps/v1 Deployment", f"{POD}.imagePullSecrets", {"merge", "name"}),
        (
            "apps/v1 Deployment",
            f"{POD}.topologySpreadConstraints",
            {"merge", "topologyKey", "whenUnsatisfiable"},
        ),
        ("batch/v1beta1 CronJob", f"spec.jobTemplate.{CONTAINER}", {"merge", "name"}),
        ("v1 Service", "spec.ports", {"merge", "port", "protocol"}),
        ("v1 ServiceAccount", "secrets", {"merge", "name"}),
        ("v1 Node", "spec.podCIDRs", {"merge"}),
        ("policy/v1 PodDisruptionBudget", "spec.selector", {"replace"}),
        ("policy/v1beta1 PodDisruptionBudget", "spec.selector", set()),
        (
            "admissionregistration.k8s.io/v1 MutatingWebhookConfiguration",
            "webhooks",
            {"merge", "name"},
        ),
        ("networking.k8s.io/v1 Ingress", "spec.rules", set()),
    ],
)
def test_a_field_merges_as_the_api_has_it(kind: str, path: str, expected: set[str]) -> None:
    field = _at(lookup(_gvk(kind)), path)
    flags = {name for name in ("merge", "replace", "retain_keys") if getattr(field, name)}
    assert flags | set(field.map_keys) == expected


def test_a_schema_is_shared() -> None:
    assert lookup(_gvk("apps/v1 Deployment")) is lookup(_gvk("apps/v1 Deployment"))


def test_the_shipped_table_is_what_the_generator_writes() -> None:
    script = ROOT / "packaging" / "mergekeys" / "generate.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr


def _openapi(version: str, patch_types: list[str]) -> JSONObject:
    """Return a document as a server of that OpenAPI version has it, of one kind."""
    prefix = "#/definitions/" if version == "v2" else "#/components/schemas/"
    named = {"group": WIDGET.group, "version": WIDGET.version, "kind": WIDGET.kind}
    to_spec: JSONObject = {"$ref": f"{prefix}com.example.v1.WidgetSpec"}
    if version == "v3":
        to_spec = {"allOf": [to_spec], "default": {}}
    schemas = {
        "com.example.v1.Widget": {
            "properties": {"metadata": {"$ref": f"{prefix}meta.v1.ObjectMeta"}, "spec": to_spec},
            "x-kubernetes-group-version-kind": [named],
        },
        "com.example.v1.WidgetSpec": {
            "properties": {
                "size": {"type": "integer"},
                "parts": {
                    "type": "array",
                    "items": {"$ref": f"{prefix}com.example.v1.WidgetSpec"},
                    "x-kubernetes-list-map-keys": ["id", "side"],
                    "x-kubernetes-patch-merge-key": "id",
                    "x-kubernetes-patch-strategy": "merge",
                },
            }
        },
        "meta.v1.ObjectMeta": {"properties": {"name": {"type": "string"}}},
    }
    operation: JSONObject = {"x-kubernetes-group-version-kind": named}
    if version == "v2":
        operation["consumes"] = patch_types
        return {"definitions": schemas, "paths": {"/widgets/{name}": {"patch": operation}}}
    operation["requestBody"] = {"content": {name: {} for name in patch_types}}
    return {"components": {"schemas": schemas}, "paths": {"/widgets/{name}": {"patch": operation}}}


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_a_servers_openapi_serves_as_well(version: str) -> None:
    schema = from_openapi(_openapi(version, [STRATEGIC_MERGE_PATCH]), WIDGET)
    field = _at(schema, "spec.parts.parts")  # the type contains itself
    assert (field.merge_key, field.map_keys) == ("id", ("id", "side"))
    base = {"apiVersion": "example.com/v1", "kind": "Widget"}
    patch = three_way(
        gvk=WIDGET,
        last_applied=None,
        desired={**base, "spec": {"parts": [{"id": "a"}]}},
        live={**base, "spec": {"parts": [{"id": "b"}]}},
        schema=schema,
    )
    assert patch.content_type == STRATEGIC_MERGE_PATCH
    assert patch.body["spec"]["parts"] == [{"id": "a"}]


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_a_custom_resource_has_no_schema_in_a_servers_openapi(version: str) -> None:
    document = _openapi(version, ["application/merge-patch+json"])
    assert from_openapi(document, WIDGET) is None
