"""Which update strategy a manifest asks for, and which tool an object belongs to."""

from __future__ import annotations

from typing import Any

import pytest

from agent.plan.errors import PlanError
from agent.plan.foreign import manager_of
from agent.plan.strategy import UpdateStrategy, strategy_of

OURS = "lightkeeper.dev/update-strategy"
FAROS = "faros.pusher.com/update-strategy"


def annotated(**annotations: str) -> dict[str, Any]:
    return {"metadata": {"name": "a", "annotations": annotations}}


@pytest.mark.parametrize(
    ("annotations", "strategy"),
    [
        ({}, "update"),
        ({OURS: "update"}, "update"),
        ({OURS: "never"}, "never"),
        ({OURS: "recreate"}, "recreate"),
        ({FAROS: "never"}, "never"),
        ({OURS: "never", FAROS: "never"}, "never"),
    ],
)
def test_both_annotations_count_with_exact_values(
    annotations: dict[str, str], strategy: str
) -> None:
    assert strategy_of(annotated(**annotations)) is UpdateStrategy(strategy)


def test_without_annotations_it_is_update() -> None:
    assert strategy_of({"metadata": {"name": "a"}}) is UpdateStrategy.UPDATE


@pytest.mark.parametrize("value", ["Never", "", "delete", " update"])
@pytest.mark.parametrize("name", [OURS, FAROS])
def test_anything_else_is_an_error_that_lists_what_there_is(name: str, value: str) -> None:
    with pytest.raises(PlanError, match=f"invalid update strategy: {value} .*{name}.*never"):
        strategy_of(annotated(**{name: value}))


def test_annotations_that_disagree_are_an_error() -> None:
    with pytest.raises(PlanError, match="disagree"):
        strategy_of(annotated(**{OURS: "never", FAROS: "update"}))


@pytest.mark.parametrize(
    ("section", "name", "tool"),
    [
        ("labels", "kustomize.toolkit.fluxcd.io/name", "Flux Kustomization 'x'"),
        ("labels", "helm.toolkit.fluxcd.io/name", "Flux HelmRelease 'x'"),
        ("labels", "argocd.argoproj.io/instance", "Argo CD application 'x'"),
        ("annotations", "argocd.argoproj.io/tracking-id", "Argo CD application 'x'"),
        ("annotations", "meta.helm.sh/release-name", "Helm release 'x'"),
        ("labels", "kapp.k14s.io/app", "kapp app 'x'"),
        ("annotations", "configsync.gke.io/resource-id", "Config Sync 'x'"),
        ("labels", "applyset.kubernetes.io/part-of", "ApplySet x"),
    ],
)
def test_other_tools_are_told_by_their_marks(section: str, name: str, tool: str) -> None:
    live = {"metadata": {"name": "a", section: {name: "x"}}}
    plain: dict[str, Any] = {"metadata": {"name": "a"}}
    assert manager_of(live, desired=plain, applyset="ours").startswith(tool)
    if name != "applyset.kubernetes.io/part-of":
        assert manager_of(live, desired=live, applyset="ours") == "", "git writes the mark itself"


def test_our_own_applyset_and_common_labels_are_nobodys() -> None:
    labels = {"applyset.kubernetes.io/part-of": "ours", "app.kubernetes.io/managed-by": "Helm"}
    live = {"metadata": {"name": "a", "labels": labels}}
    assert manager_of(live, desired={"metadata": {}}, applyset="ours") == ""
