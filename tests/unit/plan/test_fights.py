"""When a field is fought over, who the other writer is, and the rule that ends it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.pointers import Pointer
from agent.manifest import marks
from agent.manifest.keys import ObjectKey
from agent.plan.fights import TIMES, WINDOW, PutBack, Writer, contested, describe, last_writer, rule
from agent.reconcile.reports.status import MESSAGE_LIMIT
from tests.unit.config.files import TRACK, loaded

KEY = ObjectKey("apps", "Deployment", "shop", "web")
X, Y = "/data/x", "/data/y"


def repairs(*fields: str, every: float = 1.0, times: int = TIMES) -> list[PutBack]:
    return [PutBack(number * every, fields) for number in range(times)]


HISTORIES = {
    "never": ([], ()),
    "once less than too often": (repairs(X, times=TIMES - 1), ()),
    "too often": (repairs(X), (X,)),
    "several fields": (repairs(Y, X), (X, Y)),
    "always another field": ([PutBack(0.0, (f"/data/{n}",)) for n in range(TIMES)], ()),
    "one field among others": ([PutBack(0.0, (X, f"/data/{n}")) for n in range(TIMES)], (X,)),
    "too slowly": (repairs(X, every=WINDOW / (TIMES - 1.5)), ()),
    "just quickly enough": (repairs(X, every=WINDOW / (TIMES - 1)), (X,)),
    "no field to be seen": (repairs(), ()),
}


@pytest.mark.parametrize(("history", "fields"), HISTORIES.values(), ids=HISTORIES)
def test_a_field_is_contested_when_put_back(
    history: list[PutBack], fields: tuple[str, ...]
) -> None:
    now = max((repair.at for repair in history), default=0.0)
    assert contested(history, now=now) == fields


# --- who --------------------------------------------------------------------------------------


def entry(manager: str, fields: Any, *, minute: int = 0, **more: str) -> dict[str, Any]:
    time = f"2026-01-01T00:{minute:02}:00Z"
    return {"manager": manager, "operation": "Update", "time": time, "fieldsV1": fields, **more}


def live(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"managedFields": list(entries)}}


CONTAINER: dict[str, Any] = {
    "f:spec": {
        "f:containers": {
            'k:{"name":"web"}': {
                ".": {},
                "f:image": {},
                "f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': {"f:name": {}}},
            }
        },
        "f:args": {},
    }
}
HAS_X: dict[str, Any] = {"f:data": {"f:x": {}}}
HAS_Y: dict[str, Any] = {"f:data": {"f:y": {}}}

WRITERS: dict[str, tuple[list[dict[str, Any]], str, str]] = {
    "the one that owns the field": ([entry("a", HAS_X), entry("b", HAS_Y, minute=9)], X, "a"),
    "the last of them": ([entry("a", HAS_X), entry("b", HAS_X, minute=2)], X, "b"),
    "not ourselves": ([entry("a", HAS_X), entry("lightkeeper", HAS_X, minute=9)], X, "a"),
    "not who reports status": (
        [entry("a", HAS_X), entry("b", HAS_X, minute=9, subresource="status")],
        X,
        "a",
    ),
    "who scales": ([entry("hpa", HAS_X, subresource="scale")], X, "hpa"),
    "who owns an element": ([entry("a", CONTAINER)], "/spec/containers/[name=web]/image", "a"),
    "who owns an element by a number": (
        [entry("a", CONTAINER), entry("b", HAS_X, minute=9)],
        "/spec/containers/[name=web]/ports/[containerPort=80]/name",
        "a",
    ),
    "who owns all of what it is in": (
        [entry("a", CONTAINER), entry("b", HAS_X, minute=9)],
        "/spec/args/0",
        "a",
    ),
    "who owns something in it": ([entry("a", CONTAINER)], "/spec/containers", "a"),
    "the last one, for a field that was removed": (
        [entry("a", HAS_Y), entry("b", HAS_Y, minute=2)],
        X,
        "b",
    ),
    "the last one, for an element of another name": (
        [entry("a", CONTAINER), entry("b", HAS_X, minute=2)],
        "/spec/containers/[name=other]/image",
        "b",
    ),
}


@pytest.mark.parametrize(("entries", "field", "manager"), WRITERS.values(), ids=WRITERS)
def test_the_other_writer_is(entries: list[dict[str, Any]], field: str, manager: str) -> None:
    found = last_writer(live(*entries), (field,), ourselves="lightkeeper")
    assert found is not None
    assert found.manager == manager


@pytest.mark.parametrize(
    "obj", [{"metadata": {}}, live(), live(entry("lightkeeper", HAS_X))], ids=str
)
def test_nobody_is_named_when_nobody_else_wrote(obj: dict[str, Any]) -> None:
    assert last_writer(obj, (X,), ourselves="lightkeeper") is None


@pytest.mark.parametrize(
    "fields", [None, {}, [], {"f:data": None}, {"f:data": {"k:{": {}}}, {"k:[]": {}}], ids=str
)
def test_strange_managed_fields_do_no_harm(fields: Any) -> None:
    found = last_writer(
        live({"manager": "a", "fieldsV1": fields}), ("/data/[x=1]/y",), ourselves=""
    )
    assert found == Writer("a", "", "")


# --- what is said -----------------------------------------------------------------------------


def rules_of(folder: Path, line: str) -> Any:
    return loaded(folder, f"{TRACK}{line}\n").tracks[0].ignore_fields


@pytest.mark.parametrize(
    "fields",
    [
        ("/spec/replicas",),
        ("/data/a~1b", "/data/~0"),
        ('/data/"quoted"', r"/data/back\slash", "/data/é€😀"),
        ("/spec/template/spec/containers/[name=web]/image",),
    ],
    ids=str,
)
def test_the_rule_can_be_pasted(tmp_path: Path, fields: tuple[str, ...]) -> None:
    [found] = rules_of(tmp_path, rule(KEY, fields))
    assert (found.kind, found.namespace, found.name) == ("Deployment.apps", "shop", "web")
    assert found.pointers == tuple(map(Pointer.parse, fields))


def test_the_rule_for_a_cluster_scoped_object_names_no_namespace() -> None:
    line = rule(ObjectKey("", "Node", "", "n1"), ("/spec/taints",))
    assert tomllib.loads(line)["ignore-fields"] == [
        {"kind": "Node", "name": "n1", "pointers": ["/spec/taints"]}
    ]


def test_our_marks_are_in_no_rule() -> None:
    ours = f"/metadata/labels/{marks.AGENT.replace('/', '~1')}"
    assert marks.AGENT not in rule(KEY, (ours, X))
    assert X in rule(KEY, (ours, X))
    assert rule(KEY, (ours,)) == ""
    text = describe(KEY, (ours,), writer=None, times=5, seconds=1, pause=10)
    assert text.startswith(f"another writer keeps rewriting {ours}, put back 5 times in 1s ")
    assert "stop the other writer" in text


def test_what_is_said_names_field_writer_rate_and_remedy() -> None:
    writer = Writer("kube-controller-manager", "Update", "2026-01-01T00:00:00Z")
    text = describe(KEY, ("/spec/replicas",), writer=writer, times=5, seconds=61.4, pause=10)
    assert text == (
        '"kube-controller-manager" (Update, 2026-01-01T00:00:00Z) keeps rewriting /spec/replicas, '
        "put back 5 times in 1m1s and now left alone for 10s; "
        "to leave it to the other writer, add to the track: "
        'ignore-fields = [ { kind = "Deployment.apps", namespace = "shop", name = "web", '
        'pointers = ["/spec/replicas"] } ]'
    )


@given(st.lists(st.text('ab/~"é', min_size=1, max_size=90), min_size=1, max_size=60, unique=True))
def test_what_is_said_fits_into_a_status_whole(names: list[str]) -> None:
    fields = tuple(str(Pointer(("data", name))) for name in names)
    key = ObjectKey("apps", "Deployment", "n" * 63, "w" * 253)
    writer = Writer("m" * 128, "Update", "2026-01-01T00:00:00Z")
    text = describe(key, fields, writer=writer, times=10**6, seconds=10**6, pause=600)
    assert len(text) <= MESSAGE_LIMIT
    assert text.endswith(" } ]")
