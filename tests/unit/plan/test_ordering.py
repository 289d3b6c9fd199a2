"""The order in which kinds are applied."""

from __future__ import annotations

import random

import pytest

from agent.manifest.keys import GroupKind
from agent.plan import ordering

IN_ORDER = [
    "Namespace",
    "CustomResourceDefinition.apiextensions.k8s.io",
    "ClusterRole.rbac.authorization.k8s.io",
    "PriorityClass.scheduling.k8s.io",
    "ConfigMap",
    "Deployment.apps",
    "ValidatingWebhookConfiguration.admissionregistration.k8s.io",
]


def test_what_others_need_comes_first_and_webhooks_last() -> None:
    kinds = [GroupKind.parse(text) for text in IN_ORDER]
    shuffled = random.Random(1).sample(kinds, len(kinds))
    stages = ordering.stages((kind, str(kind)) for kind in shuffled)
    assert stages == [[kind] for kind in IN_ORDER]


@pytest.mark.parametrize("kind", ["Deployment.apps", "Service", "Gear.example.com"])
def test_workloads_and_unknown_kinds_share_a_stage(kind: str) -> None:
    assert ordering.stage(GroupKind.parse(kind)) == ordering.stage(GroupKind("batch", "Job"))


def test_a_kind_of_the_same_name_in_another_group_is_not_mistaken() -> None:
    knative = GroupKind("networking.internal.knative.dev", "Namespace")
    assert ordering.stage(knative) != ordering.stage(GroupKind("", "Namespace"))


def test_nothing_makes_no_stage() -> None:
    assert ordering.stages([]) == []
