"""Events land where kubectl shows them, and never stand in anybody's way."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from agent.kube import auth
from agent.kube.client import Client
from agent.kube.events import ATTEMPTS, QUEUE, EventRecorder
from agent.kube.eventseries import BURST, COMBINED, MAX_SIMILAR, Event, ObjectReference
from agent.kube.transport import Transport
from tests.controlplane.kubectl import Kubectl
from tests.controlplane.server import ControlPlane
from tests.eventually import eventually
from tests.faults.proxy import Fault, FaultProxy

pytestmark = pytest.mark.asyncio


def about(namespace: str, uid: str = "uid-1") -> ObjectReference:
    return ObjectReference("v1", "ConfigMap", namespace, "lightkeeper.shop", uid)


def created(namespace: str, name: str = "a") -> Event:
    return Event(about(namespace), "Normal", "CreateSuccessful", f"Created child '{name}'")


@asynccontextmanager
async def recording(client: Client) -> AsyncIterator[EventRecorder]:
    """A recorder whose background task runs, drained at the end."""
    recorder = EventRecorder(client, instance="pod-1")
    task = asyncio.create_task(recorder.run())
    try:
        yield recorder
        await recorder.drain(5)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def events(kubectl: Kubectl) -> list[dict[str, Any]]:
    done = await asyncio.to_thread(kubectl, "get", "events", "-o", "json")
    items: list[dict[str, Any]] = json.loads(done.stdout)["items"]
    return items


async def test_kubectl_describe_shows_it_with_the_object(client: Client, kubectl: Kubectl) -> None:
    namespace = kubectl.namespace or ""
    await asyncio.to_thread(kubectl, "create", "configmap", "lightkeeper.shop")
    read = await asyncio.to_thread(
        kubectl, "get", "configmap", "lightkeeper.shop", "-o", "jsonpath={.metadata.uid}"
    )
    message = "Failed to create child 'b'"
    async with recording(client) as recorder:
        recorder.record(Event(about(namespace, read.stdout), "Warning", "CreateFailed", message))
    described = await asyncio.to_thread(kubectl, "describe", "configmap", "lightkeeper.shop")
    line = described.stdout.splitlines()[-1].split()
    assert line[:2] == ["Warning", "CreateFailed"]
    assert " ".join(line[3:]) == f"lightkeeper {message}"


async def test_it_has_all_that_client_go_writes(client: Client, kubectl: Kubectl) -> None:
    async with recording(client) as recorder:
        recorder.record(created(kubectl.namespace or ""))
    [event] = await events(kubectl)
    prefix, _, stamp = event["metadata"]["name"].rpartition(".")
    assert prefix == "lightkeeper.shop"
    assert int(stamp, 16) > 10**18, "nanoseconds"
    assert event["source"] == {"component": "lightkeeper"}
    assert (event["reportingComponent"], event["reportingInstance"]) == ("lightkeeper", "pod-1")
    assert event["involvedObject"]["uid"] == "uid-1"
    assert event["count"] == 1
    assert event["firstTimestamp"] == event["lastTimestamp"]


async def test_a_repeat_counts_up_and_one_that_expired_is_made_anew(
    client: Client, kubectl: Kubectl
) -> None:
    recorder = EventRecorder(client, instance="pod-1")
    for _ in range(3):
        recorder.record(created(kubectl.namespace or ""))
        await recorder.drain(5)
    [event] = await events(kubectl)
    assert event["count"] == 3
    await asyncio.to_thread(kubectl, "delete", "event", event["metadata"]["name"])
    recorder.record(created(kubectl.namespace or ""))
    await recorder.drain(5)
    [anew] = await events(kubectl)
    assert anew["count"] == 4
    assert anew["metadata"]["name"] != event["metadata"]["name"]


async def test_a_thousand_at_once_are_a_few_requests_and_the_count_is_right(
    client: Client, kubectl: Kubectl, control_plane: ControlPlane
) -> None:
    mark = control_plane.mark()
    async with recording(client) as recorder:
        for number in range(1000):
            recorder.record(created(kubectl.namespace or "", str(number)))
            await asyncio.sleep(0)
    found = await events(kubectl)
    assert sum(event["count"] for event in found) == 1000
    assert sum(event["message"].startswith(COMBINED) for event in found) == 1
    sent = [r for r in control_plane.audit(mark, user_agent="lightkeeper/") if r.resource]
    assert MAX_SIMILAR < len(sent) <= BURST


async def test_a_403_is_said_once_and_stops_nothing(
    control_plane: ControlPlane, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    access = await auth.load(kubeconfig=str(control_plane.user("nobody")))
    async with Transport(access) as transport:
        recorder = EventRecorder(Client(transport), instance="pod-1")
        for name in ("a", "b", "c"):
            recorder.record(created(namespace, name))
            await recorder.drain(5)
    [said] = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert said.getMessage() == "events cannot be written"
    assert "allow create and patch of events" in str(said.__dict__["fields"])


async def test_what_happened_while_the_server_was_away_is_written_afterwards(
    shaky: Client, proxy: FaultProxy, kubectl: Kubectl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.kube.events._RETRY", (0.01, 0.1))
    fault = proxy.plant(Fault("POST", "/events", times=3, status=500))
    async with recording(shaky) as recorder:
        recorder.record(created(kubectl.namespace or "", "a"))
        recorder.record(created(kubectl.namespace or "", "b"))

        async def both() -> bool:
            return len(await events(kubectl)) == 2

        await eventually(both)
    assert fault.times == 0


async def test_an_event_that_never_gets_through_is_let_go(
    shaky: Client, proxy: FaultProxy, namespace: str
) -> None:
    proxy.plant(Fault("POST", "/events", times=10**6, status=500))
    recorder = EventRecorder(shaky, instance="pod-1")
    recorder.record(created(namespace))
    for _ in range(ATTEMPTS + 3):
        await recorder.drain(5)
    assert proxy.count("POST", "/events") == ATTEMPTS


async def test_an_answer_that_got_lost_makes_no_second_event(
    shaky: Client, proxy: FaultProxy, kubectl: Kubectl
) -> None:
    proxy.plant(Fault("POST", "/events", cut_after=0))
    recorder = EventRecorder(shaky, instance="pod-1")
    recorder.record(created(kubectl.namespace or ""))
    for _ in range(2):
        await recorder.drain(5)
    [event] = await events(kubectl)
    assert event["count"] == 1


async def test_the_end_does_not_wait_for_a_server_that_does_not_answer(
    shaky: Client, proxy: FaultProxy, namespace: str
) -> None:
    proxy.plant(Fault("POST", "/events", silent=True))
    recorder = EventRecorder(shaky, instance="pod-1")
    recorder.record(created(namespace))
    async with asyncio.timeout(2):
        await recorder.drain(0.1)


async def test_more_than_fits_is_dropped_and_not_kept_in_memory(
    shaky: Client, proxy: FaultProxy, namespace: str
) -> None:
    recorder = EventRecorder(shaky, instance="pod-1")
    for number in range(QUEUE + 50):
        recorder.record(Event(about(namespace, f"u{number}"), "Normal", "CreateSuccessful", "x"))
    await recorder.drain(30)
    assert proxy.count("POST", "/events") == QUEUE
