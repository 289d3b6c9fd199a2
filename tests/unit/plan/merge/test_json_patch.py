"""The JSON merge of custom resources, feature by feature."""

from __future__ import annotations

from typing import Any

import pytest

from agent.manifest.keys import GroupVersionKind, JSONObject
from agent.plan.merge import JSON_MERGE_PATCH, Patch, preview, three_way
from tests.unit.plan.merge.objects import WIDGET

CASES = [
    pytest.param(None, {"a": 1, "n": 2}, {"a": 0, "z": 9}, {"a": 1, "n": 2}, id="change and add"),
    pytest.param({"a": 1}, {}, {"a": 1, "z": 9}, {"a": None}, id="delete what git dropped"),
    pytest.param({"a": 1}, {}, {"z": 9}, {}, id="dropped and gone already"),
    pytest.param(None, {}, {"a": 1}, {}, id="nothing is deleted without last-applied"),
    pytest.param(
        {"m": {"a": 1, "b": 1}},
        {"m": {"a": 2}},
        {"m": {"a": 1, "b": 1, "z": 9}},
        {"m": {"a": 2, "b": None}},
        id="deep in a map",
    ),
    pytest.param({"m": {"a": 1}}, {}, {"m": {"a": 1, "z": 9}}, {"m": None}, id="a whole map goes"),
    pytest.param(None, {"l": [1]}, {"l": [1, 2]}, {"l": [1]}, id="lists are atomic"),
    pytest.param(
        None,
        {"l": [{"name": "a"}]},
        {"l": [{"name": "a", "z": 9}]},
        {"l": [{"name": "a"}]},
        id="lists of maps are atomic",
    ),
    pytest.param(None, {"l": [{"a": None}]}, {"l": [{}]}, {"l": [{"a": None}]}, id="null in list"),
    pytest.param(None, {"m": {}}, {}, {"m": {}}, id="an empty map is not an absent one"),
    pytest.param(None, {"m": {}}, {"m": {"z": 9}}, {}, id="an empty map asks nothing of a full"),
    pytest.param(None, {"l": []}, {}, {"l": []}, id="an empty list is not an absent one"),
    pytest.param(None, {"l": []}, {"l": [1]}, {"l": []}, id="a list is emptied"),
    pytest.param(None, {"a": None}, {"a": 1}, {"a": None}, id="a null deletes"),
    pytest.param({"a": None}, {"a": None}, {"a": 1}, {}, id="once, as with kubectl"),
    pytest.param({"a": None}, {}, {"a": 1}, {"a": None}, id="a null goes, as with kubectl"),
    pytest.param(None, {"a": None}, {}, {}, id="a null deletes nothing that is not there"),
    pytest.param(None, {"m": {"a": None}}, {"m": {"a": 1}}, {"m": {"a": None}}, id="deep null"),
    pytest.param({"a": 1}, {"a": None}, {"a": None}, {"a": None}, id="a live null is deleted"),
    pytest.param({"a": 1}, {"a": None}, {"a": 1}, {"a": None}, id="a null where git had a value"),
    pytest.param(None, {"m": {"a": None}}, {}, {"m": {}}, id="a map of nulls alone"),
    pytest.param(None, {"m": {"a": 1}}, {"m": 5}, {"m": {"a": 1}}, id="a number becomes a map"),
    pytest.param(None, {"m": 5}, {"m": {"a": 1}}, {"m": 5}, id="a map becomes a number"),
    pytest.param(None, {"a": [1]}, {"a": {"b": 1}}, {"a": [1]}, id="a map becomes a list"),
    pytest.param(None, {"a": 1.0}, {"a": 1}, {}, id="1 and 1.0 are one number"),
    pytest.param(None, {"a": True}, {"a": 1}, {"a": True}, id="true is not 1"),
    pytest.param(
        None, {"a": 2**53 + 1}, {"a": 2**53}, {"a": 2**53 + 1}, id="integers beyond 2^53 are exact"
    ),
]


def _widget(spec: JSONObject) -> JSONObject:
    return {
        "apiVersion": WIDGET.api_version,
        "kind": WIDGET.kind,
        "metadata": {"name": "web"},
        "spec": spec,
    }


@pytest.mark.parametrize(("last", "desired", "live", "patch"), CASES)
def test_patch_is_as_expected(last: Any, desired: Any, live: Any, patch: Any) -> None:
    made = three_way(
        gvk=WIDGET,
        last_applied=None if last is None else _widget(last),
        desired=_widget(desired),
        live=_widget(live),
    )
    assert made == Patch(JSON_MERGE_PATCH, {"spec": patch} if patch else {})


def test_preview_is_the_merge_of_rfc_7386() -> None:
    patch = Patch(JSON_MERGE_PATCH, {"spec": {"a": None, "m": {"x": 1}, "l": [1]}})
    live = _widget({"a": 1, "m": 5, "l": [2, 3], "z": 9})
    assert preview(patch, gvk=WIDGET, live=live) == _widget({"m": {"x": 1}, "l": [1], "z": 9})


@pytest.mark.parametrize(
    "gvk",
    [
        GroupVersionKind("oracle.example.com", "v1", "Widget"),
        GroupVersionKind("example.com", "v1", "Deployment"),
    ],
    ids=str,
)
def test_kinds_that_are_not_built_in_merge_as_json(gvk: GroupVersionKind) -> None:
    obj = {"apiVersion": gvk.api_version, "kind": gvk.kind, "metadata": {"name": "web"}}
    patch = three_way(gvk=gvk, last_applied=None, desired=obj, live=obj)
    assert patch == Patch(JSON_MERGE_PATCH, {})
