"""Faros' rules for leaving an object alone, in Faros' order (faros.md section 6)."""

from __future__ import annotations

import pytest

from agent.plan.decide import Policy, reason_to_ignore

DEPLOYMENTS = ("deployments", "apps", "v1")
NAMESPACES = ("namespaces", "", "v1")
NOT_HERE = "namespace `shop` is not managed by this agent"
IGNORED = "resource `deployments.apps/v1` ignored globally by flag"


@pytest.mark.parametrize(
    ("agent_namespace", "ignored", "scope", "namespaced", "reason"),
    [
        ("", [], "cluster", True, ""),
        ("", [], "cluster", False, ""),
        ("shop", [], "shop", True, ""),
        ("other", [], "cluster", True, NOT_HERE),
        ("other", [DEPLOYMENTS], "cluster", True, NOT_HERE),  # the namespace is asked first
        ("", [DEPLOYMENTS], "cluster", True, IGNORED),
        ("", [("deployments", "apps", "v1beta1")], "cluster", True, ""),  # exact version only
        ("", [DEPLOYMENTS], "other", True, IGNORED),  # the flag is asked before the scope
        ("", [], "other", True, "namespace `shop` is not managed by this track"),
        (
            "",
            [],
            "cluster-only",
            True,
            "namespaced resources cannot be managed by a track with scope `cluster-only`",
        ),
        ("", [], "cluster-only", False, ""),
        (
            "",
            [],
            "shop",
            False,
            "a track with scope `shop` cannot manage a cluster-scoped resource",
        ),
        ("shop", [], "cluster", False, ""),
    ],
)
def test_the_first_rule_that_fits_decides(
    agent_namespace: str,
    ignored: list[tuple[str, str, str]],
    scope: str,
    namespaced: bool,
    reason: str,
) -> None:
    policy = Policy(agent_namespace=agent_namespace, ignored=ignored, scope=scope)
    found = reason_to_ignore(
        resource=DEPLOYMENTS if namespaced else NAMESPACES,
        namespaced=namespaced,
        namespace="shop" if namespaced else "",
        policy=policy,
    )
    assert found == reason


def test_an_empty_namespace_never_equals_a_scope() -> None:
    policy = Policy(agent_namespace="", ignored=[], scope="shop")
    reason = reason_to_ignore(resource=DEPLOYMENTS, namespaced=True, namespace="", policy=policy)
    assert reason == "namespace `` is not managed by this track"


def test_the_core_group_is_named_by_a_trailing_dot() -> None:
    policy = Policy(agent_namespace="", ignored=[("secrets", "", "v1")], scope="cluster")
    reason = reason_to_ignore(
        resource=("secrets", "", "v1"), namespaced=True, namespace="shop", policy=policy
    )
    assert reason == "resource `secrets./v1` ignored globally by flag"
