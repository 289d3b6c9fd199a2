"""Where kubectl apply loses something and the applier does not, each by its name.

kubectl's loss is asserted, too: should a newer kubectl keep what this one loses, its case moves to
the triples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from agent.manifest.keys import JSONObject
from tests.integration.oracle.edits import Edit
from tests.integration.oracle.rounds import Report, Round
from tests.integration.oracle.triples import Triple, told


@dataclass(frozen=True)
class Case:
    """A triple, what to look at in the end, and what each of the two makes of it."""

    promise: str
    triple: Triple
    look: Callable[[JSONObject], Any]
    kubectl: Any
    lightkeeper: Any


TCP, UDP = (
    {"name": "tcp", "port": 53, "protocol": "TCP"},
    {"name": "udp", "port": 53, "protocol": "UDP"},
)


def _service(*ports: JSONObject) -> JSONObject:
    return {"spec": {"ports": list(ports)}}


def _deployment(**container: Any) -> JSONObject:
    labels = {"app": "web"}
    pod = {"containers": [{"name": "app", "image": "a", **container}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    return {"spec": {"selector": {"matchLabels": labels}, "template": template}}


def _container(live: JSONObject) -> JSONObject:
    found: JSONObject = live["spec"]["template"]["spec"]["containers"][0]
    return found


def _ports(live: JSONObject) -> list[tuple[int, str]]:
    return [(port["port"], port["protocol"]) for port in live["spec"]["ports"]]


def _env(*values: str) -> list[JSONObject]:
    return [{"name": "A", "value": value} for value in values]


def _labelled(**labels: Any) -> JSONObject:
    return {"metadata": {"labels": labels}}


def _own_labels(live: JSONObject) -> JSONObject:
    labels = live["metadata"].get("labels", {})
    return {name: value for name, value in labels.items() if "/" not in name}


def _finalized(*names: str) -> JSONObject:
    return {"metadata": {"finalizers": [f"example.com/{name}" for name in names]}}


def _set(path: str, value: Any) -> Edit:
    """Return the edit that sets one field; None takes it away."""

    def edit(_rng: Random, live: JSONObject) -> None:
        *parents, last = path.split(".")
        for parent in parents:
            live = live.setdefault(parent, {})
        if value is None:
            live.pop(last, None)
        else:
            live[last] = value

    edit.__name__ = f"set {path}"
    return edit


def _env_removed(_rng: Random, live: JSONObject) -> None:
    del _container(live)["env"]


CASES = [
    Case(
        "a port on 53/UDP joins the one on 53/TCP",
        told("Service", _service(TCP), _service(TCP, UDP)),
        _ports,
        kubectl=[(53, "TCP")],
        lightkeeper=[(53, "TCP"), (53, "UDP")],
    ),
    Case(
        "one of two ports of a number changes",
        told("Service", _service(TCP, UDP), _service(TCP, {**UDP, "targetPort": 5353})),
        lambda live: [port["targetPort"] for port in live["spec"]["ports"]],
        kubectl=[5353, 53],
        lightkeeper=[53, 5353],
    ),
    Case(
        "one of two ports of a number goes",
        told("Service", _service(TCP, UDP), _service(UDP)),
        _ports,
        kubectl=[(53, "TCP"), (53, "UDP")],
        lightkeeper=[(53, "UDP")],
    ),
    Case(
        "a variable is given twice",
        told("Deployment", _deployment(env=_env("1")), _deployment(env=_env("1", "2"))),
        lambda live: [entry["value"] for entry in _container(live)["env"]],
        kubectl=["1"],
        lightkeeper=["1", "2"],
    ),
    Case(
        "one container port for TCP and UDP",
        told(
            "Deployment",
            _deployment(ports=[{"containerPort": 53}]),
            _deployment(ports=[{"containerPort": 53}, {"containerPort": 53, "protocol": "UDP"}]),
        ),
        lambda live: [port["protocol"] for port in _container(live)["ports"]],
        kubectl=["UDP"],
        lightkeeper=["TCP", "UDP"],
    ),
    Case(
        "labels of others stay when git drops all of its own",
        told("ConfigMap", _labelled(a="1"), {}, _set("metadata.labels.theirs", "1")),
        _own_labels,
        kubectl={},
        lightkeeper={"theirs": "1"},
    ),
    Case(
        "what others took away and git drops does not come back empty",
        told("ConfigMap", {"data": {"a": "1"}}, {"data": {}}, _set("data", None)),
        lambda live: live.get("data", {}),
        kubectl={"a": ""},
        lightkeeper={},
    ),
    Case(
        "a label others took away and git drops does not come back empty",
        told("ConfigMap", _labelled(a="1"), _labelled(), _set("metadata.labels.a", None)),
        _own_labels,
        kubectl={"a": ""},
        lightkeeper={},
    ),
    Case(
        "an integer beyond 2^53 is exact in a custom resource",
        told("Widget", {"spec": {"size": 1}}, {"spec": {"size": 1, "free": 2**53 + 1}}),
        lambda live: live["spec"]["free"],
        kubectl=2**53,
        lightkeeper=2**53 + 1,
    ),
    Case(
        "a key that git drops from stringData goes",
        told("Secret", {"stringData": {"a": "1", "b": "2"}}, {"stringData": {"b": "2"}}),
        lambda live: sorted(live["data"]),
        kubectl=["a", "b"],
        lightkeeper=["b"],
    ),
    Case(
        "finalizers are in git's order, be it the alphabet's",
        told("ConfigMap", _finalized("b", "a"), _finalized("a", "b")),
        lambda live: live["metadata"]["finalizers"],
        kubectl=["example.com/b", "example.com/a"],
        lightkeeper=["example.com/a", "example.com/b"],
    ),
    Case(
        "a variable others took away and git drops does not come back empty",
        told("Deployment", _deployment(env=_env("1")), _deployment(env=[]), _env_removed),
        lambda live: _container(live).get("env"),
        kubectl=[{"name": "A"}],
        lightkeeper=None,
    ),
]


@pytest.mark.asyncio
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.promise)
async def test_kubectl_loses_what_the_applier_keeps(round_: Round, case: Case) -> None:
    kubectl, lightkeeper = await _both(round_, case.triple)
    assert case.look(kubectl) == case.kubectl
    assert case.look(lightkeeper) == case.lightkeeper


@pytest.mark.asyncio
async def test_a_finalizer_others_took_away_and_git_drops_does_not_come_back(round_: Round) -> None:
    # With kubectl it does, now and then: its patch says two things of the list, and the server
    # takes them in any order.
    gone = _set("metadata.finalizers", None)
    triple = told("ConfigMap", _finalized("b"), _finalized(), gone)
    _, lightkeeper = await _both(round_, triple)
    assert "finalizers" not in lightkeeper["metadata"]


@pytest.mark.asyncio
async def test_our_labels_keep_the_server_from_copying_those_of_a_jobs_pods(round_: Round) -> None:
    # batch/v1 gives a Job without labels those of its template. A Job of ours is never without.
    labels = {"metadata": {"labels": {"app": "web"}}}
    pod = {"restartPolicy": "Never", "containers": [{"name": "app", "image": "a"}]}
    job = {"spec": {"template": {**labels, "spec": pod}}}
    kubectl, lightkeeper = await _both(round_, told("Job", job, job))
    assert _own_labels(kubectl)["app"] == "web"
    assert _own_labels(lightkeeper) == {}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "said", "look"),
    [
        ("ConfigMap", _labelled(a=None, b="1"), _own_labels),
        ("Widget", {"spec": {"free": {"a": None}}}, lambda live: live["spec"]["free"]),
    ],
    ids=["a label", "a field of a custom resource"],
)
async def test_a_null_in_a_new_object_says_nothing(
    round_: Round, kind: str, said: JSONObject, look: Callable[[JSONObject], Any]
) -> None:
    triple = told(kind, said, said)
    first = await round_.commit([(triple, triple.first)])
    name = triple.object_name
    assert look(first.own_live[name]) == look(first.kubectl_live[name])


async def _both(round_: Round, triple: Triple) -> tuple[JSONObject, JSONObject]:
    """Drive one triple through both sides; return the live objects, kubectl's first."""
    first = await round_.commit([(triple, triple.first)])
    round_.meddle(Report(), [triple], first)
    then = await round_.commit([(triple, triple.then)])
    name = triple.object_name
    assert not then.error(name)
    return then.kubectl_live[name], then.own_live[name]
