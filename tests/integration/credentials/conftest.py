"""A track as the configuration says it, put together with the real API server and git servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import pytest
import pytest_asyncio

from agent.config.load import load
from agent.kube.client import Client
from agent.reconcile.sources import SecretLookup, Sources
from agent.source.fetcher import Fetcher
from agent.source.git import GitSource
from agent.source.login.githubapp import USERNAME
from tests.controlplane.kubectl import Kubectl
from tests.gitservers.forge import Forge
from tests.gitservers.https import HttpsServer
from tests.gitservers.proxies import ProxyServer
from tests.gitservers.sshd import SshServer, generate_key
from tests.gitservers.upstream import Upstream
from tests.integration.credentials.kinds import (
    APP_TOKEN,
    PASSPHRASE,
    PASSWORD,
    USER,
    PutSecret,
    Servers,
)
from tests.integration.kube.conftest import client
from tests.integration.reconcile.conftest import world
from tests.integration.source.conftest import fetcher, served, ssh_server, upstream

__all__ = ["client", "fetcher", "served", "ssh_server", "upstream", "world"]

MakeSource = Callable[..., GitSource]


@pytest.fixture
def https_server(tmp_path: Path, served: Path) -> Iterator[HttpsServer]:
    """An https server of this test's own, so that a test may change whom it lets in."""
    folder = tmp_path / "https"
    folder.mkdir()
    server = HttpsServer(folder, served, {USER: PASSWORD, USERNAME: APP_TOKEN})
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def http_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxyServer]:
    """A proxy that asks for a password."""
    server = ProxyServer("http", tmp_path_factory.mktemp("proxy"))
    server.start()
    yield server
    server.stop()


@pytest_asyncio.fixture
async def forge(tmp_path: Path) -> AsyncIterator[Forge]:
    """A forge with one app, whose token the https server lets in."""
    folder = tmp_path / "forge"
    folder.mkdir()
    async with Forge(folder) as running:
        running.tokens = [APP_TOKEN]
        yield running


@pytest.fixture
def servers(
    upstream: Upstream,
    ssh_server: SshServer,
    https_server: HttpsServer,
    http_proxy: ProxyServer,
    forge: Forge,
    tmp_path: Path,
) -> Iterator[Servers]:
    """All servers, with one repository that has one file."""
    upstream.commit({"a.yaml": "1"})
    locked = generate_key(tmp_path / "locked", passphrase=PASSPHRASE)
    ssh_server.authorize(ssh_server.client_key, locked)
    yield Servers(upstream, ssh_server, locked.read_bytes(), https_server, http_proxy, forge)
    ssh_server.authorize(ssh_server.client_key)


@pytest.fixture
def put_secret(kubectl: Kubectl, tmp_path: Path) -> PutSecret:
    """Make or replace a Secret of the test's namespace."""

    def put(name: str, values: Mapping[str, bytes]) -> None:
        folder = tmp_path / f"secret-{name}"
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for key, value in values.items():
            (folder / key).write_bytes(value)
        made = kubectl("create", "secret", "generic", name, f"--from-file={folder}",
                       "--dry-run=client", "-o", "yaml")  # fmt: skip
        kubectl("apply", "-f", "-", stdin=made.stdout)

    return put


@pytest.fixture
def make_source(client: Client, fetcher: Fetcher, namespace: str, tmp_path: Path) -> MakeSource:
    """Make the source of a track: lines of ``[[track]]`` in, what ``run`` would poll out."""

    def make(*lines: str, environment: Mapping[str, str] | None = None) -> GitSource:
        path = tmp_path / "track.toml"
        settings = ["[agent]", f'state-dir = "{tmp_path / "state"}"', "[[track]]", 'name = "t"']
        path.write_text("\n".join([*settings, f'scope = "{namespace}"', *lines]))
        config = load(path, environment={}, flags={})
        sources = Sources(config.agent, fetcher, environment or {}, SecretLookup(client))
        return sources.build(config.tracks[0])

    return make
