"""Our marks: what they say, and what does not count as one."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from agent.manifest import marks
from agent.manifest.keys import ObjectKey
from agent.plan.ownership import (
    Owner,
    applyset_id,
    key_of,
    live_digest,
    mark,
    owner_of,
    project,
)

KEY = ObjectKey("apps", "Deployment", "shop", "web")
OWNER = Owner("lightkeeper", "platform", "default", "applyset-x-v1")
DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}},
    "spec": {"replicas": 2},
}


def live(**metadata: Any) -> dict[str, Any]:
    obj = mark(DEPLOYMENT, owner=OWNER, key=KEY)
    obj["metadata"].update({"uid": "u1", "resourceVersion": "7"} | metadata)
    return obj


def test_the_applyset_id_is_the_keps() -> None:
    # KEP-3659: "applyset-" + base64url(sha256("<name>.<namespace>.<kind>.<group>")) + "-v1";
    # the digest of "lightkeeper.demo.default.ConfigMap." computed with openssl.
    assert (
        applyset_id(name="lightkeeper.demo", namespace="default")
        == "applyset-TSdBzrmDQWr9zKU7FcxcOf8OA_3_rqcvKWv6xJ9Gs-g-v1"
    )


def test_marking_adds_two_labels_and_an_annotation_and_leaves_its_input_alone() -> None:
    before = copy.deepcopy(DEPLOYMENT)
    marked = mark(DEPLOYMENT, owner=OWNER, key=KEY)
    assert before == DEPLOYMENT
    assert marked["metadata"]["labels"] == {
        "app": "web",
        marks.APPLYSET_PART_OF: "applyset-x-v1",
        marks.AGENT: "lightkeeper",
    }
    assert marked["metadata"]["annotations"] == {
        marks.OWNER: "default/lightkeeper.platform Deployment.apps shop/web"
    }
    assert marked["spec"] == {"replicas": 2}


def test_a_marked_object_is_its_tracks() -> None:
    assert owner_of(live(), key=KEY) == "default/lightkeeper.platform"
    assert key_of(live()) == KEY


@pytest.mark.parametrize(
    "other",
    [
        KEY._replace(name="copy"),
        KEY._replace(namespace="other"),
        KEY._replace(kind="StatefulSet"),
        KEY._replace(group="extensions"),
    ],
    ids=str,
)
def test_a_copy_that_carries_the_marks_of_its_original_is_nobodys(other: ObjectKey) -> None:
    assert owner_of(live(), key=other) == ""


def test_an_object_whose_labels_were_stripped_is_still_its_tracks() -> None:
    assert owner_of(live(labels={}), key=KEY) == "default/lightkeeper.platform"


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"resourceVersion": "8"}, True),
        ({"generation": 3}, True),
        ({"managedFields": [{"manager": "kubectl"}]}, True),
        ({"creationTimestamp": "2026-01-01T00:00:00Z"}, True),
        ({"labels": {}}, False),
        ({"finalizers": ["x/y"]}, False),
        ({"deletionTimestamp": "2026-01-01T00:00:00Z"}, False),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_volatile_metadata_does_not_count_as_a_difference(
    change: dict[str, Any], same: bool
) -> None:
    digests = [live_digest(obj, has_status=True) for obj in (live(), live(**change))]
    assert (digests[0] == digests[1]) is same


def test_status_counts_only_where_it_is_no_subresource() -> None:
    with_status = {**live(), "status": {"replicas": 1}}
    assert live_digest(with_status, has_status=True) == live_digest(live(), has_status=True)
    assert live_digest(with_status, has_status=False) != live_digest(live(), has_status=False)


def test_a_record_says_who_what_and_whether_it_is_on_its_way_out() -> None:
    record = project(live(deletionTimestamp="2026-01-01T00:00:00Z"), has_status=True)
    assert (record.key, record.uid, record.resource_version) == (KEY, "u1", "7")
    assert record.owner == "default/lightkeeper.platform"
    assert record.deleting
