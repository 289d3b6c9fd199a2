"""A Secret that is read whole: Flux's layout, row by row (flux.md section 1.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.source.errors import CredentialsError
from agent.source.login.credentials import CredentialKind, Credentials
from agent.source.login.githubapp import App
from agent.source.login.layout import credentials_of, proxy_of
from agent.source.url import parse_url

SSH = parse_url("ssh://git@h/x")
HTTPS = parse_url("https://h/x")

BASIC = Credentials(CredentialKind.BASIC, "ada", b"hunter2")

FITTING = {
    "ssh": (
        SSH,
        {"identity": b"PEM", "known_hosts": b"h key\n"},
        Credentials(CredentialKind.SSH_KEY, secret=b"PEM", known_hosts="h key\n"),
    ),
    "ssh with passphrase": (
        SSH,
        {"identity": b"PEM", "identity.pub": b"x", "known_hosts": b"h key", "password": b"pw\n"},
        Credentials(CredentialKind.SSH_KEY, secret=b"PEM", passphrase="pw", known_hosts="h key"),
    ),
    "ssh without known_hosts": (
        SSH,
        {"identity": b"PEM"},
        Credentials(CredentialKind.SSH_KEY, secret=b"PEM"),
    ),
    "basic": (HTTPS, {"username": b"ada", "password": b"hunter2"}, BASIC),
    "basic from files with newlines": (
        HTTPS,
        {"username": b"ada\n", "password": b"hunter2\r\n"},
        BASIC,
    ),
    "user in the URL": (parse_url("https://ada@h/x"), {"password": b"hunter2"}, BASIC),
    "bearer": (
        HTTPS,
        {"bearerToken": b"hunter2\n"},
        Credentials(CredentialKind.BEARER, secret=b"hunter2"),
    ),
    "bearer and authorities": (
        HTTPS,
        {"bearerToken": b"hunter2", "ca.crt": b"CA"},
        Credentials(CredentialKind.BEARER, secret=b"hunter2", ca=b"CA"),
    ),
    "authorities alone": (HTTPS, {"ca.crt": b"CA"}, Credentials(ca=b"CA")),
    "authorities, old name": (HTTPS, {"caFile": b"CA"}, Credentials(ca=b"CA")),
    "authorities, both names": (HTTPS, {"caFile": b"old", "ca.crt": b"CA"}, Credentials(ca=b"CA")),
    "client certificate": (
        HTTPS,
        {"tls.crt": b"CRT", "tls.key": b"KEY", "ca.crt": b"CA"},
        Credentials(ca=b"CA", client_certificate=b"CRT", client_key=b"KEY"),
    ),
}


@pytest.mark.parametrize(("url", "data", "expected"), FITTING.values(), ids=FITTING)
def test_what_a_secret_holds_is_told_by_its_keys(
    url: object, data: dict[str, bytes], expected: Credentials
) -> None:
    assert credentials_of(data, url) == (expected, None)  # type: ignore[arg-type]


def test_a_github_app_is_told_by_its_id() -> None:
    data = {
        "githubAppID": b"7\n",
        "githubAppPrivateKey": b"PEM",
        "githubAppInstallationID": b"42",
        "ca.crt": b"CA",
    }
    assert credentials_of(data, HTTPS) == (
        Credentials(ca=b"CA"),
        App(app_id="7", private_key=b"PEM", installation_id="42"),
    )
    data |= {
        "githubAppInstallationOwner": data.pop("githubAppInstallationID"),
        "githubAppBaseURL": b"https://ghe.example.org/api/v3/",
    }
    _, app = credentials_of(data, HTTPS)
    assert app == App(
        app_id="7",
        private_key=b"PEM",
        installation_owner="42",
        base_url="https://ghe.example.org/api/v3",
    )


APP = {"githubAppID": b"7", "githubAppPrivateKey": b"PEM"}
UNFITTING = {
    "https for ssh": (
        SSH,
        {"username": b"ada", "password": b"hunter2"},
        "ssh needs the key identity, a private key; it has password, username",
    ),
    "ssh for https": (
        HTTPS,
        {"identity": b"hunter2", "known_hosts": b"h"},
        "https needs username and password, bearerToken, githubAppID or tls.crt; "
        "it has identity, known_hosts",
    ),
    "empty": (HTTPS, {}, "https needs username and password, bearerToken, githubAppID or tls.crt; "
              "it is empty"),
    "token and password": (
        HTTPS,
        {"bearerToken": b"hunter2", "username": b"a", "password": b"b"},
        "it has more than one way to log in: bearerToken, username and password; keep one",
    ),
    "app and token": (
        HTTPS,
        {**APP, "bearerToken": b"hunter2"},
        "it has more than one way to log in: bearerToken, githubAppID; keep one",
    ),
    "password alone": (HTTPS, {"password": b"hunter2"}, "username and password must both be there"),
    "user alone": (HTTPS, {"username": b"hunter2"}, "username and password must both be there"),
    "empty token": (HTTPS, {"bearerToken": b"\n"}, "the key bearerToken is missing or empty; "
                    "it has bearerToken"),
    "certificate alone": (HTTPS, {"tls.crt": b"C"}, "tls.crt and tls.key must come together; "
                          "it has tls.crt"),
    "key alone": (HTTPS, {"tls.key": b"hunter2"}, "tls.crt and tls.key must come together; "
                  "it has tls.key"),
    "app nowhere": (
        HTTPS,
        APP,
        "exactly one of githubAppInstallationID and githubAppInstallationOwner is needed",
    ),
    "app in two places": (
        HTTPS,
        {**APP, "githubAppInstallationID": b"1", "githubAppInstallationOwner": b"o"},
        "exactly one of githubAppInstallationID and githubAppInstallationOwner is needed",
    ),
    "app without key": (
        HTTPS,
        {"githubAppID": b"7", "githubAppInstallationID": b"1"},
        "the key githubAppPrivateKey is missing or empty; it has githubAppID, "
        "githubAppInstallationID",
    ),
    "app over http": (
        HTTPS,
        {**APP, "githubAppInstallationID": b"1", "githubAppBaseURL": b"http://hunter2"},
        "githubAppBaseURL is not an https URL",
    ),
    "binary user": (
        HTTPS,
        {"username": b"\xffhunter2", "password": b"x"},
        "the value of username is not UTF-8",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("url", "data", "reason"), UNFITTING.values(), ids=UNFITTING)
def test_a_secret_that_does_not_fit_is_refused_by_the_names_of_its_keys(
    url: object, data: dict[str, bytes], reason: str
) -> None:
    with pytest.raises(CredentialsError) as caught:
        credentials_of(data, url)  # type: ignore[arg-type]
    assert str(caught.value) == reason


PROXIES = {
    "open": ({"address": b"http://proxy:3128\n"}, b"http://proxy:3128"),
    "with password": (
        {"address": b"http://proxy:3128", "username": b"ada", "password": b"p@ss/w:rd"},
        b"http://ada:p%40ss%2Fw%3Ard@proxy:3128",
    ),
    "socks": (
        {"address": b"socks5://10.0.0.1:1080", "username": b"a", "password": b"b"},
        b"socks5://a:b@10.0.0.1:1080",
    ),
}


@pytest.mark.parametrize(("data", "url"), PROXIES.values(), ids=PROXIES)
def test_a_proxys_secret_becomes_its_url(data: dict[str, bytes], url: bytes) -> None:
    assert proxy_of(data) == url


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"username": b"hunter2"}, "a proxy's Secret needs the key address; it has username"),
        ({"address": b"hunter2"}, "address is not a URL, expected one such as http://proxy:3128"),
        ({"address": b"http://["}, "address is not a URL, expected one such as http://proxy:3128"),
        (
            {"address": b"http://p", "password": b"hunter2"},
            "there is a password without a username",
        ),
    ],
    ids=["no-address", "no-url", "broken-url", "no-user"],
)
def test_a_proxys_secret_that_makes_no_sense_is_refused(
    data: dict[str, bytes], reason: str
) -> None:
    with pytest.raises(CredentialsError) as caught:
        proxy_of(data)
    assert str(caught.value) == reason


_KEYS = st.sampled_from(
    [
        *FITTING["ssh with passphrase"][1],
        "username",
        "bearerToken",
        "ca.crt",
        "caFile",
        "tls.crt",
        "tls.key",
        *APP,
        "githubAppInstallationID",
        "githubAppInstallationOwner",
    ]
)


@given(st.dictionaries(_KEYS, st.binary(max_size=4).map(lambda end: b"c4nary" + end)))
def test_whatever_a_secret_holds_no_error_quotes_a_value(data: dict[str, bytes]) -> None:
    for url in (SSH, HTTPS):
        try:
            credentials_of(data, url)
        except CredentialsError as error:
            assert "c4nary" not in str(error)
