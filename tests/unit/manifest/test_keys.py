from __future__ import annotations

import pytest

from agent.manifest.keys import GroupKind, GroupVersionKind, ObjectKey


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Deployment.apps", GroupKind("apps", "Deployment")),
        ("Role.rbac.authorization.k8s.io", GroupKind("rbac.authorization.k8s.io", "Role")),
        ("Pod", GroupKind("", "Pod")),
    ],
)
def test_a_group_kind_reads_back_from_its_text(text: str, kind: GroupKind) -> None:
    assert GroupKind.parse(text) == kind
    assert str(kind) == text


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [("apps/v1", GroupVersionKind("apps", "v1", "X")), ("v1", GroupVersionKind("", "v1", "X"))],
)
def test_a_kind_reads_back_from_its_api_version(api_version: str, kind: GroupVersionKind) -> None:
    assert GroupVersionKind.of({"apiVersion": api_version, "kind": "X"}) == kind
    assert kind.api_version == api_version
    assert str(kind) == f"{api_version} X"
    assert kind.group_kind == GroupKind(kind.group, "X")


def test_an_object_without_kind_has_an_empty_one() -> None:
    assert GroupVersionKind.of({"apiVersion": None}) == GroupVersionKind("", "", "")


def test_an_object_key_reads_as_people_write_it() -> None:
    assert str(ObjectKey("apps", "Deployment", "shop", "web")) == "Deployment.apps shop/web"
    assert str(ObjectKey("", "Namespace", "", "shop")) == "Namespace shop"


def test_keys_of_the_same_object_share_their_strings() -> None:
    first, second = (
        ObjectKey.of(
            GroupVersionKind.parse("/".join(("apps", "v1")), "".join(("Deploy", "ment"))),
            namespace="".join(("sh", "op")),
            name="".join(("we", "b")),
        )
        for _ in range(2)
    )
    assert first == ("apps", "Deployment", "shop", "web")
    assert [id(part) for part in first] == [id(part) for part in second]


def test_objects_of_one_kind_share_its_value() -> None:
    kinds = [GroupVersionKind.parse("/".join(("apps", "v1")), "Deployment") for _ in range(2)]
    assert kinds[0] is kinds[1]
