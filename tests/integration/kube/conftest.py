"""A client for the real API server, straight or through the fault proxy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from agent.kube import auth
from agent.kube.client import Client
from agent.kube.transport import Transport
from tests.controlplane import access
from tests.controlplane.newer import NewerServer
from tests.controlplane.server import ControlPlane
from tests.faults.proxy import FaultProxy
from tests.integration.kube.gears import serve_gears


@pytest_asyncio.fixture
async def client(kubeconfig: Path) -> AsyncIterator[Client]:
    """The administrator's client."""
    async with Transport(await auth.load(kubeconfig=str(kubeconfig))) as transport:
        yield Client(transport)


@pytest_asyncio.fixture
async def proxy(control_plane: ControlPlane) -> AsyncIterator[FaultProxy]:
    """A proxy in front of the API server that passes everything until told otherwise."""
    async with FaultProxy(
        control_plane.url, ca=control_plane.ca, token=control_plane.admin_token
    ) as running:
        yield running


@pytest_asyncio.fixture
async def shaky(
    proxy: FaultProxy, control_plane: ControlPlane, tmp_path: Path
) -> AsyncIterator[Client]:
    """The administrator's client, by way of the proxy."""
    path = access.write_kubeconfig(
        tmp_path / "proxy.kubeconfig", url=proxy.url, ca=control_plane.ca, user={"token": "none"}
    )
    async with Transport(await auth.load(kubeconfig=str(path))) as transport:
        yield Client(transport)


@pytest.fixture(scope="package")
def newer(newer_assets: Path, control_plane: ControlPlane) -> Iterator[NewerServer]:
    """An API server of today, which has gears."""
    with NewerServer(newer_assets, control_plane) as server:
        serve_gears(server)
        yield server
