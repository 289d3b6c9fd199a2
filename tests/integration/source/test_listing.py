"""Listing refs over HTTP: how many requests, which redirects, and what is no git server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest

from agent.source.errors import AuthError, UnexpectedAnswer, UnsupportedRepository
from agent.source.login.credentials import CredentialKind, Credentials
from agent.source.snapshot import Snapshot, Trust
from agent.source.wire import exchange
from tests.gitservers.https import Door, HttpsServer
from tests.gitservers.upstream import Upstream, git
from tests.integration.source.conftest import Remote, Track
from tests.integration.source.processes import eventually

pytestmark = [pytest.mark.integration, pytest.mark.asyncio]


@asynccontextmanager
async def relay(port: int) -> AsyncIterator[Relay]:
    """Pass connections on to a loopback port, and cut them on demand."""
    found = Relay(port)
    server = await asyncio.start_server(found.accept, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        found.cut()


class Relay:
    """Counts connections; TLS passes through unread."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self.connections = 0
        self.reset_next_request = False
        self._target = target
        self._writers: set[asyncio.StreamWriter] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers |= {writer, far_writer}
        with suppress(OSError):
            await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))
        self._writers -= {writer, far_writer}

    def cut(self) -> None:
        """End every connection with a reset."""
        for writer in self._writers:
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while part := await reader.read(65536):
            if self.reset_next_request:
                self.reset_next_request = False
                self.cut()
                return
            writer.write(part)
            await writer.drain()
        writer.close()


@pytest.fixture
def behind(upstream: Upstream, https_server: HttpsServer) -> Remote:
    upstream.commit({"deploy/a.yaml": "1"})
    ca = https_server.authority.ca.read_bytes()
    url = https_server.url(upstream.path, "anonymous")
    return Remote(upstream, url, Credentials(ca=ca), lambda: 0)


def _asked(https_server: HttpsServer, upstream: Upstream) -> list[str]:
    return [
        " ".join(line.split()[:2]).partition("?")[0] + f" {line.split()[-1]}"
        for line in https_server.requests(upstream.path)
    ]


async def _settled(https_server: HttpsServer, upstream: Upstream, count: int) -> list[str]:
    # nginx writes its log just after the answer.
    await eventually(lambda: len(_asked(https_server, upstream)) >= count)
    return _asked(https_server, upstream)


async def test_a_poll_without_news_is_one_request_on_a_kept_connection(
    behind: Remote, https_server: HttpsServer, track: Track
) -> None:
    async with relay(https_server.ports["anonymous"]) as between:
        url = behind.url.replace(str(https_server.ports["anonymous"]), str(between.port))
        source = track(replace(behind, url=url))
        assert (await source.poll()).trust is Trust.NEW
        for _ in range(3):
            assert (await source.poll()).trust is Trust.UNCHANGED
        assert between.connections == 1
    asked = await _settled(https_server, behind.upstream, 8)
    assert asked[:2] == ["GET /info/refs version=2", "POST /git-upload-pack version=2"]
    assert asked[-4:] == ["POST /git-upload-pack -", *["POST /git-upload-pack version=2"] * 3]


async def test_a_poll_of_an_old_server_without_news_is_one_request(
    behind: Remote, https_server: HttpsServer, track: Track
) -> None:
    url = https_server.url(behind.upstream.path, "version-0")
    source = track(replace(behind, url=url))
    await source.poll()
    before = len(await _settled(https_server, behind.upstream, 3))
    assert (await source.poll()).trust is Trust.UNCHANGED
    asked = await _settled(https_server, behind.upstream, before + 1)
    assert asked[before:] == ["GET /info/refs version=2"]


async def test_a_kept_connection_that_was_closed_is_replaced_unnoticed(
    behind: Remote, https_server: HttpsServer, track: Track
) -> None:
    async with relay(https_server.ports["anonymous"]) as between:
        url = behind.url.replace(str(https_server.ports["anonymous"]), str(between.port))
        source = track(replace(behind, url=url))
        await source.poll()
        between.reset_next_request = True
        assert (await source.poll()).error is None
        assert between.connections == 2


async def test_a_server_that_speaks_otherwise_by_now_is_asked_anew(
    behind: Remote, https_server: HttpsServer, track: Track
) -> None:
    async with relay(https_server.ports["anonymous"]) as between:
        url = behind.url.replace(str(https_server.ports["anonymous"]), str(between.port))
        source = track(replace(behind, url=url))
        await source.poll()
        between._target = https_server.ports["version-0"]
        between.cut()
        commit = behind.upstream.commit({"deploy/a.yaml": "2"})
        snapshot = await source.poll()
        assert snapshot.error is None
        assert snapshot.revision is not None
        assert snapshot.revision.commit == commit


@pytest.mark.parametrize("door", ["anonymous", "version-0"])
@pytest.mark.parametrize("reference", ["", "main", "v1", "refs/heads/main"])
async def test_both_protocols_mean_the_same_by_a_reference(
    behind: Remote, https_server: HttpsServer, track: Track, door: Door, reference: str
) -> None:
    commit = behind.upstream.head()
    behind.upstream.tag("v1", commit, annotated=True)
    url = https_server.url(behind.upstream.path, door)
    snapshot = await track(replace(behind, url=url), reference=reference).poll()
    assert snapshot.revision is not None
    assert snapshot.revision.commit == commit


@pytest.mark.parametrize("door", ["anonymous", "version-0"])
async def test_a_repository_without_commits_has_no_head(
    served_empty: Upstream, behind: Remote, https_server: HttpsServer, track: Track, door: Door
) -> None:
    url = https_server.url(served_empty.path, door)
    snapshot = await track(replace(behind, url=url), reference="").poll()
    assert "the remote has no HEAD" in str(snapshot.error)


@pytest.fixture
def served_empty(upstream: Upstream) -> Upstream:
    return Upstream(upstream.path.with_name(f"empty-{upstream.path.name}"))


@pytest.mark.parametrize("door", ["anonymous", "version-0"])
async def test_a_sha256_repository_is_refused_in_clear_words(
    behind: Remote, https_server: HttpsServer, track: Track, door: Door
) -> None:
    path = behind.upstream.path.with_name(f"sha256-{behind.upstream.path.name}")
    git("init", "-q", "--bare", "--object-format=sha256", str(path), repository=path)
    commit = b"commit refs/heads/main\ncommitter Ada <ada@example.org> 1 +0000\ndata 0\n"
    git("fast-import", "--quiet", repository=path, stdin=commit)
    snapshot = await track(replace(behind, url=https_server.url(path, door))).poll()
    assert isinstance(snapshot.error, UnsupportedRepository)


def _at(https_server: HttpsServer, behind: Remote, prefix: str) -> Remote:
    port = https_server.ports["anonymous"]
    url = behind.url.replace(f":{port}/", f":{port}/{prefix}/")
    return replace(behind, url=url)


async def test_a_redirect_of_the_first_request_is_followed_and_remembered(
    behind: Remote, https_server: HttpsServer, track: Track
) -> None:
    source = track(_at(https_server, behind, "moved"))
    assert (await source.poll()).trust is Trust.NEW
    before = len(await _settled(https_server, behind.upstream, 4))
    assert (await source.poll()).trust is Trust.UNCHANGED
    asked = await _settled(https_server, behind.upstream, before + 1)
    assert asked[before:] == ["POST /git-upload-pack version=2"]


async def test_credentials_never_follow_a_redirect_to_another_origin(
    https: Remote, https_server: HttpsServer, track: Track
) -> None:
    port = https_server.port
    remote = replace(https, url=https.url.replace(f":{port}/", f":{port}/elsewhere/"))
    snapshot = await track(remote).poll()
    assert isinstance(snapshot.error, AuthError)
    assert f"it redirects to https://localhost:{port}, which asks for credentials" in str(
        snapshot.error
    )
    assert "name it in repository" in str(snapshot.error)


async def test_an_anonymous_repository_may_be_at_another_origin(
    behind: Remote, https_server: HttpsServer, track: Track
) -> None:
    snapshot = await track(_at(https_server, behind, "elsewhere")).poll()
    assert snapshot.trust is Trust.NEW


async def test_a_redirect_to_plain_http_is_refused(
    behind: Remote, https_server: HttpsServer, track: Track
) -> None:
    _no_git(await track(_at(https_server, behind, "downgraded")).poll(), "which is not encrypted")


@pytest.mark.parametrize(
    ("prefix", "told"),
    [
        ("page", "answered with a web page, not as a git server does"),
        ("dumb", "answered with text/plain content"),
        ("login", "redirects to https://127.0.0.1"),
        ("broken", "HTTP status 503: Down for the day; the server is in trouble"),
        ("none", "there is no such repository"),
    ],
)
async def test_what_is_no_git_server_is_said(
    behind: Remote, https_server: HttpsServer, track: Track, prefix: str, told: str
) -> None:
    _no_git(await track(_at(https_server, behind, prefix)).poll(), told)


async def test_a_list_of_refs_without_end_is_not_read(
    behind: Remote, track: Track, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "ANSWER_LIMIT", 100)
    _no_git(await track(behind).poll(), "the list of refs is longer than")


async def test_a_token_that_is_no_token_is_refused_before_it_is_sent(
    behind: Remote, track: Track
) -> None:
    credentials = replace(behind.credentials, kind=CredentialKind.BEARER, secret=b"two\nlines")
    snapshot = await track(replace(behind, credentials=credentials)).poll()
    assert isinstance(snapshot.error, AuthError)
    assert "two" not in str(snapshot.error)


def _no_git(snapshot: Snapshot, told: str) -> None:
    assert isinstance(snapshot.error, UnexpectedAnswer), snapshot.error
    assert told in str(snapshot.error)
