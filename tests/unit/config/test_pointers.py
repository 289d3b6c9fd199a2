"""JSON pointers: RFC 6901's own examples, elements by name, and what cannot be left to others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.pointers import Pointer, element, parse_element, why_not_ignorable
from agent.manifest import marks


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("/foo", ("foo",)),
        ("/foo/0", ("foo", "0")),
        ("/", ("",)),
        ("/a~1b", ("a/b",)),
        ("/m~0n", ("m~n",)),
        ("/~01", ("~1",)),
        ("/c%d", ("c%d",)),
        ("/ ", (" ",)),
        ("/spec/containers/[name=web]/image", ("spec", "containers", "[name=web]", "image")),
        ("/spec/volumeMounts/[mountPath=~1data]", ("spec", "volumeMounts", "[mountPath=/data]")),
    ],
)
def test_a_pointer_is_read_as_rfc_6901_says(text: str, parts: tuple[str, ...]) -> None:
    assert Pointer.parse(text) == Pointer(parts)
    assert str(Pointer(parts)) == text


@pytest.mark.parametrize("text", ["", "spec", "#/spec", "$.spec", "/a~2", "/a~"])
def test_what_is_no_pointer_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|write"):
        Pointer.parse(text)


@given(st.lists(st.text(), min_size=1))
def test_every_pointer_reads_back(parts: list[str]) -> None:
    assert Pointer.parse(str(Pointer(tuple(parts)))) == Pointer(tuple(parts))


@given(st.text(min_size=1).filter(lambda name: "=" not in name), st.text() | st.integers())
def test_every_element_reads_back(name: str, value: object) -> None:
    assert parse_element(element(name, value)) == (name, str(value))


def test_each_mark_and_what_holds_it_is_ours() -> None:
    for section, names in (("labels", marks.MARK_LABELS), ("annotations", marks.MARK_ANNOTATIONS)):
        ours = [n for n in names if "kubectl" not in n and "faros" not in n]
        assert ours
        for parts in (("metadata", section), *(("metadata", section, name) for name in ours)):
            assert "this agent" in why_not_ignorable(Pointer(parts))


@pytest.mark.parametrize("text", ["/apiVersion", "/kind", "/metadata", "/metadata/name", "/kind/x"])
def test_what_an_object_is_cannot_be_ignored(text: str) -> None:
    assert why_not_ignorable(Pointer.parse(text))


@pytest.mark.parametrize(
    "text",
    ["/spec", "/data", "/metadata/labels/team", "/metadata/finalizers", "/kinds", "/spec/kind"],
)
def test_everything_else_can(text: str) -> None:
    assert not why_not_ignorable(Pointer.parse(text))
