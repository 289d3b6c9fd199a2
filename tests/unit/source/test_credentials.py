"""Credentials: what a secret's bytes mean, which kind fits which URL, and that none is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.source.errors import AuthError, CredentialsError
from agent.source.login.credentials import (
    CredentialKind,
    Credentials,
    basic_auth,
    for_url,
    ssh_key,
)
from agent.source.login.places import File, Variable
from agent.source.login.providers import PlacedCredentials, PlacedKey, StaticCredentials
from agent.source.url import parse_url

_KEY = ssh_key(b"PEM")
_BASIC = basic_auth(b"ada:hunter2")


@pytest.mark.parametrize(
    ("secret", "username", "password"),
    [
        pytest.param(b"ada:hunter2", "ada", b"hunter2", id="plain"),
        pytest.param(b"ada:hunter2\n", "ada", b"hunter2", id="one-newline-forgiven"),
        pytest.param(b"ada:hunter2\r\n", "ada", b"hunter2", id="crlf-forgiven"),
        pytest.param(b"ada:hunter2\n\n", "ada", b"hunter2\n", id="only-one"),
        pytest.param(b"ada:a:b:c", "ada", b"a:b:c", id="first-colon-splits"),
    ],
)
def test_basic_auth_is_user_colon_password(secret: bytes, username: str, password: bytes) -> None:
    credentials = basic_auth(secret)
    assert (credentials.username, credentials.secret) == (username, password)


@pytest.mark.parametrize("secret", [b"hunter2", b"", b"\xff\xfe:hunter2"])
def test_a_bad_basic_auth_secret_is_refused_without_quoting_it(secret: bytes) -> None:
    with pytest.raises(CredentialsError) as caught:
        basic_auth(secret)
    assert "hunter2" not in str(caught.value)


def test_an_empty_key_is_refused() -> None:
    with pytest.raises(CredentialsError, match="empty"):
        ssh_key(b" \n")


def test_no_representation_shows_a_secret() -> None:
    credentials = Credentials(CredentialKind.SSH_KEY, "git", b"hunter2", "swordfish")
    shown = f"{credentials} {credentials!r} {StaticCredentials(credentials)!r}"
    assert "hunter2" not in shown
    assert "swordfish" not in shown


def test_scrub_blanks_out_every_secret() -> None:
    credentials = Credentials(CredentialKind.SSH_KEY, "git", b"hunter2\n", "swordfish")
    assert credentials.scrub("no hunter2, no swordfish") == "no ***, no ***"
    behind_a_proxy = Credentials(
        CredentialKind.BASIC,
        username="ada",
        secret=b"hunter2",
        client_key=b"KEY\n",
        proxy="http://bob:sword%40fish@proxy.example:3128",
    )
    said = "YWRhOmh1bnRlcjI= KEY http://bob:sword%40fish@proxy.example:3128 sword@fish ada"
    assert behind_a_proxy.scrub(said) == "*** *** http://***@proxy.example:3128 *** ada"
    assert Credentials(proxy="http://ada@proxy").scrub("ada") == "ada"
    assert Credentials().scrub("nothing to hide") == "nothing to hide"


@pytest.mark.parametrize(
    ("url", "given", "username", "secret", "passphrase"),
    [
        pytest.param("ssh://h/x", _KEY, "git", b"PEM", "", id="ssh-user-defaults-to-git"),
        pytest.param("ssh://ada@h/x", _KEY, "ada", b"PEM", "", id="ssh-user-from-url"),
        pytest.param("ssh://ada:pw@h/x", _KEY, "ada", b"PEM", "pw", id="ssh-passphrase-from-url"),
        pytest.param("https://bob:pw@h/x", _BASIC, "ada", b"hunter2", "", id="explicit-wins"),
        pytest.param("https://bob:pw@h/x", Credentials(), "bob", b"pw", "", id="https-from-url"),
        pytest.param("https://h/x", Credentials(), "", b"", "", id="anonymous"),
    ],
)
def test_credentials_are_completed_from_the_url(
    url: str, given: Credentials, username: str, secret: bytes, passphrase: str
) -> None:
    ready = for_url(given, parse_url(url))
    assert (ready.username, ready.secret, ready.passphrase) == (username, secret, passphrase)


@pytest.mark.parametrize(
    ("url", "given", "reason"),
    [
        pytest.param("ssh://h/x", Credentials(), "a private key is required", id="ssh-no-key"),
        pytest.param("ssh://h/x", _BASIC, "a private key is required", id="ssh-password"),
        pytest.param("https://h/x", _KEY, "an SSH key cannot be used", id="https-key"),
        pytest.param("https://bob@h/x", Credentials(), "both username and password", id="user"),
        pytest.param("https://h/x", basic_auth(b":pw"), "both username", id="no-user"),
    ],
)
def test_credentials_of_the_wrong_kind_are_refused(
    url: str, given: Credentials, reason: str
) -> None:
    with pytest.raises(AuthError, match=reason):
        for_url(given, parse_url(url))


@pytest.mark.asyncio
async def test_a_file_is_read_anew_each_time_so_that_rotation_works(tmp_path: Path) -> None:
    secret, trusted, ca = (tmp_path / name for name in ("secret", "known_hosts", "ca.pem"))
    provider = PlacedCredentials(
        PlacedKey(File(secret), ssh_key), known_hosts=File(trusted), ca=File(ca)
    )
    ca.write_text("PEM")
    trusted.write_text("host key\n")
    secret.write_text("old")
    assert (await provider.get(fresh=False)).secret == b"old"
    secret.write_text("new")
    assert await provider.get(fresh=False) == Credentials(
        CredentialKind.SSH_KEY, secret=b"new", known_hosts="host key\n", ca=b"PEM"
    )


@pytest.mark.asyncio
async def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match=r"cannot read .*/secret: No such file"):
        await PlacedCredentials(PlacedKey(File(tmp_path / "secret"), ssh_key)).get(fresh=False)


@pytest.mark.asyncio
async def test_a_variable_is_read_and_a_missing_one_named() -> None:
    environ = {"TOKEN": "ada:hunter2"}
    assert (
        await PlacedCredentials(PlacedKey(Variable("TOKEN", environ), basic_auth)).get(fresh=False)
    ) == _BASIC
    with pytest.raises(CredentialsError, match="NOPE is not set"):
        await PlacedCredentials(PlacedKey(Variable("NOPE", environ), basic_auth)).get(fresh=False)


@pytest.mark.parametrize("token", [b"abc.DEF-123_~+/==", b"abc\n"])
def test_a_token_is_shown_without_the_newline_of_its_file(token: bytes) -> None:
    given = Credentials(CredentialKind.BEARER, secret=token)
    ready = for_url(given, parse_url("https://example.org/app"))
    assert (ready.kind, ready.secret) == (CredentialKind.BEARER, token.strip())


@pytest.mark.parametrize("token", [b"", b"\n", b"two words", b"a\nHost: x", b"\xff"])
def test_what_is_no_token_is_refused_unquoted(token: bytes) -> None:
    given = Credentials(CredentialKind.BEARER, secret=token)
    with pytest.raises(AuthError, match="bearer token is empty or contains"):
        for_url(given, parse_url("https://example.org/app"))
