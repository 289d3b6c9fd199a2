"""What normalise takes out of an object in git."""

from __future__ import annotations

import base64
import copy
from typing import Any

import pytest

from agent.manifest.keys import GroupVersionKind, JSONObject
from agent.plan.merge import normalise, three_way

SECRET = GroupVersionKind("", "v1", "Secret")


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _secret(**fields: Any) -> JSONObject:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, **fields}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(
            {"stringData": {"a": "x"}}, {"data": {"a": _b64("x")}}, id="stringData moves into data"
        ),
        pytest.param(
            {"data": {"a": _b64("old"), "b": _b64("y")}, "stringData": {"a": "new"}},
            {"data": {"a": _b64("new"), "b": _b64("y")}},
            id="stringData wins",
        ),
        pytest.param(
            {"data": {"a": "eHh4\neHh4\n"}}, {"data": {"a": "eHh4eHh4"}}, id="folded base64"
        ),
        pytest.param({"data": {"a": "?"}}, {"data": {"a": "?"}}, id="what is no base64 stays"),
        pytest.param({"data": {"a": None}}, {"data": {"a": None}}, id="null stays"),
        pytest.param({"stringData": {}}, {}, id="empty stringData goes"),
        pytest.param({"stringData": ["x"]}, {"stringData": ["x"]}, id="the server refuses it"),
        pytest.param(
            {"data": "x", "stringData": {"a": "x"}},
            {"data": "x", "stringData": {"a": "x"}},
            id="the server refuses it, stringData or not",
        ),
        pytest.param({"stringData": None, "data": None}, {"data": None}, id="null maps"),
        pytest.param(
            {"stringData": {"a": 5, "b": None, "c": "x"}},
            {"stringData": {"a": 5}, "data": {"c": _b64("x")}},
            id="what the server refuses is left to it",
        ),
        pytest.param({"stringData": {"a": "ü"}}, {"data": {"a": _b64("ü")}}, id="UTF-8"),
    ],
)
def test_a_secret_is_as_the_server_stores_it(given: JSONObject, expected: JSONObject) -> None:
    obj = _secret(**given)
    before = copy.deepcopy(obj)
    result = normalise(obj)
    assert result == _secret(**expected)
    assert normalise(result) == result
    assert obj == before


def test_a_custom_secret_keeps_its_string_data() -> None:
    obj = {"apiVersion": "example.com/v1", "kind": "Secret", "stringData": {"a": "x"}}
    assert normalise(obj) == obj


def test_what_only_a_server_or_another_tool_can_say_is_dropped() -> None:
    metadata = {"name": "s", "labels": {"a": "b"}, "annotations": {"mine": "1"}}
    noise = {"creationTimestamp": None, "uid": "u", "resourceVersion": "1", "generation": 2}
    foreign = {
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        "faros.pusher.com/last-applied-configuration": "{}",
    }
    exported = {
        "metadata": {**metadata, **noise, "annotations": {"mine": "1", **foreign}},
        "status": {"ready": True},
    }
    assert normalise(exported) == {"metadata": metadata}


def test_string_data_never_makes_a_difference_to_an_equal_secret() -> None:
    live = _secret(data={"a": _b64("x"), "theirs": _b64("y")})
    desired = _secret(stringData={"a": "x"})
    assert three_way(gvk=SECRET, last_applied=desired, desired=desired, live=live).body == {}


def test_drift_of_string_data_is_seen() -> None:
    patch = three_way(
        gvk=SECRET,
        last_applied=None,
        desired=_secret(stringData={"a": "x"}),
        live=_secret(data={"a": _b64("drifted")}),
    )
    assert patch.body == {"data": {"a": _b64("x")}}


def test_a_key_dropped_from_string_data_is_deleted() -> None:
    patch = three_way(
        gvk=SECRET,
        last_applied=_secret(stringData={"a": "x", "b": "y"}),
        desired=_secret(stringData={"a": "x"}),
        live=_secret(data={"a": _b64("x"), "b": _b64("y")}),
    )
    assert patch.body == {"data": {"b": None}}


def test_last_applied_never_deletes_identity_or_status() -> None:
    live = _secret(status={"x": 1})
    live["metadata"] |= {"namespace": "ns", "creationTimestamp": "2024-01-01T00:00:00Z"}
    desired = _secret()
    assert three_way(gvk=SECRET, last_applied=live, desired=desired, live=live).body == {}
