"""Every way to a repository works in the binary, with the libraries that it brings along."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.program import Binary
from tests.gitservers.https import HttpsServer
from tests.gitservers.proxies import ProxyServer
from tests.gitservers.signing import Gpg, SshKey, sign_commit
from tests.gitservers.sshd import SshServer
from tests.gitservers.upstream import Upstream
from tests.integration.reconcile.conftest import World
from tests.integration.reconcile.manifests import config_map

pytestmark = pytest.mark.asyncio


@pytest.fixture
def repository(world: World, upstream: Upstream) -> World:
    """The world with a repository that the servers serve, and one object in it."""
    world.git = upstream
    world.commit({"a.yaml": config_map("a", k="1")})
    return world


@pytest.fixture
def socks_proxy(tmp_path: Path) -> Iterator[ProxyServer]:
    server = ProxyServer("socks5", tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def gpg() -> Iterator[Gpg]:
    home = Gpg()
    yield home
    home.close()


async def converges(binary: Binary, world: World, config: str) -> None:
    world.config()
    done = binary("run", "--once", config)
    assert done.code == 0, done.stderr
    assert ((await world.get("configmap", "a")) or {}).get("data") == {"k": "1"}


def over_https(world: World, server: HttpsServer, host: str = "127.0.0.1") -> None:
    world.repository = server.url(world.git.path, "anonymous").replace("127.0.0.1", host)
    world.track += [f'ca = {{ file = "{server.authority.ca}" }}']


def over_ssh(world: World, server: SshServer) -> None:
    known_hosts = world.folder / "known_hosts"
    known_hosts.write_text(server.known_hosts)
    world.repository = server.url(world.git.path)
    world.track += [
        f'deploy-key = {{ file = "{server.client_key}" }}',
        f'known-hosts = {{ file = "{known_hosts}" }}',
    ]


async def test_over_https_with_a_ca_and_a_name(
    binary: Binary, repository: World, config: str, https_server: HttpsServer
) -> None:
    over_https(repository, https_server, "localhost")
    await converges(binary, repository, config)


async def test_https_without_the_ca_is_refused_and_said(
    binary: Binary, repository: World, config: str, https_server: HttpsServer
) -> None:
    over_https(repository, https_server)
    repository.track = []
    repository.config()
    done = binary("run", "--once", config)
    assert done.code == 1
    assert "certificate" in done.stderr


async def test_over_ssh_with_a_deploy_key_and_known_hosts(
    binary: Binary, repository: World, config: str, ssh_server: SshServer
) -> None:
    over_ssh(repository, ssh_server)
    await converges(binary, repository, config)


@pytest.mark.parametrize("transport", ["https", "ssh"])
async def test_through_a_socks_proxy(
    binary: Binary,
    repository: World,
    config: str,
    https_server: HttpsServer,
    ssh_server: SshServer,
    socks_proxy: ProxyServer,
    transport: str,
) -> None:
    if transport == "https":
        over_https(repository, https_server)
    else:
        over_ssh(repository, ssh_server)
    place = repository.folder / "proxy"
    place.write_text(socks_proxy.url())
    repository.track += [f'proxy = {{ file = "{place}" }}']
    await converges(binary, repository, config)
    assert socks_proxy.connections() > 0


@pytest.mark.parametrize("kind", ["ssh", "openpgp"])
async def test_only_what_is_well_signed_is_applied(
    binary: Binary, repository: World, config: str, gpg: Gpg, kind: str
) -> None:
    signers = repository.folder / "signers"
    if kind == "ssh":
        ssh = SshKey.make(repository.folder / "ada")
        signers.write_text(ssh.line + "\n")
    else:
        pgp = gpg.make("ada", "ed25519")
        signers.write_bytes(pgp.public())
    repository.track = [f'verify = {{ keys = "{signers}" }}']
    repository.config()
    done = binary("run", "--once", config)
    assert done.code == 1
    assert "is not signed" in done.stderr
    sign_commit(repository.git, ssh if kind == "ssh" else pgp)
    await converges(binary, repository, config)
