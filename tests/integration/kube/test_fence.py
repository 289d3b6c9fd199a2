"""The fence in the transport: refused writes send no byte, and the Lease's own wait for nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from agent.kube import auth
from agent.kube.client import Client
from agent.kube.errors import TransportError
from agent.kube.fence import OPEN, SHUT, Fence, LostLease
from agent.kube.lease import LeaseLock, Record
from agent.kube.limit import START
from agent.kube.resource import Resource
from agent.kube.transport import Transport
from tests.controlplane.server import ControlPlane
from tests.eventually import eventually
from tests.faults.proxy import Fault, FaultProxy

CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", True, frozenset(), False)
NOON = "2026-01-01T12:00:00.000000Z"
HELD = Record(holder="a", duration=15, acquired=NOON, renewed=NOON, transitions=0)
BODY = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}


class Counting:
    """A fence that closes after so many looks."""

    def __init__(self, opens: int) -> None:
        self.looks = 0
        self._opens = opens

    def check(self, request: str) -> None:
        self.looks += 1
        if self.looks > self._opens:
            raise LostLease(f"closed: {request}")


@pytest_asyncio.fixture
async def listener() -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that takes whatever comes, keeps it, and answers nothing."""
    received: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(b"")
        while piece := await reader.read(2**16):
            received[-1] += piece
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", received


def direct(url: str) -> auth.Access:
    class Anonymous:
        refresh_api_key_hook = None
        api_key: dict[str, str] = {}  # noqa: RUF012  # never written

    return auth.Access(
        host=url, ssl=False, server_hostname=None, proxy=None, configuration=Anonymous()
    )


@pytest.mark.asyncio
@pytest.mark.parametrize("opens", [0, 1, 2], ids=["at once", "while connecting", "at the body"])
@pytest.mark.parametrize("method", ["create", "update", "patch", "delete", "dry-run"])
async def test_a_fence_that_closes_before_the_last_moment_lets_no_byte_out(
    listener: tuple[str, list[bytes]], opens: int, method: str
) -> None:
    url, received = listener
    fence = Counting(opens)
    async with Transport(direct(url)) as transport:
        client = Client(transport).under(fence)
        with pytest.raises(LostLease, match="closed: "):
            await _write(client, method)
    assert fence.looks > opens
    if opens:  # the connection was made; wait until the server has seen its end
        await eventually(lambda: received)
    assert b"".join(received) == b""


async def _write(client: Client, method: str) -> None:
    if method == "create":
        await client.create(CONFIG_MAPS, BODY, namespace="n")
    elif method == "dry-run":
        await client.create(CONFIG_MAPS, BODY, namespace="n", dry_run=True)
    elif method == "update":
        await client.update(CONFIG_MAPS, BODY, namespace="n", name="x")
    elif method == "patch":
        await client.patch(CONFIG_MAPS, BODY, namespace="n", name="x", content_type="a/b")
    else:
        await client.delete(CONFIG_MAPS, namespace="n", name="x", uid="u", resource_version="1")


@pytest.mark.asyncio
async def test_a_retry_asks_the_fence_again(shaky: Client, proxy: FaultProxy) -> None:
    proxy.plant(Fault(method="POST", status=429, headers={"Retry-After": "0.01"}, times=100))
    fence = Counting(opens=3 + 2)  # three looks a request: the first goes out, the second does not
    with pytest.raises(LostLease):
        await shaky.under(fence).create(CONFIG_MAPS, BODY, namespace="default")
    assert proxy.count("POST", "/configmaps") == 1


@pytest.mark.asyncio
async def test_who_names_no_lease_cannot_write_but_read(kubeconfig: Path) -> None:
    access = await auth.load(kubeconfig=str(kubeconfig))
    async with Transport(access, fence=SHUT) as transport:
        client = Client(transport)
        with pytest.raises(LostLease, match="belongs to no Lease: POST "):
            await client.create(CONFIG_MAPS, BODY, namespace="default")
        assert await client.raw("/version")


@pytest.mark.asyncio
async def test_the_lease_is_renewed_while_all_slots_are_taken(
    shaky: Client, proxy: FaultProxy, namespace: str
) -> None:
    lock = LeaseLock(shaky, namespace=namespace, name="x")
    stored = await lock.create(HELD)
    proxy.plant(Fault(path="/configmaps", times=START, silent=True))
    async with asyncio.TaskGroup() as tasks:
        stuck = [
            tasks.create_task(shaky.get(CONFIG_MAPS, namespace=namespace, name=f"c{number}"))
            for number in range(START + 1)
        ]
        await eventually(lambda: proxy.count("GET", "/configmaps") == START)
        assert (await lock.update(stored, stored.record)).record == stored.record
        assert not stuck[-1].done()
        for task in stuck:
            task.cancel()


@pytest.mark.asyncio
async def test_what_others_wrote_into_the_lease_is_kept(
    client: Client, namespace: str, control_plane: ControlPlane
) -> None:
    lock = LeaseLock(client, namespace=namespace, name="x")
    await lock.create(HELD)
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/x"
    control_plane.client.json(
        "PATCH",
        path,
        {"metadata": {"annotations": {"a": "b"}}},
        content_type="application/merge-patch+json",
    )
    seen = await lock.get()
    assert seen is not None
    await lock.update(seen, seen.record)
    found = control_plane.client.json("GET", path)
    assert found["metadata"]["annotations"] == {"a": "b"}


@pytest.mark.asyncio
async def test_a_broken_connection_is_no_lost_lease() -> None:
    fence: Fence = OPEN
    async with Transport(direct("http://127.0.0.1:1")) as transport:
        with pytest.raises(TransportError, match="cannot reach the API server"):
            await Client(transport).under(fence).create(CONFIG_MAPS, BODY, namespace="n")
