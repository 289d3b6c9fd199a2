"""The last-applied annotation: what is written, what is read, what fits."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

import pytest
from hypothesis import given

from agent.manifest.keys import GroupVersionKind, JSONObject
from agent.manifest.marks import LAST_APPLIED
from agent.plan import lastapplied
from agent.plan.merge import normalise, three_way
from tests.unit.plan.merge.objects import deployments

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
KUBECTL = "kubectl.kubernetes.io/last-applied-configuration"
FAROS = "faros.pusher.com/last-applied-configuration"
PASSWORD = "correct horse battery staple"


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _object(**fields: Any) -> JSONObject:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, **fields}


def _secret(*, name: str = "s", **fields: Any) -> JSONObject:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, **fields}


def _carrying(obj: JSONObject, annotations: dict[str, Any]) -> JSONObject:
    return {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}


def _encode(desired: JSONObject, live: JSONObject | None = None, key: bytes = KEY) -> str:
    return lastapplied.encode(desired, digest_key=key, live=live)


def test_content_is_compact_sorted_json() -> None:
    assert _encode(_object(data={"b": "2", "a": "<1>"})) == (
        '{"apiVersion":"v1","data":{"a":"<1>","b":"2"},"kind":"ConfigMap","metadata":{"name":"c"}}'
    )


def test_no_last_applied_annotation_is_ever_nested() -> None:
    names = (LAST_APPLIED, KUBECTL, FAROS)
    obj = _carrying(_object(), {**dict.fromkeys(names, "{}"), "mine": "1"})
    assert json.loads(_encode(obj))["metadata"] == {"name": "c", "annotations": {"mine": "1"}}
    alone = _carrying(_object(), dict.fromkeys(names, "{}"))
    assert _encode(alone) == _encode(_object())


def test_status_and_the_servers_metadata_stay_out() -> None:
    obj = _object(status={"x": 1})
    obj["metadata"] |= {"uid": "u", "resourceVersion": "5", "managedFields": []}
    assert _encode(obj) == _encode(_object())


@given(desired=deployments())
def test_what_was_written_is_read(desired: JSONObject) -> None:
    before = copy.deepcopy(desired)
    live = _carrying(desired, {LAST_APPLIED: _encode(desired)})
    read = lastapplied.read(live)
    assert read is not None
    if not desired["metadata"].get("annotations"):
        read["metadata"].pop("annotations", None)
        desired = {**desired, "metadata": dict(desired["metadata"])}
        desired["metadata"].pop("annotations", None)
    assert read == normalise(desired)
    assert before["spec"] == desired["spec"]


class TestSecrets:
    @pytest.mark.parametrize(
        "fields",
        [
            {"data": {"p": _b64(PASSWORD)}},
            {"stringData": {"p": PASSWORD}},
            {"data": {"p": PASSWORD}},
            {"stringData": {"p": 12345678, "q": PASSWORD}},
        ],
        ids=["data", "stringData", "data that is no base64", "a number"],
    )
    def test_values_never_enter_the_annotation(self, fields: JSONObject) -> None:
        written = _encode(_secret(**fields))
        assert lastapplied.DIGEST_PREFIX in written
        for value in (PASSWORD, _b64(PASSWORD), "12345678"):
            assert value not in written

    def test_a_digest_tells_neither_equal_values_nor_equal_secrets(self) -> None:
        data = {"p": _b64(PASSWORD), "q": _b64(PASSWORD)}
        one = json.loads(_encode(_secret(data=data)))["data"]
        other = json.loads(_encode(_secret(name="t", data=data)))["data"]
        rekeyed = json.loads(_encode(_secret(data=data), key=OTHER_KEY))["data"]
        digests = [*one.values(), *other.values(), *rekeyed.values()]
        assert len(set(digests)) == len(digests)

    def test_the_same_value_gives_the_same_annotation(self) -> None:
        assert _encode(_secret(stringData={"p": "x"})) == _encode(_secret(data={"p": _b64("x")}))

    def test_a_lost_key_rewrites_nothing(self) -> None:
        desired = _secret(stringData={"p": PASSWORD})
        written = _encode(desired)
        live = _carrying(normalise(desired), {LAST_APPLIED: written})
        assert _encode(desired, live, key=OTHER_KEY) == written

    def test_a_changed_value_gets_a_new_digest(self) -> None:
        desired = _secret(stringData={"p": PASSWORD})
        live = _carrying(normalise(desired), {LAST_APPLIED: _encode(desired)})
        changed = _secret(stringData={"p": "another"})
        assert _encode(changed, live) == _encode(changed)

    def test_a_drifted_value_gets_the_digest_of_the_desired_one(self) -> None:
        desired = _secret(stringData={"p": PASSWORD})
        drifted = _secret(data={"p": _b64("drifted")})
        live = _carrying(drifted, {LAST_APPLIED: _encode(desired, key=OTHER_KEY)})
        assert _encode(desired, live) == _encode(desired)

    def test_a_dropped_key_is_deleted_by_the_digest_alone(self) -> None:
        before = _secret(stringData={"p": PASSWORD, "q": "x"})
        live = _carrying(normalise(before), {LAST_APPLIED: _encode(before)})
        patch = three_way(
            gvk=GroupVersionKind("", "v1", "Secret"),
            last_applied=lastapplied.read(live),
            desired=_secret(stringData={"p": PASSWORD}),
            live=live,
        )
        assert patch.body == {"data": {"q": None}}

    def test_kubectls_string_data_is_read_as_data(self) -> None:
        was = json.dumps(_secret(stringData={"p": "x"}))
        read = lastapplied.read(_carrying(_secret(), {KUBECTL: was}))
        assert read == _secret(data={"p": _b64("x")})

    def test_a_value_does_not_show_in_the_repr(self) -> None:
        live = _carrying(_secret(), {KUBECTL: json.dumps(_secret(stringData={"p": PASSWORD}))})
        assert _b64(PASSWORD) not in repr(lastapplied.inspect(live))


class TestReading:
    @pytest.mark.parametrize(
        ("annotations", "found"),
        [
            ({}, ""),
            ({FAROS: "{}"}, FAROS),
            ({FAROS: "{}", KUBECTL: "{}"}, KUBECTL),
            ({FAROS: "{}", KUBECTL: "{}", LAST_APPLIED: "{}"}, LAST_APPLIED),
        ],
        ids=["none", "Faros'", "kubectl's", "ours"],
    )
    def test_ours_first_then_those_of_whom_we_adopt_from(
        self, annotations: dict[str, str], found: str
    ) -> None:
        recorded = lastapplied.inspect(_carrying(_object(), annotations))
        assert recorded.annotation == found
        assert recorded.configuration == ({} if found else None)

    @pytest.mark.parametrize("value", ["", "{", "[]", "null", "3", 3, None], ids=repr)
    def test_what_cannot_be_read_is_unknown_and_says_so(self, value: Any) -> None:
        live = _carrying(_object(), {LAST_APPLIED: value, KUBECTL: "{}"})
        assert lastapplied.read(live) is None
        assert LAST_APPLIED in lastapplied.inspect(live).problem

    @pytest.mark.parametrize("metadata", [None, {}, {"annotations": None}], ids=repr)
    def test_an_object_without_annotations(self, metadata: Any) -> None:
        assert lastapplied.inspect({"metadata": metadata}) == lastapplied.Recorded()


class TestSize:
    def test_all_annotations_count_with_their_names(self) -> None:
        room = lastapplied.TOO_LARGE - len(LAST_APPLIED) - len("ä".encode()) - 1
        live = _carrying(_object(), {"ä": "1"})
        assert lastapplied.fits("x" * room, desired=_object(), live=live)
        assert not lastapplied.fits("x" * (room + 1), desired=_object(), live=live)

    def test_the_annotation_that_is_replaced_does_not_count(self) -> None:
        old = _carrying(_object(), {LAST_APPLIED: "x" * lastapplied.TOO_LARGE})
        assert lastapplied.fits("x", desired=_object(), live=old)
        assert lastapplied.fits("x", desired=_object(), live=None)
