"""A diff shows what a person decides on, and never a value of a Secret."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.manifest import marks
from agent.plan.unified import AFTER, BEFORE, unified

Object = dict[str, Any]


def config_map(**data: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a", "namespace": "shop"},
        "data": data,
    }


def secret(**data: str) -> Object:
    encoded = {name: base64.b64encode(text.encode()).decode() for name, text in data.items()}
    return {**config_map(), "kind": "Secret", "data": encoded}


def with_metadata(obj: Object, **metadata: Any) -> Object:
    return {**obj, "metadata": {**obj["metadata"], **metadata}}


def diff(before: Object | None, after: Object | None, *, has_status: bool = True) -> list[str]:
    return unified(before, after, name="it", has_status=has_status)


def changed(lines: list[str]) -> list[str]:
    return [line for line in lines[2:] if line[:1] in "+-"]


def test_it_has_the_form_of_diff_u() -> None:
    assert diff(config_map(k="1"), config_map(k="2")) == [
        "--- live/it",
        "+++ git/it",
        "@@ -1,6 +1,6 @@",
        " apiVersion: v1",
        " data:",
        "-  k: '1'",
        "+  k: '2'",
        " kind: ConfigMap",
        " metadata:",
        "   name: a",
    ]


INVISIBLE: dict[str, Object] = {
    "resourceVersion": {"resourceVersion": "2"},
    "managedFields": {"managedFields": [{"manager": "x"}]},
    "generation": {"generation": 4},
    "uid": {"uid": "u"},
    "our labels": {"labels": {marks.AGENT: "a", marks.APPLYSET_PART_OF: "b"}},
    "our annotations": {"annotations": {marks.OWNER: "a", marks.LAST_APPLIED: "b"}},
    "kubectl's record": {"annotations": {marks.KUBECTL_LAST_APPLIED: "hush"}},
}


@pytest.mark.parametrize("metadata", INVISIBLE.values(), ids=INVISIBLE.keys())
def test_what_nobody_decides_on_is_no_difference(metadata: Object) -> None:
    assert diff(config_map(), with_metadata(config_map(), **metadata)) == []


def test_status_is_left_out_only_where_it_is_a_subresource() -> None:
    after = {**config_map(), "status": {"x": 1}}
    assert diff(config_map(), after) == []
    assert changed(diff(config_map(), after, has_status=False)) == ["+status:", "+  x: 1"]


def test_other_labels_are_shown() -> None:
    after = with_metadata(config_map(), labels={"app": "web", marks.AGENT: "a"})
    assert changed(diff(config_map(), after)) == ["+  labels:", "+    app: web"]


def test_a_creation_and_a_deletion_are_whole() -> None:
    assert all(line.startswith("+") for line in diff(None, config_map(k="1"))[3:])
    assert all(line.startswith("-") for line in diff(config_map(k="1"), None)[3:])


def test_text_of_many_lines_is_compared_by_line() -> None:
    before, after = config_map(k="one\ntwo\nthree\n"), config_map(k="one\n2\nthree\n")
    assert changed(diff(before, after)) == ["-    two", "+    2"]


def test_a_secret_s_value_that_differs_is_masked_on_both_sides() -> None:
    lines = diff(secret(a="old", b="same"), secret(a="new", b="same", c="added"))
    assert changed(lines) == [f"-  a: '{BEFORE}'", f"+  a: '{AFTER}'", "+  c: '***'"]
    assert "   b: '***'" in lines


def test_secrets_that_are_equal_have_no_diff() -> None:
    assert diff(secret(a="same"), secret(a="same")) == []


VALUES = st.text(min_size=6, alphabet="QWXZ7")
Entries = dict[str, str]
ENTRIES = st.dictionaries(st.sampled_from("abc"), VALUES)


@given(ENTRIES, ENTRIES)
def test_no_value_of_any_secret_is_ever_shown(before: Entries, after: Entries) -> None:
    text = "\n".join(diff(secret(**before), secret(**after)))
    for value in (*before.values(), *after.values()):
        assert value not in text
        assert base64.b64encode(value.encode()).decode() not in text
    assert bool(text) == (before != after), "a change must show, and nothing else"


@given(ENTRIES, ENTRIES)
def test_inputs_are_not_modified(before: Entries, after: Entries) -> None:
    one, other = secret(**before), secret(**after)
    diff(one, other)
    assert (one, other) == (secret(**before), secret(**after))
