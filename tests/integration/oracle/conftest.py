"""A round of the oracle: two namespaces, and the two that apply to them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from secrets import token_hex

import pytest
import pytest_asyncio

from agent.kube import auth
from agent.kube.client import Client
from agent.kube.discovery import Discovery
from agent.kube.resource import Resource
from agent.kube.transport import Transport
from tests.controlplane.server import ControlPlane
from tests.integration.oracle.customs import WIDGET_CRD
from tests.integration.oracle.kinds import KINDS, Kind
from tests.integration.oracle.rounds import Round
from tests.integration.oracle.sides import KubectlSide, Side, lightkeeper


@pytest.fixture(scope="session")
def widgets(control_plane: ControlPlane) -> Iterator[None]:
    """The custom resources of the oracle, served for as long as its tests run."""
    name = f"crd/{WIDGET_CRD['metadata']['name']}"
    control_plane.kubectl("create", "--filename=-", stdin=json.dumps(WIDGET_CRD))
    control_plane.kubectl("wait", "--for=condition=Established", name)
    yield
    control_plane.kubectl("delete", name, "--wait=false")


@pytest_asyncio.fixture
async def client(control_plane: ControlPlane) -> AsyncIterator[Client]:
    """The applier's client."""
    async with Transport(await auth.load(kubeconfig=str(control_plane.kubeconfig))) as transport:
        yield Client(transport)


@pytest_asyncio.fixture
async def round_(
    control_plane: ControlPlane, client: Client, widgets: None, tmp_path: Path
) -> AsyncIterator[Round]:
    """A round in two new namespaces."""
    discovery = Discovery(client)
    resources = {kind.name: await _resource(discovery, kind) for kind in KINDS}
    with _side(control_plane, resources) as theirs, _side(control_plane, resources) as ours:
        yield Round(
            control_plane=control_plane,
            theirs=_kubectl(control_plane, theirs, tmp_path),
            ours=lightkeeper(ours, client, discovery),
        )


@pytest.fixture
def takeover(round_: Round, control_plane: ControlPlane, tmp_path: Path) -> Round:
    """A round in which kubectl applied the first commit on our side, too."""
    ours = _kubectl(control_plane, round_.ours.side, tmp_path)
    return replace(round_, takes_over=ours)


def _kubectl(control_plane: ControlPlane, side: Side, folder: Path) -> KubectlSide:
    return KubectlSide(side, control_plane.kubectl.within(side.namespace), folder / side.namespace)


async def _resource(discovery: Discovery, kind: Kind) -> Resource:
    resource = await discovery.resolve(kind.gvk)
    if resource is None:
        pytest.skip(f"the server has no {kind.gvk}")
    return resource


@contextmanager
def _side(control_plane: ControlPlane, resources: dict[str, Resource]) -> Iterator[Side]:
    """A namespace, emptied and removed afterwards."""
    namespace = f"oracle-{token_hex(4)}"
    side = Side(namespace, control_plane.client, resources)
    control_plane.create_namespace(namespace)
    yield side
    side.remove_cluster_scoped(KINDS)
    # Removed in etcd, Services would keep their addresses and ports from the tests after this one.
    control_plane.kubectl.within(namespace)("delete", "services", "--all", "--wait=false")
    control_plane.remove_namespace(namespace)
