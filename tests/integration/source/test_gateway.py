"""The gateway libgit2 fetches through: for one fetch, for who knows the token, and no longer."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from agent.source.errors import FetchError, FetchTimeout
from agent.source.snapshot import Trust
from agent.source.url import parse_url
from agent.source.wire import sessions
from agent.source.wire.exchange import Exchange
from agent.source.wire.exchange import Remote as Repository
from agent.source.wire.gateway import Passage
from agent.source.wire.sessions import Route, Sessions
from tests.eventually import eventually
from tests.gitservers.broken import stuck
from tests.gitservers.https import HttpsServer
from tests.integration.source.conftest import PASSWORD, Remote, Track

pytestmark = [pytest.mark.integration, pytest.mark.asyncio]


async def _status(url: str, method: str = "GET") -> int:
    async with aiohttp.ClientSession() as client, client.request(method, url) as answer:
        return answer.status


async def test_only_the_two_requests_of_a_fetch_with_its_token_are_forwarded(
    https: Remote, https_server: HttpsServer
) -> None:
    https.upstream.commit({"deploy/a.yaml": "1"})
    routes = Sessions()
    repository = Repository(parse_url(https.url), https.credentials)
    async with Passage(Exchange(routes, {}), repository).open() as passage:
        root, _, token = passage.url.rpartition("/")
        assert len(token) > 40
        assert PASSWORD not in passage.url
        asked = "info/refs?service=git-upload-pack"
        assert await _status(f"{passage.url}/{asked}") == 200
        for refused in (f"{root}/{asked}", f"{root}/{token[:-1]}/{asked}", passage.url):
            assert await _status(refused) == 404
        for other in ("git-receive-pack", "info/refs/../x"):
            assert await _status(f"{passage.url}/{other}", "POST") == 404
    with pytest.raises(aiohttp.ClientConnectorError):
        await _status(f"{passage.url}/{asked}")
    await routes.close()
    lines = https_server.requests(https.upstream.path)
    assert len(lines) == 1


async def test_a_fetch_leaves_no_trace_of_the_gateway_on_disk(
    https: Remote, track: Track, state_dir: Path
) -> None:
    https.upstream.commit({"deploy/a.yaml": "1"})
    assert (await track(https).poll()).trust is Trust.NEW
    on_disk = _everything_below(state_dir)
    assert on_disk
    assert b"http://127.0.0.1" not in on_disk


def _everything_below(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("how", ["cut", "stuck"])
async def test_a_pack_that_does_not_end_is_an_error_with_its_reason_and_is_tried_again(
    https: Remote, https_server: HttpsServer, track: Track, how: str
) -> None:
    noise = "".join(f"{number * 7919 * 104729}\n" for number in range(40_000))
    https.upstream.commit({"deploy/a.yaml": noise})
    passed = 60_000  # into the pack, behind both listings
    async with stuck(https_server.port, after=passed, cut=how == "cut") as port:
        url = https.url.replace(str(https_server.port), str(port))
        snapshot = await track(replace(https, url=url), timeout=5).poll()
    assert snapshot.trust is Trust.UNREADABLE
    assert isinstance(snapshot.error, FetchTimeout) is (how == "stuck"), snapshot.error
    assert isinstance(snapshot.error, FetchError)
    if how == "cut":
        assert "cut off" in str(snapshot.error) or "reset" in str(snapshot.error)
    assert "127.0.0.1:" + str(port) in str(snapshot.error)
    assert (await track(https).poll()).trust is Trust.NEW


async def test_a_session_nobody_uses_any_more_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "_UNUSED_SECONDS", 0)
    routes = Sessions()
    async with routes.use(Route()) as first:
        async with routes.use(Route(ca=b"")) as same:
            assert same is first
        assert not first.client.closed
    await asyncio.sleep(0)
    async with routes.use(Route()) as second:
        assert first.client.closed
        assert not second.client.closed
    await routes.close()
    assert second.client.closed


async def test_sessions_that_are_closed_leave_no_inotify_instance() -> None:
    routes = Sessions()
    async with routes.use(Route()) as session:
        # A node allows 128 of them by default, for all of a user's processes together.
        assert session.resolver
        assert _inotify_instances() == 1
    await routes.close()
    await eventually(lambda: _inotify_instances() == 0, what="the resolver's instance is closed")


def _inotify_instances() -> int:
    opened = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            opened += "inotify" in os.readlink(descriptor)
        except FileNotFoundError:  # the one that lists the folder
            continue
    return opened
