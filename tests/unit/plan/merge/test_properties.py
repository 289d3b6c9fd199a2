"""What holds of every merge, whatever the three objects are."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.manifest.keys import GroupVersionKind, JSONObject
from agent.plan.merge import lookup, preview, three_way
from agent.plan.merge.schema import Field
from tests.unit.plan.merge.model import merged, unordered
from tests.unit.plan.merge.objects import DEPLOYMENT, WIDGET, deployments, widgets

Triple = tuple[JSONObject | None, JSONObject, JSONObject]


def _triples(objects: st.SearchStrategy[JSONObject]) -> st.SearchStrategy[Triple]:
    return st.tuples(st.none() | objects, objects, objects)


STRATEGIC = _triples(deployments())
AMBIGUOUS = _triples(deployments(ambiguous=True))
JSON = _triples(widgets())


def _after(gvk: GroupVersionKind, triple: Triple) -> JSONObject:
    last, desired, live = triple
    patch = three_way(gvk=gvk, last_applied=last, desired=desired, live=live)
    return preview(patch, gvk=gvk, live=live)


@given(triple=STRATEGIC)
def test_a_strategic_merge_comes_to_what_three_versions_say(triple: Triple) -> None:
    last, desired, live = triple
    schema = lookup(DEPLOYMENT)
    assert schema is not None
    whole = Field(schema)
    owned = copy.deepcopy(last or {})
    owned.get("metadata", {}).pop("name", None)
    for name in ("apiVersion", "kind"):
        owned.pop(name, None)
    expected = merged(owned, desired, live, schema)
    assert unordered(_after(DEPLOYMENT, triple), whole) == unordered(expected, whole)


@pytest.mark.parametrize(
    ("gvk", "triples"),
    [(DEPLOYMENT, STRATEGIC), (DEPLOYMENT, AMBIGUOUS), (WIDGET, JSON)],
    ids=["strategic", "ambiguous", "json"],
)
class TestEveryMerge:
    @given(data=st.data())
    def test_has_nothing_left_to_do_once_applied(
        self, gvk: GroupVersionKind, triples: st.SearchStrategy[Triple], data: st.DataObject
    ) -> None:
        last, desired, _ = triple = data.draw(triples)
        after = _after(gvk, triple)
        for owned in (last, desired):
            again = three_way(gvk=gvk, last_applied=owned, desired=desired, live=after)
            assert again.body == {}

    @given(data=st.data())
    def test_is_empty_exactly_when_it_changes_nothing(
        self, gvk: GroupVersionKind, triples: st.SearchStrategy[Triple], data: st.DataObject
    ) -> None:
        last, desired, live = data.draw(triples)
        patch = three_way(gvk=gvk, last_applied=last, desired=desired, live=live)
        changes = preview(patch, gvk=gvk, live=live) != live
        assert bool(patch.body) == changes or _differs_in_bool(live)

    @given(data=st.data())
    def test_leaves_its_inputs_alone_and_shares_nothing_with_them(
        self, gvk: GroupVersionKind, triples: st.SearchStrategy[Triple], data: st.DataObject
    ) -> None:
        last, desired, live = triple = data.draw(triples)
        before = copy.deepcopy(triple)
        patch = three_way(gvk=gvk, last_applied=last, desired=desired, live=live)
        preview(patch, gvk=gvk, live=live)
        assert triple == before
        assert not _containers(patch.body) & _containers(list(triple))

    @given(data=st.data())
    def test_does_not_depend_on_the_order_of_keys(
        self, gvk: GroupVersionKind, triples: st.SearchStrategy[Triple], data: st.DataObject
    ) -> None:
        last, desired, live = data.draw(triples)
        patch = three_way(gvk=gvk, last_applied=last, desired=desired, live=live)
        turned = three_way(
            gvk=gvk, last_applied=_turned(last), desired=_turned(desired), live=_turned(live)
        )
        assert turned == patch


@given(triple=AMBIGUOUS)
def test_no_desired_port_is_lost_however_many_share_a_number(triple: Triple) -> None:
    _, desired, _ = triple
    wanted, result = _ports(desired), _ports(_after(DEPLOYMENT, triple))
    for container, ports in wanted.items():
        for identity in ports:
            assert result[container].count(identity) >= ports.count(identity)


@given(triple=AMBIGUOUS)
def test_a_port_git_never_mentioned_survives(triple: Triple) -> None:
    last, desired, live = triple
    numbers = {port["containerPort"] for port in [*_raw_ports(last or {}), *_raw_ports(desired)]}
    result = _ports(_after(DEPLOYMENT, triple))
    kept = _ports(desired).keys() & _ports(live).keys()
    for container in kept:
        for number, protocol in _ports(live)[container]:
            if number not in numbers:
                assert (number, protocol) in result[container]


@given(triple=JSON)
def test_without_last_applied_nothing_is_deleted(triple: Triple) -> None:
    _, desired, live = triple
    result = _after(WIDGET, (None, desired, live))
    assert live["spec"].keys() <= result["spec"].keys()


def _pods(obj: JSONObject) -> list[JSONObject]:
    spec = obj.get("spec", {}).get("template", {}).get("spec", {})
    containers: list[JSONObject] = spec.get("containers", [])
    return containers


def _raw_ports(obj: JSONObject) -> list[JSONObject]:
    return [port for container in _pods(obj) for port in container.get("ports", [])]


def _ports(obj: JSONObject) -> dict[str, list[tuple[int, str]]]:
    return {
        container["name"]: [
            (port["containerPort"], port.get("protocol", "TCP")) for port in container["ports"]
        ]
        for container in _pods(obj)
        if "ports" in container
    }


def _turned(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _turned(item) for name, item in reversed(value.items())}
    return [_turned(item) for item in value] if isinstance(value, list) else value


def _containers(value: Any) -> set[int]:
    if isinstance(value, dict):
        return {id(value)}.union(*map(_containers, value.values()))
    return {id(value)}.union(*map(_containers, value)) if isinstance(value, list) else set()


def _differs_in_bool(value: Any) -> bool:
    """Tell whether Python's == may confuse a number in there with a boolean."""
    if isinstance(value, dict):
        return any(map(_differs_in_bool, value.values()))
    if isinstance(value, list):
        return any(map(_differs_in_bool, value))
    return value in (0, 1)
