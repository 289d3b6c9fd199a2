"""Where two states of an object differ, as pointers a person can paste."""

from __future__ import annotations

from typing import Any

import pytest

from agent.config.pointers import Pointer
from agent.manifest.keys import GroupVersionKind
from agent.plan.differences import LIMIT, differing
from agent.plan.merge import lookup

SCHEMA = lookup(GroupVersionKind("apps", "v1", "Deployment"))


def containers(*items: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": list(items)}}}}


WEB = {"name": "web", "image": "a", "args": ["x"]}
PROXY = {"name": "proxy", "image": "p"}

CASES: dict[str, tuple[dict[str, Any], dict[str, Any], list[str]]] = {
    "nothing": ({"data": {"x": "1"}}, {"data": {"x": "1"}}, []),
    "a value": ({"data": {"x": "1", "y": "1"}}, {"data": {"x": "2", "y": "1"}}, ["/data/x"]),
    "added and removed": ({"data": {"x": "1"}}, {"data": {"y": "1"}}, ["/data/x", "/data/y"]),
    "a map to its leaves": ({}, {"data": {"a/b": "1", "~": "2"}}, ["/data/a~1b", "/data/~0"]),
    "an empty map": ({}, {"spec": {"x": {}}}, ["/spec/x"]),
    "another type": ({"spec": {"x": {"y": 1}}}, {"spec": {"x": "y"}}, ["/spec/x"]),
    "volatile metadata": (
        {"metadata": {"resourceVersion": "1", "generation": 1, "managedFields": []}},
        {"metadata": {"resourceVersion": "2", "generation": 2, "managedFields": [{}]}},
        [],
    ),
    "status": ({"status": {"x": 1}}, {}, []),
    "inside an element": (
        containers(PROXY, WEB),
        containers(WEB | {"image": "b"}, PROXY),
        ["/spec/template/spec/containers/[name=web]/image"],
    ),
    "a list without a key": (
        containers(WEB),
        containers(WEB | {"args": ["x", "y"]}),
        ["/spec/template/spec/containers/[name=web]/args"],
    ),
    "an element more": (
        containers(WEB),
        containers(WEB, PROXY),
        ["/spec/template/spec/containers/[name=proxy]"],
    ),
    "an element less": (
        containers(WEB, PROXY),
        containers(WEB),
        ["/spec/template/spec/containers/[name=proxy]"],
    ),
    "another order": (
        containers(WEB, PROXY),
        containers(PROXY, WEB),
        ["/spec/template/spec/containers"],
    ),
    "a key there twice": (
        containers(WEB),
        containers(WEB, WEB),
        ["/spec/template/spec/containers"],
    ),
}


@pytest.mark.parametrize(("one", "other", "found"), CASES.values(), ids=CASES)
def test_differences_in(one: dict[str, Any], other: dict[str, Any], found: list[str]) -> None:
    states = [{"metadata": {}} | state for state in (one, other)]
    assert list(differing(*states, schema=SCHEMA, has_status=True)) == found
    assert sorted(differing(*states[::-1], schema=SCHEMA, has_status=True)) == sorted(found)
    for pointer in found:
        assert str(Pointer.parse(pointer)) == pointer


def test_status_counts_where_it_is_no_subresource() -> None:
    one, other = {"metadata": {}, "status": {"x": 1}}, {"metadata": {}, "status": {"x": 2}}
    assert differing(one, other, schema=None, has_status=False) == ("/status/x",)


def test_a_list_of_a_custom_resource_differs_as_a_whole() -> None:
    one, other = containers(WEB), containers(WEB | {"image": "b"})
    states = [{"metadata": {}} | state for state in (one, other)]
    assert differing(*states, schema=None, has_status=True) == ("/spec/template/spec/containers",)


def test_no_more_fields_are_named_than_a_person_reads() -> None:
    many = {"metadata": {}, "data": {str(number): "x" for number in range(10 * LIMIT)}}
    assert len(differing({"metadata": {}}, many, schema=None, has_status=False)) == LIMIT
