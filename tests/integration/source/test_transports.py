"""Every kind of credential over every way: directly, through an HTTP proxy, through SOCKS."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.source.errors import AuthError, FetchError, ProxyError
from agent.source.fetcher import Deadline, Fetcher
from agent.source.login.credentials import CredentialKind, Credentials, for_url
from agent.source.snapshot import Snapshot, Trust
from agent.source.url import GitUrl
from tests.gitservers.https import TOKEN, Door, HttpsServer
from tests.gitservers.ports import free_port
from tests.gitservers.proxies import PASSWORD as PROXY_PASSWORD
from tests.gitservers.proxies import ProxyServer
from tests.gitservers.sshd import SshServer, generate_key
from tests.gitservers.upstream import Upstream
from tests.integration.source.conftest import PASSWORD, Remote, Track

pytestmark = [pytest.mark.integration, pytest.mark.asyncio]

WAYS = ["direct", "http", "socks5", "socks5h", "socks4", "socks4a"]


@pytest.fixture(scope="module")
def proxies(
    tmp_path_factory: pytest.TempPathFactory, ssh_server: SshServer
) -> Iterator[dict[str, ProxyServer]]:
    started = {}
    for kind in ("http", "socks5", "socks4"):
        proxy = ProxyServer(kind, tmp_path_factory.mktemp(kind), ssh_server)
        proxy.start()
        started[kind] = proxy
    yield started
    for proxy in started.values():
        proxy.stop()


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, proxies: dict[str, ProxyServer]) -> Iterator[str]:
    """The URL of a proxy, "" for none; the test fails if it was not used."""
    if request.param == "direct":
        yield ""
        return
    proxy = proxies[request.param[:6]]
    before = proxy.connections()
    yield proxy.url(scheme=request.param)
    assert proxy.connections() > before


Reach = Callable[..., Remote]


@pytest.fixture
def reach(upstream: Upstream, https_server: HttpsServer, way: str) -> Reach:
    """Make the remote behind a door; keyword arguments replace parts of its credentials."""
    upstream.commit({"deploy/a.yaml": "1"})
    ca = https_server.authority.ca.read_bytes()

    def make(door: Door, **parts: Any) -> Remote:
        credentials = replace(Credentials(ca=ca, proxy=way), **parts)
        return Remote(upstream, https_server.url(upstream.path, door), credentials, lambda: 0)

    return make


def _client(https_server: HttpsServer) -> dict[str, Any]:
    folder = https_server.authority.folder
    return {
        "client_certificate": (folder / "client.pem").read_bytes(),
        "client_key": (folder / "client.key").read_bytes(),
    }


def _basic(password: str = PASSWORD) -> dict[str, Any]:
    return {"kind": CredentialKind.BASIC, "username": "ada", "secret": password.encode()}


def _bearer(token: str = TOKEN) -> dict[str, Any]:
    return {"kind": CredentialKind.BEARER, "secret": f"{token}\n".encode()}


async def _fetched(track: Track, remote: Remote) -> None:
    source = track(remote)
    snapshot = await source.poll()
    assert snapshot.error is None
    assert snapshot.trust is Trust.NEW
    assert list((await source.read(snapshot.files)).values()) == [b"1"]
    assert (await source.poll()).trust is Trust.UNCHANGED


async def _refused(track: Track, remote: Remote, *told: str) -> None:
    snapshot = await track(remote).poll()
    assert isinstance(snapshot.error, AuthError), snapshot.error
    _tells(snapshot, *told)


def _tells(snapshot: Snapshot, *told: str) -> None:
    for text in told:
        assert text in str(snapshot.error)
    for secret in (PASSWORD, TOKEN, PROXY_PASSWORD, "wr0ng"):
        assert secret not in repr(snapshot)


async def test_an_anonymous_repository_is_read(track: Track, reach: Reach) -> None:
    await _fetched(track, reach("anonymous"))


async def test_a_user_name_and_password_are_shown(track: Track, reach: Reach) -> None:
    await _fetched(track, reach("basic", **_basic()))


async def test_a_bearer_token_is_shown(track: Track, reach: Reach) -> None:
    await _fetched(track, reach("bearer", **_bearer()))


async def test_a_client_certificate_is_shown(
    track: Track, reach: Reach, https_server: HttpsServer
) -> None:
    await _fetched(track, reach("client", **_client(https_server)))


async def test_a_repository_without_tls_is_read(track: Track, reach: Reach) -> None:
    await _fetched(track, reach("plain"))


async def test_a_server_of_the_oldest_protocol_is_read(track: Track, reach: Reach) -> None:
    await _fetched(track, reach("version-0"))


async def test_a_wrong_password_is_said(track: Track, reach: Reach) -> None:
    remote = reach("basic", **_basic("wr0ng"))
    await _refused(track, remote, "refused the user name or password", "deploy-key")


async def test_a_wrong_token_is_said(track: Track, reach: Reach) -> None:
    await _refused(track, reach("bearer", **_bearer("wr0ng")), "refused the token", "deploy-key")


async def test_a_missing_client_certificate_is_said(track: Track, reach: Reach) -> None:
    snapshot = await track(reach("client")).poll()
    assert isinstance(snapshot.error, FetchError)
    _tells(snapshot, "No required SSL certificate was sent")


async def test_an_unknown_authority_is_said(track: Track, reach: Reach) -> None:
    remote = reach("anonymous", ca=b"")
    await _refused(track, remote, "certificate of 127.0.0.1 is not trusted", "the track's ca")


async def test_an_expired_certificate_is_said(track: Track, reach: Reach) -> None:
    await _refused(track, reach("expired"), "certificate has expired", "renewed")


async def test_a_certificate_for_another_name_is_said(track: Track, reach: Reach) -> None:
    remote = reach("misnamed")
    await _refused(track, remote, "certificate is not valid for '127.0.0.1'", "use a name")


async def test_ssh_is_led_through_a_proxy(ssh: Remote, track: Track, way: str) -> None:
    ssh.upstream.commit({"deploy/a.yaml": "1"})
    credentials = replace(ssh.credentials, proxy=way)
    await _fetched(track, replace(ssh, credentials=credentials))


async def test_a_wrong_host_key_is_refused_under_the_hosts_own_name(
    ssh: Remote, ssh_server: SshServer, track: Track, way: str, tmp_path: Path
) -> None:
    other = ssh_server.known_hosts_with(generate_key(tmp_path / "other"))
    credentials = replace(ssh.credentials, proxy=way, known_hosts=other)
    entry = f"[127.0.0.1]:{ssh_server.port}"
    remote = replace(ssh, credentials=credentials)
    await _refused(track, remote, f"host key of {entry} is not the one in known_hosts")


async def test_an_unknown_host_key_is_refused_under_the_hosts_own_name(
    ssh: Remote, ssh_server: SshServer, track: Track, way: str
) -> None:
    known = ssh_server.known_hosts.replace("[127.0.0.1]", "[other.example.org]")
    credentials = replace(ssh.credentials, proxy=way, known_hosts=known)
    entry = f"[127.0.0.1]:{ssh_server.port}"
    await _refused(track, replace(ssh, credentials=credentials), f"{entry} is not in known_hosts")


def _below_home(path: Path, user: str) -> str:
    return os.path.relpath(path, pwd.getpwnam(user).pw_dir)


async def test_a_path_below_the_users_home_stays_one_behind_a_proxy(
    ssh: Remote, ssh_server: SshServer, fetcher: Fetcher, way: str
) -> None:
    commit = ssh.upstream.commit({"deploy/a.yaml": "1"})
    path = _below_home(ssh.upstream.path, ssh_server.user)
    url = GitUrl("ssh", "127.0.0.1", ssh_server.port, path, ssh_server.user)
    credentials = for_url(replace(ssh.credentials, proxy=way), url)
    listing = await fetcher.list_refs(
        url, credentials, reference="main", deadline=Deadline.after(20)
    )
    assert listing.refs == {"refs/heads/main": commit}
    assert ssh_server.commands()[-1] == f"git-upload-pack '{path}'"


PROXIED = ["http", "socks5h"]


@pytest.mark.parametrize("kind", PROXIED)
@pytest.mark.parametrize("transport", ["https", "ssh"])
async def test_a_proxy_that_refuses_is_named_without_its_password(
    request: pytest.FixtureRequest,
    proxies: dict[str, ProxyServer],
    track: Track,
    transport: str,
    kind: str,
) -> None:
    server = proxies[kind[:6]]
    proxy = server.url(scheme=kind, password="wr0ng-c4nary")
    remote: Remote = request.getfixturevalue(transport)
    remote = replace(remote, credentials=replace(remote.credentials, proxy=proxy))
    snapshot = await track(remote).poll()
    assert isinstance(snapshot.error, ProxyError), snapshot.error
    _tells(snapshot, f"proxy {kind}://127.0.0.1:{server.port}: it", "its password")
    assert "wr0ng" not in repr(snapshot)


async def test_a_proxy_that_refuses_without_tls_cannot_be_told_from_the_server_and_is_named_too(
    https: Remote, https_server: HttpsServer, track: Track, proxies: dict[str, ProxyServer]
) -> None:
    proxy = proxies["http"]
    for url, told in (
        (proxy.url(password="wr0ng-c4nary"), f", or proxy http://127.0.0.1:{proxy.port} did"),
        (f"http://127.0.0.1:{proxy.port}", f"proxy http://127.0.0.1:{proxy.port}: it asks for"),
    ):
        plain = https_server.url(https.upstream.path, "plain")
        snapshot = await track(replace(https, url=plain, credentials=Credentials(proxy=url))).poll()
        _tells(snapshot, told)


@pytest.mark.parametrize("kind", PROXIED)
@pytest.mark.parametrize("transport", ["https", "ssh"])
async def test_a_proxy_that_is_away_is_named(
    request: pytest.FixtureRequest, track: Track, transport: str, kind: str
) -> None:
    remote: Remote = request.getfixturevalue(transport)
    proxy = f"{kind}://127.0.0.1:{free_port()}"
    remote = replace(remote, credentials=replace(remote.credentials, proxy=proxy))
    snapshot = await track(remote).poll()
    assert isinstance(snapshot.error, ProxyError)
    _tells(snapshot, f"proxy {proxy}: Connection refused")


@pytest.mark.parametrize("kind", ["http", "socks5"])
async def test_a_proxy_of_the_environment_is_used(
    https: Remote, track: Track, proxies: dict[str, ProxyServer], kind: str
) -> None:
    https.upstream.commit({"deploy/a.yaml": "1"})
    before = proxies[kind].connections()
    fetcher = Fetcher(environment={"HTTPS_PROXY": proxies[kind].url()})
    assert (await track(https, fetcher=fetcher).poll()).error is None
    await fetcher.close()
    assert proxies[kind].connections() > before


async def test_the_environments_socks_proxy_leads_ssh_too_unless_excepted(
    ssh: Remote, track: Track, proxies: dict[str, ProxyServer]
) -> None:
    ssh.upstream.commit({"deploy/a.yaml": "1"})
    proxy = proxies["socks5"]
    environment = {"ALL_PROXY": proxy.url()}
    for changes, used in (({"NO_PROXY": "127.0.0.1"}, False), ({}, True)):
        before = proxy.connections()
        fetcher = Fetcher(environment=environment | changes)
        assert (await track(ssh, fetcher=fetcher).poll()).error is None
        await fetcher.close()
        assert (proxy.connections() > before) is used


async def test_the_machines_netrc_is_not_read(
    https: Remote, track: Track, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login ada password {PASSWORD}\n")
    monkeypatch.setenv("NETRC", str(netrc))
    remote = replace(https, credentials=Credentials(ca=https.credentials.ca))
    await _refused(track, remote, "none are configured")


class _Rotating:
    def __init__(self, credentials: Credentials) -> None:
        self.current = credentials

    async def get(self, *, fresh: bool) -> Credentials:
        return self.current

    def refused(self) -> bool:
        return False


async def test_the_next_poll_uses_what_was_rotated(
    https: Remote, https_server: HttpsServer, track: Track, proxies: dict[str, ProxyServer]
) -> None:
    https.upstream.commit({"deploy/a.yaml": "1"})
    good = https.credentials
    provider = _Rotating(good)
    source = track(https, credentials=provider)
    steps: list[tuple[Credentials, str]] = [
        (good, ""),
        (replace(good, secret=b"wr0ng"), "refused the user name"),
        (replace(good, ca=b""), "not trusted"),
        (replace(good, proxy=f"http://127.0.0.1:{free_port()}"), "Connection refused"),
        (replace(good, proxy=proxies["http"].url()), ""),
        (replace(good, ca=b"nonsense"), "not in PEM form"),
        (replace(good, client_certificate=b"nonsense", client_key=b"k3y"), "not in PEM form"),
        (replace(good, client_key=b"k3y"), "certificate is missing"),
        (replace(good, proxy="ftp://ada:hunter2@proxy"), "scheme 'ftp' is not offered"),
        (good, ""),
    ]
    for credentials, expected in steps:
        provider.current = credentials
        snapshot = await source.poll()
        if expected:
            assert expected in str(snapshot.error)
            assert "hunter2" not in repr(snapshot)
        else:
            assert snapshot.error is None
    client = _Rotating(Credentials(ca=good.ca))
    url = https_server.url(https.upstream.path, "client")
    source = track(replace(https, url=url), credentials=client)
    assert "No required SSL certificate" in str((await source.poll()).error)
    client.current = replace(client.current, **_client(https_server))
    assert (await source.poll()).error is None


@pytest.mark.parametrize("own", ["proxy", "ca"])
async def test_what_one_track_learned_on_its_way_is_not_believed_for_another(
    https: Remote,
    https_server: HttpsServer,
    proxies: dict[str, ProxyServer],
    track: Track,
    own: str,
) -> None:
    """A proxy, or a server that only one of them trusts, may have led it elsewhere."""
    https.upstream.commit({"deploy/a.yaml": "1"})
    given = https.credentials
    others: dict[str, Any] = {"proxy": proxies["http"].url(), "ca": given.ca + b"\n"}
    led = replace(https, credentials=replace(given, **{own: others[own]}))
    for remote in (led, https, led, https):
        assert (await track(remote).poll()).error is None
    asked = [
        line
        for line in https_server.requests(https.upstream.path)
        if "info/refs" in line and "version=2" in line
    ]
    assert len(asked) == 2
