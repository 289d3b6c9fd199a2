"""Every kind of credential from every place there is, each against the server that asks for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from agent.source.snapshot import Trust
from tests.gitservers.forge import APP_ID, INSTALLATION, Forge
from tests.gitservers.https import TOKEN, HttpsServer
from tests.gitservers.proxies import PASSWORD as PROXY_PASSWORD
from tests.gitservers.proxies import USER as PROXY_USER
from tests.gitservers.proxies import ProxyServer
from tests.gitservers.sshd import SshServer, generate_key
from tests.gitservers.upstream import Upstream
from tests.integration.credentials.conftest import PASSWORD, USER, MakeSource, PutSecret

pytestmark = pytest.mark.asyncio

PASSPHRASE = "swordfish"
KINDS = ("ssh", "passphrase", "basic", "bearer", "client", "one-file", "proxy", "app")
ORIGINS = ("file", "env", "secret")
WHOLE = ("whole-secret", "folder")


@dataclass
class Kind:
    """One way in: the bytes by key of a track, and the same as Flux lays them out."""

    url: str
    values: dict[str, bytes]
    layout: dict[str, bytes]
    settings: str = ""
    proxy: dict[str, bytes] = field(default_factory=dict)


Kinds = Callable[[str], Kind]


@pytest_asyncio.fixture
async def forge(tmp_path: Path) -> AsyncIterator[Forge]:
    folder = tmp_path / "forge"
    folder.mkdir()
    async with Forge(folder) as running:
        yield running


@pytest.fixture
def locked_key(ssh_server: SshServer, tmp_path: Path) -> Iterator[bytes]:
    """An encrypted private key that the server lets in."""
    key = generate_key(tmp_path / "locked", passphrase=PASSPHRASE)
    ssh_server.authorize(key)
    yield key.read_bytes()
    ssh_server.authorize(ssh_server.client_key)


def over_ssh(server: SshServer, git: Upstream) -> Kind:
    key, hosts = server.client_key.read_bytes(), server.known_hosts.encode()
    return Kind(
        server.url(git.path),
        {"deploy-key": key, "known-hosts": hosts},
        {"identity": key, "known_hosts": hosts},
    )


def over_https(server: HttpsServer, git: Upstream) -> dict[str, Kind]:
    folder = server.authority.folder
    ca = server.authority.ca.read_bytes()
    certificate, key = ((folder / f"client.{part}").read_bytes() for part in ("pem", "key"))
    login = {"deploy-key": f"{USER}:{PASSWORD}\n".encode(), "ca": ca}
    flux = {"username": USER.encode(), "password": f"{PASSWORD}\n".encode(), "ca.crt": ca}
    pair = {"tls.crt": certificate, "tls.key": key, "ca.crt": ca}
    inside = server.url(git.path, "client")
    return {
        "basic": Kind(server.url(git.path), login, flux, 'type = "HTTPBasicAuth"'),
        "bearer": Kind(
            server.url(git.path, "bearer"),
            {"deploy-key": TOKEN.encode(), "ca": ca},
            {"bearerToken": TOKEN.encode(), "ca.crt": ca},
            'type = "BearerToken"',
        ),
        "client": Kind(
            inside, {"client-certificate": certificate, "client-key": key, "ca": ca}, pair
        ),
        "one-file": Kind(inside, {"client-certificate": key + certificate, "ca": ca}, pair),
    }


@pytest.fixture
def kinds(request: pytest.FixtureRequest, upstream: Upstream, forge: Forge) -> Kinds:
    """Make a way in by its name; only the servers that it needs are started."""
    upstream.commit({"a.yaml": "1"})

    def make(name: str) -> Kind:
        if name in ("ssh", "passphrase"):
            kind = over_ssh(request.getfixturevalue("ssh_server"), upstream)
            if name == "passphrase":
                locked: bytes = request.getfixturevalue("locked_key")
                kind.values |= {"deploy-key": locked, "passphrase": PASSPHRASE.encode()}
                kind.layout |= {"identity": locked, "password": PASSPHRASE.encode()}
            return kind
        server: HttpsServer = request.getfixturevalue("https_server")
        ways = over_https(server, upstream)
        if name == "proxy":
            proxy: ProxyServer = request.getfixturevalue("http_proxy")
            kind = ways["basic"]
            kind.values["proxy"] = proxy.url().encode()
            kind.proxy = {
                "address": f"http://127.0.0.1:{proxy.port}".encode(),
                "username": PROXY_USER.encode(),
                "password": PROXY_PASSWORD.encode(),
            }
            return kind
        if name == "app":
            return for_app(server, upstream, forge)
        return ways[name]

    return make


def for_app(server: HttpsServer, git: Upstream, forge: Forge) -> Kind:
    both = server.authority.ca.read_bytes() + forge.authority.ca.read_bytes()
    return Kind(
        server.url(git.path),
        {"deploy-key": forge.private_key, "ca": both},
        {
            "githubAppID": APP_ID.encode(),
            "githubAppInstallationID": INSTALLATION.encode(),
            "githubAppPrivateKey": forge.private_key,
            "githubAppBaseURL": forge.url.encode(),
            "ca.crt": both,
        },
        f'type = "GitHubApp", app-id = {APP_ID}, installation-id = {INSTALLATION}, '
        f'base-url = "{forge.url}"',
    )


def placed(
    values: dict[str, bytes], origin: str, folder: Path, put_secret: PutSecret
) -> tuple[dict[str, str], dict[str, str]]:
    """Put each value where ``origin`` says; return the inside of its place, and an environment."""
    environment = {}
    places = {}
    if origin == "secret":
        put_secret("placed", values)
    for name, value in values.items():
        if origin == "file":
            (folder / name).write_bytes(value)
            places[name] = f'file = "{folder / name}"'
        elif origin == "env":
            environment[name.upper().replace("-", "_")] = value.decode()
            places[name] = f'env = "{name.upper().replace("-", "_")}"'
        else:
            places[name] = f'secret-name = "placed", key = "{name}"'
    return places, environment


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("name", KINDS)
async def test_each_value_may_be_in_any_place(
    kinds: Kinds,
    make_source: MakeSource,
    put_secret: PutSecret,
    tmp_path: Path,
    name: str,
    origin: str,
) -> None:
    kind = kinds(name)
    places, environment = placed(kind.values, origin, tmp_path, put_secret)
    inner = [places.get("deploy-key", ""), kind.settings]
    if "passphrase" in places:
        inner.append(f"passphrase = {{ {places.pop('passphrase')} }}")
    if "deploy-key" in places:
        places["deploy-key"] = ", ".join(filter(None, inner))
    lines = [f"{key} = {{ {inside} }}" for key, inside in places.items()]
    source = make_source(f'repository = "{kind.url}"', *lines, environment=environment)
    snapshot = await source.poll()
    assert (snapshot.error, snapshot.trust) == (None, Trust.NEW)


@pytest.mark.parametrize("origin", WHOLE)
@pytest.mark.parametrize("name", [name for name in KINDS if name != "one-file"])
async def test_a_secret_or_folder_in_fluxs_layout_is_read_whole(
    kinds: Kinds,
    make_source: MakeSource,
    put_secret: PutSecret,
    tmp_path: Path,
    name: str,
    origin: str,
) -> None:
    kind = kinds(name)
    lines = [f'repository = "{kind.url}"']
    for key, values in (("deploy-key", kind.layout), ("proxy", kind.proxy)):
        if not values:
            continue
        if origin == "whole-secret":
            put_secret(key, values)
            lines.append(f'{key} = {{ secret-name = "{key}" }}')
        else:
            folder = tmp_path / key
            folder.mkdir()
            for file, value in values.items():
                (folder / file).write_bytes(value)
            lines.append(f'{key} = {{ dir = "{folder}" }}')
    snapshot = await make_source(*lines).poll()
    assert (snapshot.error, snapshot.trust) == (None, Trust.NEW)


async def test_a_proxy_that_is_written_down_is_asked_without_password(
    kinds: Kinds, make_source: MakeSource, http_proxy: ProxyServer, tmp_path: Path
) -> None:
    kind = kinds("basic")
    places, environment = placed(kind.values, "env", tmp_path, lambda *_: None)
    lines = [f'ca = {{ {places["ca"]} }}', f"deploy-key = {{ {places['deploy-key']}, "
             f"{kind.settings} }}"]  # fmt: skip
    source = make_source(
        f'repository = "{kind.url}"',
        *lines,
        f'proxy = {{ url = "http://127.0.0.1:{http_proxy.port}" }}',
        environment=environment,
    )
    error = str((await source.poll()).error)
    assert f"proxy http://127.0.0.1:{http_proxy.port}" in error
    assert "407" in error


async def test_what_a_track_says_itself_comes_before_what_a_secret_holds(
    kinds: Kinds, make_source: MakeSource, put_secret: PutSecret, tmp_path: Path
) -> None:
    kind = kinds("basic")
    put_secret("whole", {**kind.layout, "ca.crt": b"no certificate at all"})
    (tmp_path / "ca.pem").write_bytes(kind.values["ca"])
    source = make_source(
        f'repository = "{kind.url}"',
        'deploy-key = { secret-name = "whole" }',
        f'ca = {{ file = "{tmp_path / "ca.pem"}" }}',
    )
    assert (await source.poll()).error is None
