"""Credentials for a repository: the value, how a secret's bytes are read, who provides it.

Light on purpose: the worker process imports it. Providers that read files are in ``providers``.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol
from urllib.parse import unquote

from agent.source.errors import AuthError, CredentialsError
from agent.source.url import GitUrl


class CredentialKind(StrEnum):
    """What is shown to the server."""

    NONE = "none"
    SSH_KEY = "ssh-key"
    BASIC = "basic"
    BEARER = "bearer"


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """What to show a server, and what to believe it by.

    ``secret`` is the private key (PEM or OpenSSH), the password or the token. ``known_hosts`` is
    the text of a known_hosts file, "" for the machine's own. ``ca`` (PEM) replaces the machine's
    certificate authorities. ``client_certificate`` (PEM, its chain included) and ``client_key``
    (PEM) are shown to an https server beside the rest. ``proxy`` is a URL that may carry
    ``user:password``: http, https, socks4, socks5 or socks5h; "" means what the environment says.
    """

    kind: CredentialKind = CredentialKind.NONE
    username: str = ""
    secret: bytes = b""
    passphrase: str = ""
    known_hosts: str = ""
    ca: bytes = b""
    client_certificate: bytes = b""
    client_key: bytes = b""
    proxy: str = ""

    def __repr__(self) -> str:
        return f"Credentials(kind={self.kind.value!r}, …)"

    def scrub(self, text: str) -> str:
        """Return ``text`` with every secret of these credentials blanked out."""
        for secret in sorted(self._secrets(), key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    def _secrets(self) -> set[str]:
        secret = self.secret.decode(errors="replace").strip()
        pair = f"{self.username}:{secret}".encode(errors="replace")
        found = {
            secret,
            self.passphrase,
            base64.b64encode(pair).decode() if self.kind is CredentialKind.BASIC else "",
            self.client_key.decode(errors="replace").strip(),
        }
        # The proxy's URL may be so broken that its parts cannot be told apart.
        userinfo = self.proxy.rpartition("@")[0].rpartition("//")[2]
        password = userinfo.partition(":")[2]
        if password:
            found |= {userinfo, password, unquote(password)}
        return found - {""}


class CredentialProvider(Protocol):
    """Where a track's credentials come from."""

    async def get(self, *, fresh: bool) -> Credentials:
        """Return the credentials: called at each poll, so rotation works.

        What is dear to read may be remembered from an earlier call, unless ``fresh``. Raises
        CredentialsError, whose message says what is missing and never quotes a secret.
        """
        ...

    def refused(self) -> bool:
        """Hear that the server refused the last credentials, and forget what was remembered.

        Returns True when they were remembered, at least in part, so that a new look may help.
        """
        ...


def ssh_key(secret: bytes, passphrase: str = "") -> Credentials:
    """Make credentials from a private key's bytes (secret type ``SSH``); raise CredentialsError."""
    if not secret.strip():
        raise CredentialsError("the SSH private key is empty")
    return Credentials(kind=CredentialKind.SSH_KEY, secret=secret, passphrase=passphrase)


def basic_auth(secret: bytes) -> Credentials:
    """Make credentials from ``<username>:<password>`` (secret type ``HTTPBasicAuth``).

    Split at the first colon, so a password may contain colons; one newline at the end, which
    editors and ``kubectl create secret --from-file`` leave there, is not part of it.
    """
    username, colon, password = secret.removesuffix(b"\n").removesuffix(b"\r").partition(b":")
    if not colon:
        raise CredentialsError(
            "you must specify the secret as <username>:<password> for credential type HTTPBasicAuth"
        )
    try:
        name = username.decode()
    except UnicodeDecodeError:
        raise CredentialsError("the username of an HTTPBasicAuth secret is not UTF-8") from None
    return Credentials(kind=CredentialKind.BASIC, username=name, secret=password)


def bearer_token(secret: bytes) -> Credentials:
    """Make credentials from a token (secret type ``BearerToken``); raise CredentialsError."""
    if not secret.strip():
        raise CredentialsError("the bearer token is empty")
    return Credentials(kind=CredentialKind.BEARER, secret=secret.strip())


def for_url(credentials: Credentials, url: GitUrl) -> Credentials:
    """Complete credentials with what the URL carries, explicit ones winning; raise AuthError.

    For ssh a password in the URL is the key's passphrase (faros.md section 4.1).
    """
    if url.is_ssh:
        return _for_ssh(credentials, url)
    if url.is_http:
        return _for_http(credentials, url)
    return replace(credentials, kind=CredentialKind.NONE)


def _for_ssh(credentials: Credentials, url: GitUrl) -> Credentials:
    if credentials.kind is not CredentialKind.SSH_KEY:
        raise AuthError(
            url.redacted(),
            "a private key is required for ssh",
            hint="give the track a deploy-key of type SSH",
        )
    return replace(
        credentials,
        username=url.user or credentials.username or "git",
        passphrase=credentials.passphrase or url.password,
    )


def _for_http(credentials: Credentials, url: GitUrl) -> Credentials:
    if credentials.kind is CredentialKind.SSH_KEY:
        raise AuthError(
            url.redacted(),
            f"an SSH key cannot be used over {url.scheme}",
            hint="use a deploy-key of type HTTPBasicAuth, or an ssh URL",
        )
    if credentials.kind is CredentialKind.BEARER:
        return _with_token(credentials, url)
    if credentials.kind is CredentialKind.NONE and (url.user or url.password):
        credentials = replace(
            credentials,
            kind=CredentialKind.BASIC,
            username=url.user,
            secret=url.password.encode(),
        )
    if credentials.kind is CredentialKind.BASIC and not (
        credentials.username and credentials.secret
    ):
        raise AuthError(
            url.redacted(), "for HTTP, both username and password are required, or neither"
        )
    return credentials


def _with_token(credentials: Credentials, url: GitUrl) -> Credentials:
    token = credentials.secret.strip()
    # RFC 6750, section 2.1; anything else could not be sent as a header.
    if not re.fullmatch(rb"[A-Za-z0-9._~+/-]+=*", token):
        raise AuthError(
            url.redacted(), "the bearer token is empty or contains what no token may contain"
        )
    return replace(credentials, secret=token)
