"""Kinds as a person names them."""

from __future__ import annotations

import pytest

from agent.kube.resource import Resource


def resource(group: str, kind: str, plural: str, *short: str) -> Resource:
    return Resource(group, "v1", kind, plural, True, frozenset(), False, short)


DEPLOYMENT = resource("apps", "Deployment", "deployments", "deploy")
CONFIG_MAP = resource("", "ConfigMap", "configmaps", "cm")
CASES = [
    (DEPLOYMENT, "Deployment", True),
    (DEPLOYMENT, "deployments", True),
    (DEPLOYMENT, "DEPLOY", True),
    (DEPLOYMENT, "deployment.apps", True),
    (DEPLOYMENT, "deploy.v1.apps", True),
    (DEPLOYMENT, "deployment.extensions", False),
    (DEPLOYMENT, "deployments.v2.apps", False),
    (DEPLOYMENT, "dep", False),
    (DEPLOYMENT, "", False),
    (CONFIG_MAP, "cm", True),
    (CONFIG_MAP, "configmap.v1", True),
    (CONFIG_MAP, "configmap.apps", False),
]


@pytest.mark.parametrize(("kind", "text", "expected"), CASES, ids=[text for _, text, _ in CASES])
def test_a_kind_is_called(kind: Resource, text: str, expected: bool) -> None:
    assert kind.is_called(text) is expected


def test_short_names_make_no_other_kind_of_it() -> None:
    assert resource("", "ConfigMap", "configmaps") == CONFIG_MAP
