"""Ignored fields: live keeps what it has there, through every way of merging, and nothing else."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.config.model import IgnoredFields
from agent.config.pointers import Pointer, parse_element
from agent.manifest.keys import JSONObject, ObjectKey
from agent.plan.ignorefields import digest, left_out, left_to_live, pointers_for
from agent.plan.merge import Schema, lookup, preview, three_way
from tests.unit.plan.merge.objects import DEPLOYMENT, WIDGET, deployments, widgets

KEY = ObjectKey("apps", "Deployment", "shop", "web")
SCHEMA = lookup(DEPLOYMENT)


def pointers(*texts: str) -> tuple[Pointer, ...]:
    return tuple(map(Pointer.parse, texts))


def pod(*containers: JSONObject, **spec: Any) -> JSONObject:
    return {"spec": {"template": {"spec": {"containers": list(containers)}}, **spec}}


def web(image: str, **more: Any) -> JSONObject:
    return {"name": "web", "image": image, **more}


SIDECAR = {"name": "proxy", "image": "proxy:1"}
IMAGE = "/spec/template/spec/containers/{}/image"

CASES: dict[str, tuple[str, JSONObject, JSONObject, JSONObject]] = {
    # pointer, git, live, what is wanted of live
    "a scalar": (
        "/spec/replicas",
        {"spec": {"replicas": 1, "paused": True}},
        {"spec": {"replicas": 7}},
        {"spec": {"replicas": 7, "paused": True}},
    ),
    "a field git does not have": (
        "/spec/replicas",
        {"spec": {"paused": True}},
        {"spec": {"replicas": 7}},
        {"spec": {"paused": True, "replicas": 7}},
    ),
    "a field below what git does not have": (
        "/spec/strategy/type",
        {"spec": {}},
        {"spec": {"strategy": {"type": "Recreate"}}},
        {"spec": {"strategy": {"type": "Recreate"}}},
    ),
    "a field that live has not": (
        "/data/x",
        {"data": {"x": "1", "y": "2"}},
        {},
        {"data": {"y": "2"}},
    ),
    "the only field of a map that live has not": ("/data/x", {"data": {"x": "1"}}, {}, {}),
    "the only field of a map that live has": (
        "/data/x",
        {"data": {"x": "1"}},
        {"data": {"z": "3"}},
        {"data": {}},
    ),
    "a whole map": ("/data", {"data": {"x": "1"}}, {"data": {"z": "3"}}, {"data": {"z": "3"}}),
    "a key with a slash": (
        "/metadata/annotations/a~1b",
        {"metadata": {"annotations": {"a/b": "1", "c": "1"}}},
        {"metadata": {"annotations": {"a/b": "2"}}},
        {"metadata": {"annotations": {"a/b": "2", "c": "1"}}},
    ),
    "a key that looks like an element": (
        "/data/[a=b]",
        {"data": {"[a=b]": "1"}},
        {"data": {"[a=b]": "2"}},
        {"data": {"[a=b]": "2"}},
    ),
    "what is in no map": (
        "/data/x/y",
        {"data": {"x": "1"}},
        {"data": {"x": "2"}},
        {"data": {"x": "1"}},
    ),
    "nothing anywhere": ("/spec/paused/x", {"spec": {}}, {"spec": {}}, {"spec": {}}),
    "inside an element, by name": (
        IMAGE.format("[name=web]"),
        pod(web("git", tty=True)),
        pod(SIDECAR, web("live")),
        pod(web("live", tty=True)),
    ),
    "inside an element, by index, wherever live has it": (
        IMAGE.format("0"),
        pod(web("git")),
        pod(SIDECAR, web("live")),
        pod(web("live")),
    ),
    "inside an element that is new": (
        IMAGE.format("[name=web]"),
        pod(web("git")),
        pod(SIDECAR),
        pod(web("git")),
    ),
    "inside an element that is new, by index": (
        IMAGE.format("0"),
        pod(web("git")),
        pod(SIDECAR),
        pod(web("git")),
    ),
    "inside an element that git does not have": (
        IMAGE.format("[name=proxy]"),
        pod(web("git")),
        pod(SIDECAR, web("live")),
        pod(web("git")),
    ),
    "a whole element": (
        "/spec/template/spec/containers/[name=proxy]",
        pod(web("git"), {**SIDECAR, "image": "git"}),
        pod(SIDECAR),
        pod(web("git"), SIDECAR),
    ),
    "a whole element that git does not have": (
        "/spec/template/spec/containers/[name=proxy]",
        pod(web("git")),
        pod(SIDECAR),
        pod(SIDECAR, web("git")),
    ),
    "a whole element that live does not have": (
        "/spec/template/spec/containers/[name=proxy]",
        pod(web("git"), SIDECAR),
        pod(web("live")),
        pod(web("git")),
    ),
    "an index in a list without a merge key": (
        "/spec/template/spec/containers/[name=web]/args/1",
        pod(web("x", args=["a", "b", "c"])),
        pod(web("x", args=["a", "live"])),
        pod(web("x", args=["a", "live", "c"])),
    ),
    "an index that git does not have": (
        IMAGE.format("3"),
        pod(web("git")),
        pod(web("live")),
        pod(web("git")),
    ),
    "an element by a number": (
        "/spec/ports/[port=80]/nodePort",
        {"spec": {"ports": [{"port": 80, "nodePort": 1}]}},
        {"spec": {"ports": [{"port": 8}, {"port": 80, "nodePort": 2}]}},
        {"spec": {"ports": [{"port": 80, "nodePort": 2}]}},
    ),
}


@pytest.mark.parametrize(("pointer", "git", "live", "wanted"), CASES.values(), ids=CASES)
def test_live_takes_the_place_of_git_in(
    pointer: str, git: JSONObject, live: JSONObject, wanted: JSONObject
) -> None:
    before = copy.deepcopy((git, live))
    assert left_to_live(git, live, pointers(pointer), schema=SCHEMA) == wanted
    assert (git, live) == before


def test_two_elements_of_one_merge_key_are_told_apart_by_their_order() -> None:
    schema = lookup(DEPLOYMENT._replace(group="", kind="Service"))
    git = {"spec": {"ports": [{"port": 53, "name": "udp"}, {"port": 53, "name": "tcp"}]}}
    live = {"spec": {"ports": [{"port": 53, "nodePort": 1}, {"port": 53, "nodePort": 2}]}}
    found = left_to_live(git, live, pointers("/spec/ports/1/nodePort"), schema=schema)
    assert [port.get("nodePort") for port in found["spec"]["ports"]] == [None, 2]


def test_a_secrets_string_data_is_the_data_it_becomes() -> None:
    git = {"apiVersion": "v1", "kind": "Secret", "data": {"x": "Z2l0", "y": "Z2l0"}}
    live = {**git, "data": {"x": "bGl2ZQ=="}}
    assert left_to_live(git, live, pointers("/stringData/x"), schema=None)["data"] == {
        "x": "bGl2ZQ==",
        "y": "Z2l0",
    }
    assert left_out(git, pointers("/stringData/x"))["data"] == {"y": "Z2l0"}


LEFT_OUT: dict[str, tuple[tuple[str, ...], JSONObject, JSONObject]] = {
    "a scalar": (("/spec/replicas",), {"spec": {"replicas": 1}}, {"spec": {}}),
    "what is not there": (("/spec/x/y", "/data/0"), {"spec": {"a": []}}, {"spec": {"a": []}}),
    "inside an element": (
        ("/spec/template/spec/containers/[name=web]/image",),
        pod(SIDECAR, web("git")),
        pod(SIDECAR, {"name": "web"}),
    ),
    "elements": (("/a/10", "/a/9"), {"a": list(range(12))}, {"a": [*range(9), 11]}),
}


@pytest.mark.parametrize(("texts", "git", "rest"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_what_is_ignored_is_not_recorded_as_applied(
    texts: tuple[str, ...], git: JSONObject, rest: JSONObject
) -> None:
    before = copy.deepcopy(git)
    found = pointers_for([IgnoredFields(kind="Deployment.apps", pointers=pointers(*texts))], KEY)
    assert left_out(git, found) == rest
    assert git == before


# --- which objects a rule is about -----------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "applies"),
    [
        ({"kind": "Deployment.apps"}, True),
        ({"kind": "Deployment"}, False),
        ({"kind": "Deployment.extensions"}, False),
        ({"kind": "Deployment.apps", "namespace": "shop"}, True),
        ({"kind": "Deployment.apps", "namespace": "other"}, False),
        ({"kind": "Deployment.apps", "name": "web"}, True),
        ({"kind": "Deployment.apps", "name": "w"}, False),
        ({"kind": "Deployment.apps", "namespace": "shop", "name": "web"}, True),
    ],
    ids=str,
)
def test_a_rule_is_for_its_kind_and_what_else_it_names(rule: dict[str, str], applies: bool) -> None:
    one = IgnoredFields(pointers=pointers("/spec/replicas"), **rule)
    assert pointers_for([one], KEY) == (pointers("/spec/replicas") if applies else ())


def test_the_digest_of_an_object_changes_with_the_rules_for_it_and_with_no_other() -> None:
    two = IgnoredFields(kind="Deployment.apps", pointers=pointers("/a", "/b"))
    same = [IgnoredFields(kind=two.kind, pointers=pointers(text)) for text in ("/b", "/a", "/b")]
    other = IgnoredFields(kind="ConfigMap", pointers=pointers("/a"))
    assert digest(b"d", pointers_for([two], KEY)) == digest(b"d", pointers_for(same, KEY))
    assert digest(b"d", pointers_for(same[:1], KEY)) != digest(b"d", pointers_for(same, KEY))
    assert digest(b"d", pointers_for([other], KEY)) == b"d"


# --- with the merge --------------------------------------------------------------------------

ABSENT = "absent"
GONE = "its element is gone"

POINTERS = pointers(
    "/spec",
    "/spec/replicas",
    "/spec/strategy",
    "/spec/strategy/type",
    "/spec/strategy/rollingUpdate/maxSurge",
    "/metadata/labels/a",
    "/metadata/finalizers",
    "/spec/template/spec/nodeSelector",
    "/spec/template/spec/nodeSelector/a",
    "/spec/template/spec/tolerations",
    "/spec/template/spec/volumes",
    "/spec/template/spec/volumes/[name=a]",
    "/spec/template/spec/volumes/[name=a]/emptyDir",
    "/spec/template/spec/containers/[name=a]",
    "/spec/template/spec/containers/[name=a]/image",
    "/spec/template/spec/containers/[name=a]/args",
    "/spec/template/spec/containers/[name=a]/env/[name=b]/value",
    "/spec/template/spec/containers/[name=a]/ports/[containerPort=80]/protocol",
    "/spec/a",
    "/spec/a/b",
)


def at(obj: Any, parts: tuple[str, ...]) -> Any:
    """The value at a pointer, ABSENT, or GONE where what should lead there is not there.

    That is an element of a list, or a map in whose place is something else: a rule about a field
    says nothing of what is around it.
    """
    for index, part in enumerate(parts):
        named = parse_element(part)
        if isinstance(obj, dict) and part in obj:
            obj = obj[part]
        elif named and isinstance(obj, list):
            same = [e for e in obj if isinstance(e, dict) and str(e.get(named[0])) == named[1]]
            if not same:
                return ABSENT if index == len(parts) - 1 else GONE
            obj = same[0]
        elif not isinstance(obj, dict):
            return GONE
        else:
            return GONE if any(map(parse_element, parts[index + 1 : -1])) else ABSENT
    return obj


def merged(
    last: JSONObject | None, git: JSONObject, live: JSONObject, pointer: Pointer, *, gvk: Any
) -> JSONObject:
    """What live becomes under a rule."""
    schema: Schema | None = lookup(gvk)
    wanted = left_to_live(git, live, [pointer], schema=schema)
    patch = three_way(gvk=gvk, last_applied=last, desired=wanted, live=live)
    return preview(patch, gvk=gvk, live=live)


TRIPLES = st.one_of(
    st.tuples(st.just(DEPLOYMENT), st.none() | deployments(), deployments(), deployments()),
    st.tuples(st.just(WIDGET), st.none() | widgets(), widgets(), widgets()),
)


@given(triple=TRIPLES, pointer=st.sampled_from(POINTERS))
def test_no_merge_changes_an_ignored_field(
    triple: tuple[Any, JSONObject | None, JSONObject, JSONObject], pointer: Pointer
) -> None:
    gvk, last, git, live = triple
    result = merged(last, git, live, pointer, gvk=gvk)
    before = at(live, pointer.parts)
    if GONE not in (before, at(git, pointer.parts)):
        assert at(result, pointer.parts) == before


@given(triple=TRIPLES, pointer=st.sampled_from(POINTERS))
def test_a_rule_leaves_nothing_to_do_once_applied(
    triple: tuple[Any, JSONObject | None, JSONObject, JSONObject], pointer: Pointer
) -> None:
    gvk, last, git, live = triple
    once = merged(last, git, live, pointer, gvk=gvk)
    recorded = left_out(git, [pointer])
    assert merged(recorded, git, once, pointer, gvk=gvk) == once


@given(git=deployments(), pointer=st.sampled_from(POINTERS))
@example(git={"spec": {}}, pointer=POINTERS[1])
def test_inputs_are_not_modified(git: JSONObject, pointer: Pointer) -> None:
    live = pod(web("live"), replicas=3)
    before = copy.deepcopy((git, live))
    left_to_live(git, live, [pointer], schema=SCHEMA)
    left_out(git, [pointer])
    assert (git, live) == before
