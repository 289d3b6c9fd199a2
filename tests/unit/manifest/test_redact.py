from __future__ import annotations

import copy

import pytest

from agent.manifest.marks import LAST_APPLIED_ANNOTATIONS
from agent.manifest.redact import MASK, redact, without_values


def secret() -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "a", "annotations": {"x": "y"}},
        "data": {"password": "aHVudGVyMg==", "empty": None},
        "stringData": {"token": "hunter2"},
        "type": "Opaque",
    }


def test_values_of_secrets_are_masked_and_keys_stay() -> None:
    shown = redact(secret())
    assert shown["data"] == {"password": MASK, "empty": MASK}
    assert shown["stringData"] == {"token": MASK}
    assert (shown["type"], shown["metadata"]) == ("Opaque", secret()["metadata"])


@pytest.mark.parametrize("annotation", LAST_APPLIED_ANNOTATIONS)
def test_last_applied_annotations_are_left_out(annotation: str) -> None:
    obj = {"kind": "Foo", "metadata": {"annotations": {annotation: "hunter2", "x": "y"}}}
    assert redact(obj) == {"kind": "Foo", "metadata": {"annotations": {"x": "y"}}}


@pytest.mark.parametrize("kind", ["List", "SecretList"])
def test_secrets_in_lists_are_masked(kind: str) -> None:
    item = secret()
    if kind == "SecretList":
        del item["kind"]
    assert "hunter2" not in str(redact({"kind": kind, "items": [item, "x"]}))


@pytest.mark.parametrize("data", ["hunter2", ["hunter2"], 5])
def test_data_that_is_no_mapping_is_masked_whole(data: object) -> None:
    assert redact({"kind": "Secret", "data": data})["data"] == MASK


@pytest.mark.parametrize(
    "data", ["hunter2", ["hunter2"], {"a": {"b": ["hunter2"]}}, {"a": "hunter2", "b": None}, 1.5]
)
@pytest.mark.parametrize("field", ["data", "stringData"])
def test_no_value_of_a_secret_of_any_shape_stays_in_a_text(data: object, field: str) -> None:
    told = without_values("cannot read 'hunter2' or 1.5", {"kind": "Secret", field: data})
    shown = "1.5" if data == 1.5 else "hunter2"
    assert told == "cannot read 'hunter2' or 1.5".replace(shown, MASK)


def test_other_objects_are_shown_as_they_are() -> None:
    obj = {"kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "b"}}
    assert redact(obj) == obj
    assert redact({"kind": "Secret", "data": None, "metadata": None})["data"] is None


def test_the_object_itself_is_not_changed() -> None:
    obj = secret()
    before = copy.deepcopy(obj)
    redact(obj)
    assert obj == before
