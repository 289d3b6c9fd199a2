"""An agent with its ports open, and somebody who asks there."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from tests.controlplane.ports import free_port
from tests.controlplane.process import run
from tests.eventually import eventually
from tests.integration.kube.conftest import client
from tests.integration.reconcile.conftest import World, cleanup, world

__all__ = ["cleanup", "client", "world"]

MANIFEST = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web, namespace: NS}\ndata: {k: v}\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    text: str
    headers: dict[str, str]


@dataclass
class Door:
    """The two ports of an agent. ``ca`` is the authority of its certificate, None for plain."""

    world: World
    metrics_port: int = field(default_factory=free_port)
    health_port: int = field(default_factory=free_port)
    ca: Path | None = None

    def __post_init__(self) -> None:
        self.world.metrics_address = f"127.0.0.1:{self.metrics_port}"
        self.world.health_address = f"127.0.0.1:{self.health_port}"

    async def health(self, path: str) -> Answer:
        return await _get(f"http://127.0.0.1:{self.health_port}{path}")

    async def metrics(self, path: str, *, token: str = "") -> Answer:
        tls = ssl.create_default_context(cafile=self.ca) if self.ca else False
        scheme = "https" if self.ca else "http"
        return await _get(f"{scheme}://127.0.0.1:{self.metrics_port}{path}", token, tls)

    async def is_ready(self) -> bool:
        return (await self.health("/readyz")).status == 200

    def secure(self, pair: Pair, *lines: str) -> None:
        """Have /metrics and /status served with a certificate."""
        self.ca = pair.cert
        self.world.settings += [
            f'metrics-cert-file = "{pair.cert}"',
            f'metrics-key-file = "{pair.key}"',
            *lines,
        ]


async def _get(url: str, token: str = "", tls: ssl.SSLContext | bool = False) -> Answer:
    """Ask once somebody listens."""

    async def listened_to() -> Answer | None:
        try:
            return await _ask(url, token, tls)
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, ConnectionRefusedError):
                return None
            raise

    answer: Answer = await eventually(listened_to, within=30, what=f"somebody behind {url}")
    return answer


async def _ask(url: str, token: str, tls: ssl.SSLContext | bool) -> Answer:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    timeout = aiohttp.ClientTimeout(total=30)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(url, headers=headers, ssl=tls) as response,
    ):
        return Answer(response.status, await response.text(), dict(response.headers))


@dataclass(frozen=True, slots=True)
class Pair:
    """A self-signed certificate for 127.0.0.1 and its key."""

    cert: Path
    key: Path

    @classmethod
    def make(cls, folder: Path, name: str) -> Pair:
        pair = cls(folder / f"{name}.crt", folder / f"{name}.key")
        run(
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "30", "-subj", f"/CN={name}"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", pair.key, "-out", pair.cert),
        )
        return pair


@pytest.fixture
def door(world: World) -> Door:
    """An agent that is not running yet, with two free ports to open."""
    return Door(world)
