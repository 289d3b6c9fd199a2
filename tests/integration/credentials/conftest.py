"""A track as the configuration says it, put together with the real API server and git servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from agent.config.load import load
from agent.kube.client import Client
from agent.reconcile.sources import SecretLookup, Sources
from agent.source.fetcher import Fetcher
from agent.source.git import GitSource
from agent.source.githubapp import USERNAME
from tests.controlplane.kubectl import Kubectl
from tests.gitservers.https import HttpsServer
from tests.gitservers.proxies import ProxyServer
from tests.integration.kube.conftest import client
from tests.integration.reconcile.conftest import world
from tests.integration.source.conftest import fetcher, served, ssh_server, upstream

__all__ = ["client", "fetcher", "served", "ssh_server", "upstream", "world"]

USER, PASSWORD, APP_TOKEN = "ada", "c4nary:p4ssw0rd", "ghs_first"

MakeSource = Callable[..., GitSource]
PutSecret = Callable[[str, Mapping[str, bytes]], None]


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
