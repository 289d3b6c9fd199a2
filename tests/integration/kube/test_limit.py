"""How many requests are under way: a slow or busy server gets fewer, and nobody is starved."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from agent.kube import auth
from agent.kube.errors import ApiError, NotFound
from agent.kube.fence import OPEN, Lane
from agent.kube.limit import START, WINDOW
from agent.kube.transport import Transport
from tests.controlplane import access
from tests.controlplane.server import ControlPlane
from tests.eventually import eventually
from tests.faults.proxy import Fault, FaultProxy

pytestmark = pytest.mark.asyncio

URGENT = Lane(OPEN, urgent=True)


class Requester:
    """Makes requests about ConfigMaps of one namespace."""

    def __init__(self, transport: Transport, namespace: str) -> None:
        self.transport = transport
        self.path = f"/api/v1/namespaces/{namespace}/configmaps"

    async def create(self, name: str, *, urgent: bool = False) -> None:
        """Create an object, in the lane of the Lease if it is urgent."""
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
        headers = {"Content-Type": "application/json"}
        lane = URGENT if urgent else Lane()
        await self.transport.request(
            "POST", self.path, body=json.dumps(body).encode(), headers=headers, lane=lane
        )

    async def look_for(self, name: str, *, deadline: float = 30.0) -> int:
        """Read an object that is not there; return the status of the answer."""
        with pytest.raises(ApiError) as raised:
            await self.transport.request("GET", f"{self.path}/{name}", deadline=deadline)
        return raised.value.status


@pytest_asyncio.fixture
async def requester(
    proxy: FaultProxy, control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> AsyncIterator[Requester]:
    path = access.write_kubeconfig(
        tmp_path / "proxy.kubeconfig", url=proxy.url, ca=control_plane.ca, user={"token": "none"}
    )
    async with Transport(await auth.load(kubeconfig=str(path))) as transport:
        yield Requester(transport, namespace)


async def test_who_waits_for_a_slot_does_so_without_a_deadline(
    requester: Requester, proxy: FaultProxy
) -> None:
    proxy.plant(Fault(path="/configmaps/slow", times=START, delay=3.0))
    slow = [asyncio.ensure_future(requester.look_for("slow")) for _ in range(START)]
    await eventually(lambda: proxy.count("GET", "/slow") == START)
    assert await requester.look_for("quick", deadline=2.0) == 404
    assert await asyncio.gather(*slow) == [404] * START


async def test_a_busy_server_is_asked_by_nobody_until_its_retry_after_but_for_the_lease(
    requester: Requester, proxy: FaultProxy
) -> None:
    busy = proxy.plant(Fault(method="POST", status=429, headers={"Retry-After": "3"}))
    refused = asyncio.ensure_future(requester.create("a"))
    await eventually(lambda: busy.times == 0 and requester.transport.limit < START)
    others = [asyncio.ensure_future(requester.look_for("b")) for _ in range(3)]
    await requester.create("urgent", urgent=True)
    assert not refused.done()
    assert proxy.count("GET", "/configmaps/b") == 0
    await refused
    assert await asyncio.gather(*others) == [404] * 3
    assert requester.transport.limit == START // 2


async def test_a_refusal_that_is_about_one_kind_holds_up_nobody_else(
    requester: Requester, proxy: FaultProxy
) -> None:
    about = {
        "kind": "Status",
        "code": 429,
        "reason": "TooManyRequests",
        "message": "storage is (re)initializing",
        "details": {"retryAfterSeconds": 3},
    }
    starting = proxy.plant(Fault(method="POST", status=429, body=json.dumps(about)))
    refused = asyncio.ensure_future(requester.create("a"))
    await eventually(lambda: starting.times == 0)
    assert await requester.look_for("b") == 404
    assert not refused.done()
    assert requester.transport.limit == START
    await refused


async def test_a_busy_aggregated_server_holds_up_nobody_else(
    requester: Requester, proxy: FaultProxy
) -> None:
    headers = {"Retry-After": "3"}
    proxy.plant(Fault(path="/apis/busy.example.com", status=429, headers=headers, times=2 * START))
    things = "/apis/busy.example.com/v1/things"
    busy = [
        asyncio.ensure_future(requester.transport.request("GET", things)) for _ in range(2 * START)
    ]
    await eventually(lambda: proxy.count("GET", "/things") == 2 * START)
    assert await requester.look_for("b", deadline=2.0) == 404
    assert requester.transport.limit == START
    answers = await asyncio.gather(*busy, return_exceptions=True)
    assert [type(answer) for answer in answers] == [NotFound] * 2 * START


async def test_a_server_that_gets_slow_is_asked_less_at_once(
    requester: Requester, proxy: FaultProxy
) -> None:
    await requester.create("first")  # so fast it can be
    proxy.plant(Fault(method="POST", delay=1.0, times=3 * WINDOW))
    await asyncio.gather(*(requester.create(f"slow-{number}") for number in range(3 * WINDOW)))
    limit, proxy.peak = requester.transport.limit, 0
    assert limit <= START - 4
    proxy.plant(Fault(method="POST", delay=0.5, times=2 * START))
    await asyncio.gather(*(requester.create(f"then-{number}") for number in range(2 * START)))
    assert proxy.peak <= limit


async def test_a_request_that_is_given_up_leaves_its_slot_to_others(
    requester: Requester, proxy: FaultProxy
) -> None:
    proxy.plant(Fault(path="/silent", silent=True, times=START))
    stuck = [asyncio.ensure_future(requester.look_for("silent")) for _ in range(START)]
    await eventually(lambda: proxy.count("GET", "/silent") == START)
    waiting = [asyncio.ensure_future(requester.look_for("b")) for _ in range(3)]
    await asyncio.sleep(0)
    for request in [*stuck, waiting[0]]:
        request.cancel()
    assert await asyncio.gather(*waiting[1:]) == [404, 404]
    await asyncio.gather(*stuck, return_exceptions=True)
