"""GitHub Apps: a forge that believes the app's signature only, and nginx that wants its token."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from agent.source.errors import AuthError
from agent.source.login.credentials import Credentials
from agent.source.login.githubapp import USERNAME, App
from agent.source.login.places import Constant, Folder
from agent.source.login.providers import AppKey, PlacedCredentials, WholeKey
from agent.source.snapshot import Trust
from agent.source.url import parse_url
from tests.gitservers.broken import listener
from tests.gitservers.forge import APP_ID, INSTALLATION, ORGANISATION, USER, Forge
from tests.gitservers.https import HttpsServer
from tests.integration.source.conftest import Remote, Track

pytestmark = [pytest.mark.integration, pytest.mark.asyncio]


@pytest_asyncio.fixture
async def forge(tmp_path: Path) -> AsyncIterator[Forge]:
    folder = tmp_path / "forge"
    folder.mkdir()
    async with Forge(folder) as running:
        yield running


@pytest.fixture
def git(tmp_path: Path, served: Path, forge: Forge) -> Iterator[HttpsServer]:
    """The forge's git, which lets in the first of its tokens and nobody else."""
    folder = tmp_path / "git"
    folder.mkdir()
    server = HttpsServer(folder, served, {USERNAME: forge.tokens[0]})
    server.start()
    yield server
    server.stop()


@pytest.fixture
def remote(https: Remote, git: HttpsServer) -> Remote:
    https.upstream.commit({"deploy/a.yaml": "1"})
    return replace(https, url=git.url(https.upstream.path), credentials=Credentials())


def provider(forge: Forge, git: HttpsServer, **changes: str) -> PlacedCredentials:
    installed = {"installation_id": INSTALLATION} | changes
    app = App(**({"app_id": APP_ID, "base_url": forge.url, "private_key": b""} | installed))  # type: ignore[arg-type]
    both = forge.authority.ca.read_bytes() + git.authority.ca.read_bytes()
    return PlacedCredentials(AppKey(Constant(forge.private_key), app), ca=Constant(both))


async def test_the_apps_key_becomes_a_token_that_git_is_let_in_with(
    remote: Remote, forge: Forge, git: HttpsServer, track: Track
) -> None:
    source = track(remote, credentials=provider(forge, git))
    assert (await source.poll()).trust is Trust.NEW
    assert forge.claims["exp"] - forge.claims["iat"] <= 600
    assert forge.requests == [f"POST /app/installations/{INSTALLATION}/access_tokens"]


async def test_a_token_is_kept_while_it_lasts_through_fetches_and_resyncs(
    remote: Remote, forge: Forge, git: HttpsServer, track: Track
) -> None:
    source = track(remote, credentials=provider(forge, git))
    for number in range(3):
        assert (await source.poll(fresh=True)).error is None
        remote.upstream.commit({"deploy/a.yaml": str(number)})
    assert forge.issued == 1


async def test_a_token_is_replaced_five_minutes_before_its_end(
    remote: Remote, forge: Forge, git: HttpsServer, track: Track
) -> None:
    forge.lifetime = 299
    source = track(remote, credentials=provider(forge, git))
    await source.poll()
    await source.poll()
    assert forge.issued == 2


async def test_a_token_that_is_refused_is_replaced_within_the_same_poll(
    remote: Remote, forge: Forge, git: HttpsServer, track: Track
) -> None:
    forge.tokens.append("ghs_second")
    source = track(remote, credentials=provider(forge, git))
    assert (await source.poll()).error is None
    git.let_in({USERNAME: "ghs_second"})
    assert (await source.poll()).error is None
    assert forge.issued == 2


@pytest.mark.parametrize(
    ("owner", "asked"),
    [
        (ORGANISATION, [f"GET /orgs/{ORGANISATION}/installation"]),
        (USER, [f"GET /orgs/{USER}/installation", f"GET /users/{USER}/installation"]),
    ],
)
async def test_an_installation_is_looked_up_by_its_owner(
    remote: Remote, forge: Forge, git: HttpsServer, track: Track, owner: str, asked: list[str]
) -> None:
    credentials = provider(forge, git, installation_id="", installation_owner=owner)
    assert (await track(remote, credentials=credentials).poll()).error is None
    assert forge.requests[:-1] == asked


async def test_a_folder_in_fluxs_layout_is_an_app_too(
    remote: Remote, forge: Forge, git: HttpsServer, track: Track, tmp_path: Path
) -> None:
    values = {
        "githubAppID": APP_ID.encode(),
        "githubAppInstallationID": INSTALLATION.encode(),
        "githubAppPrivateKey": forge.private_key,
        "githubAppBaseURL": forge.url.encode(),
        "ca.crt": forge.authority.ca.read_bytes() + git.authority.ca.read_bytes(),
    }
    folder = tmp_path / "secret"
    folder.mkdir()
    for name, value in values.items():
        (folder / name).write_bytes(value)
    key = WholeKey(Folder(folder), parse_url(remote.url))
    assert (await track(remote, credentials=PlacedCredentials(key)).poll()).error is None


_NOT_INSTALLED = {
    "no such installation": (
        {"installation_id": "7"},
        "answered 404 Not Found: the app is not installed as 7: install it on the repository's "
        "owner, and check installation-id and app-id",
    ),
    "not installed there": (
        {"installation_id": "", "installation_owner": "nobody"},
        "the app is not installed at nobody: install it on the repository's owner, and check "
        "installation-owner and app-id",
    ),
    "another app's key": (
        {"app_id": "9999"},
        "app-id and private key do not belong together, or the clock is wrong",
    ),
}


@pytest.mark.parametrize(("changes", "reason"), _NOT_INSTALLED.values(), ids=_NOT_INSTALLED)
async def test_a_refusal_of_the_forge_says_what_to_look_at(
    remote: Remote,
    forge: Forge,
    git: HttpsServer,
    track: Track,
    changes: dict[str, str],
    reason: str,
) -> None:
    error = (await track(remote, credentials=provider(forge, git, **changes)).poll()).error
    assert isinstance(error, AuthError)
    assert "unable to retrieve git credentials: " in str(error)
    assert reason in str(error)
    assert "eyJ" not in str(error), "the app's own token is in the error"


async def test_a_clock_that_is_wrong_is_said_with_how_much(
    remote: Remote, forge: Forge, git: HttpsServer, track: Track
) -> None:
    forge.clock = 3600
    error = (await track(remote, credentials=provider(forge, git)).poll()).error
    assert "behind theirs)" in str(error)


async def test_a_key_of_another_kind_is_said_and_nothing_asked(
    remote: Remote, forge: Forge, git: HttpsServer, track: Track
) -> None:
    key = AppKey(Constant(b"hunter2"), App(app_id="1", private_key=b"", installation_id="1"))
    error = (await track(remote, credentials=PlacedCredentials(key)).poll()).error
    assert "is not an RSA key in PEM form" in str(error)
    assert "hunter2" not in str(error)


async def test_a_forge_that_is_not_trusted_or_not_there_is_said(
    remote: Remote, forge: Forge, git: HttpsServer, track: Track
) -> None:
    key = provider(forge, git).key
    error = (await track(remote, credentials=PlacedCredentials(key)).poll()).error
    assert f"{forge.url}/app/installations/42/access_tokens cannot be reached" in str(error)
    assert "certificate" in str(error)
    assert forge.requests == []


async def test_a_forge_that_does_not_answer_is_given_up_at_the_deadline(
    remote: Remote, forge: Forge, git: HttpsServer, track: Track
) -> None:
    async with listener(trickle=False) as port:
        credentials = provider(forge, git, base_url=f"https://127.0.0.1:{port}")
        error = (await track(remote, credentials=credentials, timeout=0.5).poll()).error
    assert "the credentials were not there within 0.5s" in str(error)
    assert "the forge for a GitHub App" in str(error)


async def test_an_answer_that_comes_in_pieces_is_read_to_its_end(
    remote: Remote, forge: Forge, git: HttpsServer, track: Track
) -> None:
    forge.pieces = 3
    assert (await track(remote, credentials=provider(forge, git)).poll()).error is None
