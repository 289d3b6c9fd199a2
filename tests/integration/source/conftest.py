"""Servers for the session, a repository and a state folder for each test."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from agent.source.fetcher import Fetcher
from agent.source.git import GitSource
from agent.source.login.credentials import Credentials, basic_auth, ssh_key
from agent.source.login.providers import StaticCredentials
from tests.gitservers.https import HttpsServer
from tests.gitservers.sshd import SshServer
from tests.gitservers.upstream import Upstream

PASSWORD = "c4nary:p4ssw0rd"

_numbers = itertools.count()


@dataclass(frozen=True)
class Remote:
    """A repository behind one transport; ``fetches`` counts what was more than a ref listing."""

    upstream: Upstream
    url: str
    credentials: Credentials
    fetches: Callable[[], int]


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder whose repositories the session's servers serve."""
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="session")
def https_server(tmp_path_factory: pytest.TempPathFactory, served: Path) -> Iterator[HttpsServer]:
    server = HttpsServer(tmp_path_factory.mktemp("https"), served, {"ada": PASSWORD})
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def ssh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    server = SshServer(tmp_path_factory.mktemp("sshd"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def upstream(served: Path) -> Upstream:
    return Upstream(served / f"app-{next(_numbers)}.git")


@pytest.fixture
def local(upstream: Upstream) -> Remote:
    return Remote(upstream, f"file://{upstream.path}", Credentials(), lambda: 0)


@pytest.fixture
def https(upstream: Upstream, https_server: HttpsServer) -> Remote:
    def fetches() -> int:
        lines = https_server.requests(upstream.path)
        return sum(line.startswith("POST") and "version=2" not in line for line in lines)

    credentials = replace(
        basic_auth(f"ada:{PASSWORD}".encode()), ca=https_server.authority.ca.read_bytes()
    )
    return Remote(upstream, https_server.url(upstream.path), credentials, fetches)


@pytest.fixture
def ssh(upstream: Upstream, ssh_server: SshServer) -> Remote:
    credentials = replace(
        ssh_key(ssh_server.client_key.read_bytes()), known_hosts=ssh_server.known_hosts
    )
    before = ssh_server.wants()
    return Remote(
        upstream, ssh_server.url(upstream.path), credentials, lambda: ssh_server.wants() - before
    )


@pytest.fixture(params=["local", "https", "ssh"])
def remote(request: pytest.FixtureRequest) -> Remote:
    """The same repository over each transport."""
    chosen: Remote = request.getfixturevalue(request.param)
    return chosen


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest_asyncio.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    fetcher = Fetcher()
    yield fetcher
    await fetcher.close()


Track = Callable[..., GitSource]


@pytest.fixture
def track(fetcher: Fetcher, state_dir: Path) -> Track:
    """Make a source of a remote; keyword arguments replace the ordinary ones."""

    def make(remote: Remote, **changes: Any) -> GitSource:
        arguments: dict[str, Any] = {
            "url": remote.url,
            "reference": "main",
            "sub_path": "deploy",
            "state_dir": state_dir,
            "credentials": StaticCredentials(remote.credentials),
            "timeout": 20,
            "fetcher": fetcher,
        }
        return GitSource(**(arguments | changes))

    return make
