"""A store follows the real API server through everything that happens to a watch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from agent.kube import client as client_module
from agent.kube import reflector as reflector_module
from agent.kube.client import Client
from agent.kube.reflector import Reflector, Selection, State
from agent.kube.resource import Resource
from agent.kube.store import Store
from tests.controlplane.kubectl import Kubectl
from tests.controlplane.server import ControlPlane
from tests.eventually import eventually
from tests.faults.proxy import Fault, FaultProxy

pytestmark = pytest.mark.asyncio

CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", True, frozenset(), False)
WIDGETS = Resource("none.example", "v1", "Widget", "widgets", True, frozenset(), False)
SELECTOR = "watched=yes"

Seen = list[tuple[Any, Any]]


@asynccontextmanager
async def following(
    client: Client, namespace: str, resource: Resource = CONFIG_MAPS
) -> AsyncIterator[tuple[Reflector[Any], Store[Any], Seen]]:
    seen: Seen = []
    store: Store[Any] = Store(lambda old, new, _: seen.append((old, new)))
    reflector: Reflector[Any] = Reflector(
        client=client,
        resource=resource,
        project=lambda obj: (obj["metadata"]["name"], (obj.get("data") or {}).get("x")),
        store=store,
        on_gone=lambda: None,
        selection=Selection(selector=SELECTOR, namespace=namespace),
    )
    task = asyncio.create_task(reflector.run())
    try:
        await reflector.settled()
        yield reflector, store, seen
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def put(kubectl: Kubectl, name: str, x: str) -> None:
    kubectl("create", "configmap", name, f"--from-literal=x={x}")
    kubectl("label", "configmap", name, SELECTOR)


def records(store: Store[Any]) -> set[Any]:
    return set(store)


async def test_follows_creation_change_deletion_and_the_loss_of_the_label(
    client: Client, kubectl: Kubectl, namespace: str
) -> None:
    put(kubectl, "a", "1")
    kubectl("create", "configmap", "unmarked", "--from-literal=x=1")
    async with following(client, namespace) as (_, store, seen):
        assert records(store) == {("a", "1")}
        put(kubectl, "b", "1")
        await eventually(lambda: ("b", "1") in records(store))
        kubectl("patch", "configmap", "a", "-p", '{"data":{"x":"2"}}')
        await eventually(lambda: ("a", "2") in records(store))
        kubectl("delete", "configmap", "b")
        await eventually(lambda: records(store) == {("a", "2")})
        kubectl("label", "configmap", "a", "watched-")
        await eventually(lambda: records(store) == set())
        assert seen == [
            (None, ("a", "1")),
            (None, ("b", "1")),
            (("a", "1"), ("a", "2")),
            (("b", "1"), None),
            (("a", "2"), None),
        ]


async def test_lists_in_pages(
    client: Client, kubectl: Kubectl, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "PAGE", 2)
    for number in range(5):
        put(kubectl, f"a{number}", "1")
    async with following(client, namespace) as (_, store, _seen):
        assert len(store) == 5


async def test_a_cut_watch_is_resumed_without_a_new_list(
    shaky: Client, proxy: FaultProxy, kubectl: Kubectl, namespace: str
) -> None:
    put(kubectl, "a", "1")
    proxy.plant(Fault(watch=True, cut_after=1))
    async with following(shaky, namespace) as (_, store, _seen):
        put(kubectl, "b", "1")  # the answer to this event is cut
        await eventually(lambda: len(store) == 2)
        assert proxy.count("GET", "configmaps") == 1
        assert proxy.count("WATCH", "configmaps") == 2


async def test_410_is_answered_by_a_new_list_that_finds_what_was_missed(
    shaky: Client, proxy: FaultProxy, kubectl: Kubectl, namespace: str
) -> None:
    put(kubectl, "a", "1")
    put(kubectl, "b", "1")
    gone = '{"kind":"Status","status":"Failure","reason":"Expired","message":"too old","code":410}'
    # The first watch is cut at its first byte; the next answer is that history is gone.
    proxy.plant(Fault(watch=True, delay=0.5, cut_after=1))
    proxy.plant(Fault(watch=True, status=410, body=gone))
    async with following(shaky, namespace) as (_, store, seen):
        kubectl("delete", "configmap", "b")
        await eventually(lambda: records(store) == {("a", "1")})
        assert (("b", "1"), None) in seen
        assert proxy.count("GET", "configmaps") == 2


async def test_410_as_an_event_is_answered_by_a_new_list(
    shaky: Client, proxy: FaultProxy, kubectl: Kubectl, namespace: str
) -> None:
    put(kubectl, "a", "1")
    event = '{"type":"ERROR","object":{"kind":"Status","reason":"Expired","code":410}}\n'
    proxy.plant(Fault(watch=True, status=200, body=event))
    async with following(shaky, namespace) as (_, _store, _seen):
        await eventually(lambda: proxy.count("GET", "configmaps") == 2)


@pytest.mark.parametrize("times", [1, 2])
async def test_one_watch_that_is_too_late_for_its_list_is_no_failure_but_two_are(
    shaky: Client,
    proxy: FaultProxy,
    kubectl: Kubectl,
    namespace: str,
    times: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As of a kind whose CRD has just been made: the server has no history back to the list."""
    put(kubectl, "a", "1")
    gone = '{"kind":"Status","status":"Failure","reason":"Expired","message":"too old","code":410}'
    for _ in range(times):
        proxy.plant(Fault(watch=True, status=410, body=gone))
    async with following(shaky, namespace) as (reflector, store, _):
        await eventually(lambda: proxy.count("WATCH", "configmaps") > times)
        put(kubectl, "b", "1")
        await eventually(lambda: records(store) == {("a", "1"), ("b", "1")})
        assert (reflector.state, reflector.error) == (State.SYNCED, None)
    assert ("cannot watch" in caplog.text) == (times == 2)


async def test_a_silent_watch_counts_as_dead(
    shaky: Client,
    proxy: FaultProxy,
    kubectl: Kubectl,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reflector_module, "INACTIVITY", 0.5)
    proxy.plant(Fault(watch=True, hold=True))
    async with following(shaky, namespace) as (_, store, _seen):
        put(kubectl, "a", "1")
        await eventually(lambda: len(store) == 1, what="the event after the silence")


async def test_a_server_that_closes_at_once_is_not_asked_in_a_tight_loop(
    shaky: Client, proxy: FaultProxy, namespace: str
) -> None:
    proxy.plant(Fault(watch=True, status=200, body="", times=1000))
    async with following(shaky, namespace):
        await asyncio.sleep(1.5)
        assert proxy.count("WATCH", "configmaps") <= 4


async def test_a_kind_that_is_not_served_fails_alone_and_says_why(
    client: Client, namespace: str
) -> None:
    async with following(client, namespace, WIDGETS) as (reflector, store, _seen):
        assert reflector.state is State.FAILING
        assert "404" in str(reflector.error)
        assert len(store) == 0


async def test_the_watch_outlives_the_api_server(
    control_plane: ControlPlane,
    client: Client,
    kubectl: Kubectl,
    namespace: str,
) -> None:
    put(kubectl, "a", "1")
    async with following(client, namespace) as (_, store, _seen):
        await asyncio.to_thread(control_plane.restart_apiserver)
        put(kubectl, "b", "1")
        await eventually(lambda: len(store) == 2, within=40)
