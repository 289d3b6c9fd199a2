"""Whatever hangs, and wherever: the error comes in time, nobody waits, and nothing piles up."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from agent.source.errors import FetchTimeout
from agent.source.login.credentials import Credentials, basic_auth
from agent.source.login.places import File
from agent.source.login.providers import PlacedCredentials, PlacedKey
from agent.source.snapshot import Trust
from tests.gitservers.broken import listener, stuck
from tests.gitservers.https import HttpsServer
from tests.gitservers.sshd import SshServer
from tests.integration.source.conftest import Remote, Track
from tests.integration.source.stalls import poll_again_and_again

pytestmark = [pytest.mark.integration, pytest.mark.asyncio]

STALLS = [
    "silent-http",
    "silent-https",
    "silent-ssh",
    "handshake",
    "answer",
    "key-exchange",
    "http-proxy-https",
    "http-proxy-ssh",
    "socks5h-proxy-https",
    "socks5h-proxy-ssh",
]
"""handshake: TLS, after part of the server's hello; answer: after it, before the last ref;
key-exchange: ssh, after the banner and part of the proposal."""


@asynccontextmanager
async def hanging(
    stall: str, https: Remote, ssh: Remote, https_server: HttpsServer, ssh_server: SshServer
) -> AsyncIterator[Remote]:
    """Yield a remote that hangs in a certain place."""
    name, _, transport = stall.rpartition("-")
    if stall in {"handshake", "answer"}:
        # The server's part of the handshake is some 1,000 bytes.
        passed = 300 if stall == "handshake" else 1400
        async with stuck(https_server.port, after=passed) as port:
            yield replace(https, url=https.url.replace(str(https_server.port), str(port)))
    elif stall == "key-exchange":
        async with stuck(ssh_server.port, after=200) as port:
            known = ssh_server.known_hosts.replace(str(ssh_server.port), str(port))
            yield replace(
                ssh,
                url=ssh.url.replace(str(ssh_server.port), str(port)),
                credentials=replace(ssh.credentials, known_hosts=known),
            )
    else:
        remote = ssh if transport == "ssh" else https
        async with listener(trickle=False) as port:
            if name == "silent":
                url = f"{transport}://127.0.0.1:{port}/app.git"
                given = ssh.credentials if transport == "ssh" else Credentials()
                yield replace(remote, url=url, credentials=given)
            else:
                proxy = f"{name.partition('-')[0]}://ada:pr0xy@127.0.0.1:{port}"
                yield replace(remote, credentials=replace(remote.credentials, proxy=proxy))


@pytest_asyncio.fixture(params=STALLS)
async def stalled(
    request: pytest.FixtureRequest,
    https: Remote,
    ssh: Remote,
    https_server: HttpsServer,
    ssh_server: SshServer,
) -> AsyncIterator[Remote]:
    https.upstream.commit({"deploy/a.yaml": "1"})
    async with hanging(request.param, https, ssh, https_server, ssh_server) as remote:
        yield remote


async def test_the_error_comes_in_time_and_another_track_does_not_wait(
    stalled: Remote, local: Remote, track: Track
) -> None:
    local.upstream.commit({"deploy/a.yaml": "1"})
    other = track(local)
    await other.poll()
    started = time.monotonic()
    slow = asyncio.create_task(track(stalled, timeout=3).poll())
    while time.monotonic() < started + 1:
        assert (await other.poll()).trust is Trust.UNCHANGED
    assert not slow.done()
    snapshot = await slow
    assert isinstance(snapshot.error, FetchTimeout), snapshot.error
    assert "within 3s" in str(snapshot.error)
    assert ("through proxy" in str(snapshot.error)) is bool(stalled.credentials.proxy)
    assert "pr0xy" not in str(snapshot.error)
    assert time.monotonic() - started < 3 + 3


async def test_after_a_hundred_polls_that_hang_nothing_is_left(
    stalled: Remote, track: Track
) -> None:
    async def poll() -> None:
        snapshot = await track(stalled, timeout=0.5).poll()
        assert isinstance(snapshot.error, FetchTimeout), snapshot.error

    await poll_again_and_again(poll)


class _NameServer(asyncio.DatagramProtocol):
    """Takes questions and never answers."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def datagram_received(self, data: bytes, _: object) -> None:
        self.asked.append(data)


async def test_a_credential_that_hangs_costs_its_own_track_only(
    https: Remote, track: Track, tmp_path: Path
) -> None:
    """A FIFO that nobody writes to is like a file on a server that is gone."""
    https.upstream.commit({"deploy/a.yaml": "1"})
    os.mkfifo(tmp_path / "key")
    hanging = PlacedCredentials(PlacedKey(File(tmp_path / "key"), basic_auth))
    source = track(https, credentials=hanging, timeout=0.1)
    try:
        for _ in range(20):  # asyncio has fewer threads
            snapshot = await source.poll()
            assert isinstance(snapshot.error, FetchTimeout)
            assert "the credentials were not there within 0.1s" in str(snapshot.error)
        assert (await track(https).poll()).trust is Trust.NEW
    finally:
        os.close(os.open(tmp_path / "key", os.O_RDWR))


@pytest.mark.parametrize("scheme", ["https", "ssh"])
async def test_a_name_that_hangs_costs_no_more_than_the_deadline(
    scheme: str, ssh_server: SshServer, tmp_path: Path
) -> None:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(
        _NameServer, local_addr=("127.0.0.53", 53)
    )
    resolv = tmp_path / "resolv.conf"
    resolv.write_text("nameserver 127.0.0.53\n")
    process = await asyncio.create_subprocess_exec(
        *("unshare", "--mount", "sh", "-c"),
        'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"',
        *("sh", str(resolv), sys.executable, "-m", "tests.integration.source.hanging_names"),
        *(f"{scheme}://git.hanging.example/app.git", str(ssh_server.client_key), str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        said, _ = await process.communicate()
    finally:
        transport.close()
    assert said == b"ok\n"
    assert any(b"hanging" in question for question in server.asked)
