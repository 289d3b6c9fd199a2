"""The strategic merge, feature by feature."""

from __future__ import annotations

import pytest

from agent.manifest.keys import GroupVersionKind, JSONObject
from agent.plan.merge import STRATEGIC_MERGE_PATCH, MergeError, Patch, preview, three_way
from tests.unit.plan.merge.cases import DEPLOYMENT, SERVICE, STRATEGIC_CASES, Case

CRD = GroupVersionKind("apiextensions.k8s.io", "v1", "CustomResourceDefinition")


@pytest.mark.parametrize("case", STRATEGIC_CASES, ids=str)
def test_patch_is_as_expected(case: Case) -> None:
    patch = three_way(
        gvk=case.gvk, last_applied=case.last_applied, desired=case.desired, live=case.live
    )
    assert patch == Patch(STRATEGIC_MERGE_PATCH, case.patch)


@pytest.mark.parametrize("case", STRATEGIC_CASES, ids=str)
def test_preview_is_the_expected_result(case: Case) -> None:
    patch = Patch(STRATEGIC_MERGE_PATCH, case.patch)
    assert preview(patch, gvk=case.gvk, live=case.live) == case.result


def _service(ports: list[JSONObject]) -> JSONObject:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"ports": ports},
    }


@pytest.mark.parametrize(
    ("desired", "live", "message"),
    [
        ([{"port": 1}, {"name": "x"}], [{"port": 1}], r"spec\.ports\[1\] of the desired .* 'port'"),
        ([{"port": 1}], [{"name": "x"}], r"spec\.ports\[0\] of the live object has no 'port'"),
        (["http"], [{"port": 1}], r"spec\.ports\[0\] of the desired object has no 'port'"),
    ],
    ids=["in git", "in the cluster", "not a map"],
)
def test_an_element_without_merge_key_is_an_error_that_names_it(
    desired: list[JSONObject], live: list[JSONObject], message: str
) -> None:
    with pytest.raises(MergeError, match=message):
        three_way(gvk=SERVICE, last_applied=None, desired=_service(desired), live=_service(live))


def test_an_unreadable_element_of_last_applied_is_no_error() -> None:
    live = _service([{"port": 1}])
    last = _service([{"name": "no port"}, "nonsense"])  # type: ignore[list-item]
    assert three_way(gvk=SERVICE, last_applied=last, desired=live, live=live).body == {}


def test_a_map_among_finalizers_is_an_error_that_names_it() -> None:
    desired, live = _service([]), _service([])
    desired["metadata"]["finalizers"] = [{}]
    live["metadata"]["finalizers"] = ["a"]
    with pytest.raises(MergeError, match=r"metadata\.finalizers\[0\] of the desired object"):
        three_way(gvk=SERVICE, last_applied=None, desired=desired, live=live)


@pytest.mark.parametrize(
    "change",
    [{"apiVersion": "apps/v2"}, {"kind": "ReplicaSet"}, {"metadata": {"name": "other"}}],
    ids=["apiVersion", "kind", "name"],
)
def test_two_objects_are_not_merged(change: JSONObject) -> None:
    desired = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
    with pytest.raises(MergeError, match="not the same object"):
        three_way(gvk=DEPLOYMENT, last_applied=None, desired=desired, live={**desired, **change})


def test_a_finalizer_of_others_on_a_crd_stays() -> None:
    # Apart from the cases: kubectl, their judge, takes such a patch to a server only.
    def crd(*finalizers: str) -> JSONObject:
        return {
            "apiVersion": CRD.api_version,
            "kind": CRD.kind,
            "metadata": {"name": "web", "finalizers": list(finalizers)},
        }

    last, desired, live = crd("a/own"), crd("a/own", "a/new"), crd("b/other", "a/own")
    patch = three_way(gvk=CRD, last_applied=last, desired=desired, live=live)
    assert patch.content_type == STRATEGIC_MERGE_PATCH
    assert preview(patch, gvk=CRD, live=live) == crd("b/other", "a/own", "a/new")


def test_a_field_the_schema_does_not_know_merges_as_json() -> None:
    base = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
    patch = three_way(
        gvk=DEPLOYMENT,
        last_applied=None,
        desired={**base, "spec": {"future": {"list": [{"name": "a"}], "x": 1}}},
        live={**base, "spec": {"future": {"list": [{"name": "b"}], "y": 2}}},
    )
    assert patch.body == {"spec": {"future": {"list": [{"name": "a"}], "x": 1}}}
