"""What a whole Secret holds, told by the names of its keys: Flux's layout (flux.md section 1.1).

Pure: from values by name to Credentials. The same for a folder that such a Secret is mounted at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlsplit

from agent.source.errors import CredentialsError
from agent.source.login.credentials import CredentialKind, Credentials
from agent.source.login.githubapp import DEFAULT_BASE_URL, App
from agent.source.login.places import without_newline
from agent.source.url import GitUrl

_OF_SSH: Final = ("identity",)
_OF_HTTP: Final = ("username", "password", "bearerToken", "githubAppID")
_OF_TLS: Final = ("ca.crt", "caFile", "tls.crt", "tls.key")


def credentials_of(data: Mapping[str, bytes], url: GitUrl) -> tuple[Credentials, App | None]:
    """Return what a Secret holds for a URL, and the GitHub App if it is one's.

    Raises CredentialsError, whose message names keys and quotes no value.
    """
    if url.is_ssh:
        return _for_ssh(data), None
    return _for_http(data, url)


def proxy_of(data: Mapping[str, bytes]) -> bytes:
    """Return the URL of a proxy from ``address``, ``username`` and ``password``.

    Raises CredentialsError.
    """
    address = _text(data, "address")
    if not address:
        raise CredentialsError(f"a proxy's Secret needs the key address; {_has(data)}")
    try:
        parts = urlsplit(address)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        host = ""
    if not host or "://" not in address:
        raise CredentialsError("address is not a URL, expected one such as http://proxy:3128")
    username, password = _text(data, "username"), _text(data, "password")
    if password and not username:
        raise CredentialsError("there is a password without a username")
    if not username:
        return address.encode()
    user = f"{quote(username, safe='')}:{quote(password, safe='')}"
    return f"{parts.scheme}://{user}@{host}".encode()


def _for_ssh(data: Mapping[str, bytes]) -> Credentials:
    if "identity" not in data:
        raise CredentialsError(f"ssh needs the key identity, a private key; {_has(data)}")
    return Credentials(
        kind=CredentialKind.SSH_KEY,
        secret=data["identity"],
        passphrase=_text(data, "password"),
        known_hosts=data.get("known_hosts", b"").decode(errors="replace"),
    )


def _for_http(data: Mapping[str, bytes], url: GitUrl) -> tuple[Credentials, App | None]:
    if not any(key in data for key in (*_OF_HTTP, *_OF_TLS)):
        raise CredentialsError(
            f"{url.scheme} needs username and password, bearerToken, githubAppID or tls.crt; "
            f"{_has(data)}"
        )
    ways = {
        "bearerToken": "bearerToken" in data,
        "username and password": "username" in data or "password" in data,
        "githubAppID": "githubAppID" in data,
    }
    if sum(ways.values()) > 1:
        found = ", ".join(way for way, there in ways.items() if there)
        raise CredentialsError(f"it has more than one way to log in: {found}; keep one")
    if ("tls.crt" in data) != ("tls.key" in data):
        raise CredentialsError(f"tls.crt and tls.key must come together; {_has(data)}")
    kind, username, secret = _login(data, url)
    credentials = Credentials(
        kind=kind,
        username=username,
        secret=secret,
        ca=data.get("ca.crt", data.get("caFile", b"")),
        client_certificate=data.get("tls.crt", b""),
        client_key=data.get("tls.key", b""),
    )
    return credentials, _app(data) if ways["githubAppID"] else None


def _login(data: Mapping[str, bytes], url: GitUrl) -> tuple[CredentialKind, str, bytes]:
    if "bearerToken" in data:
        return CredentialKind.BEARER, "", _filled(data, "bearerToken")
    if "username" not in data and "password" not in data:
        return CredentialKind.NONE, "", b""
    username = _text(data, "username") or url.user
    password = without_newline(data.get("password", b"")) or url.password.encode()
    if not (username and password):
        raise CredentialsError("username and password must both be there")
    return CredentialKind.BASIC, username, password


def _app(data: Mapping[str, bytes]) -> App:
    installation = _text(data, "githubAppInstallationID")
    owner = _text(data, "githubAppInstallationOwner")
    if bool(installation) == bool(owner):
        raise CredentialsError(
            "exactly one of githubAppInstallationID and githubAppInstallationOwner is needed"
        )
    base_url = _text(data, "githubAppBaseURL").rstrip("/") or DEFAULT_BASE_URL
    if not base_url.startswith("https://"):
        raise CredentialsError("githubAppBaseURL is not an https URL")
    return App(
        app_id=_filled(data, "githubAppID").decode(errors="replace"),
        private_key=_filled(data, "githubAppPrivateKey"),
        installation_id=installation,
        installation_owner=owner,
        base_url=base_url,
    )


def _filled(data: Mapping[str, bytes], key: str) -> bytes:
    value = without_newline(data.get(key, b""))
    if not value.strip():
        raise CredentialsError(f"the key {key} is missing or empty; {_has(data)}")
    return value


def _text(data: Mapping[str, bytes], key: str) -> str:
    try:
        return without_newline(data.get(key, b"")).decode()
    except UnicodeDecodeError:
        raise CredentialsError(f"the value of {key} is not UTF-8") from None


def _has(data: Mapping[str, bytes]) -> str:
    return f"it has {', '.join(sorted(data))}" if data else "it is empty"
