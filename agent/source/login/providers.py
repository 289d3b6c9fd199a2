"""Credential providers: from places to the Credentials of one track.

A key is read and understood by one of ``PlacedKey``, ``WholeKey`` and ``AppKey``; what else a
track says (host keys, authorities, client certificate, proxy) is laid over it, and wins.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from agent.source.errors import CredentialsError
from agent.source.login.credentials import Credentials
from agent.source.login.githubapp import App, AppTokens
from agent.source.login.layout import credentials_of, proxy_of
from agent.source.login.places import Place, RememberedSecrets, Whole, without_newline
from agent.source.url import GitUrl

KeyReader = Callable[[bytes], Credentials]
"""``ssh_key``, ``basic_auth`` or ``bearer_token``: what the bytes of a place are."""


_PRIVATE_KEY: Final = re.compile(
    rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----.*?-----END (?:[A-Z]+ )*PRIVATE KEY-----\n?", re.S
)


class Key(Protocol):
    """What is shown to the server: a deploy key in Faros' sense."""

    async def read(self) -> tuple[Credentials, App | None]:
        """Return it as it is now, with the GitHub App that has to be asked for a token, if any.

        Raises CredentialsError.
        """
        ...


@dataclass(frozen=True, slots=True)
class PlacedKey:
    """The bytes of one place, understood by ``reader``; for ssh perhaps with a passphrase."""

    place: Place
    reader: KeyReader
    passphrase: Place | None = None

    async def read(self) -> tuple[Credentials, App | None]:
        """Read both places; raise CredentialsError."""
        content = await self.place.read()
        try:
            credentials = self.reader(content)
        except CredentialsError as error:
            raise self.place.refuse(str(error)) from None
        if self.passphrase is not None:
            passphrase = await _text(self.passphrase, "the passphrase")
            credentials = replace(credentials, passphrase=passphrase)
        return credentials, None


@dataclass(frozen=True, slots=True)
class WholeKey:
    """A whole Secret or folder, whose keys are called as Flux calls them."""

    whole: Whole
    url: GitUrl

    async def read(self) -> tuple[Credentials, App | None]:
        """Read all of it; raise CredentialsError."""
        data = await self.whole.read_all()
        try:
            return credentials_of(data, self.url)
        except CredentialsError as error:
            raise self.whole.refuse(str(error)) from None


@dataclass(frozen=True, slots=True)
class AppKey:
    """The private key of a GitHub App; ``app`` is everything else about it."""

    place: Place
    app: App

    async def read(self) -> tuple[Credentials, App | None]:
        """Read the place; raise CredentialsError."""
        private_key = await self.place.read()
        if not private_key.strip():
            raise self.place.refuse("the GitHub App's private key is empty")
        return Credentials(), replace(self.app, private_key=private_key)


@dataclass(frozen=True, slots=True)
class WholeProxy:
    """The URL of a proxy, from a whole Secret or folder as Flux lays it out. A Place."""

    whole: Whole

    async def read(self) -> bytes:
        """Read all of it and put the URL together; raise CredentialsError."""
        data = await self.whole.read_all()
        try:
            return proxy_of(data)
        except CredentialsError as error:
            raise self.whole.refuse(str(error)) from None

    def refuse(self, reason: str) -> CredentialsError:
        """Return the error for what it says."""
        return self.whole.refuse(reason)


@dataclass(frozen=True, slots=True)
class StaticCredentials:
    """Credentials that never change; by default none at all."""

    credentials: Credentials = field(default_factory=Credentials)

    async def get(self, *, fresh: bool) -> Credentials:
        """Return them."""
        return self.credentials

    def refused(self) -> bool:
        """Return False: another look brings nothing new."""
        return False


@dataclass(frozen=True, slots=True)
class PlacedCredentials:
    """Credentials read from places.

    Without ``key`` the access is anonymous. Without ``known_hosts`` the machine's own are used,
    without ``ca`` its certificate authorities, without ``proxy`` what the environment says.
    ``secrets`` is what the places among them that are Kubernetes Secrets share.
    """

    key: Key | None = None
    known_hosts: Place | None = None
    ca: Place | None = None
    client_certificate: Place | None = None
    client_key: Place | None = None
    proxy: Place | None = None
    secrets: RememberedSecrets | None = field(default=None, repr=False)
    tokens: AppTokens = field(default_factory=AppTokens, repr=False)

    async def get(self, *, fresh: bool) -> Credentials:
        """Read all places; raise CredentialsError, after which nothing is remembered."""
        if self.secrets is not None:
            self.secrets.start(fresh=fresh)
        try:
            return await self._read()
        except CredentialsError:
            self._forget()
            raise

    def refused(self) -> bool:
        """Forget what is remembered; True when the last credentials had something of it."""
        remembered = self.tokens.was_used or (self.secrets is not None and self.secrets.was_used)
        self._forget()
        return remembered

    async def _read(self) -> Credentials:
        shown, app = await self.key.read() if self.key else (Credentials(), None)
        credentials = await self._laid_over(shown)
        return await self.tokens.login(app, credentials) if app else credentials

    async def _laid_over(self, shown: Credentials) -> Credentials:
        hosts = await _filled(self.known_hosts, "known-hosts") if self.known_hosts else b""
        authorities = await _filled(self.ca, "ca") if self.ca else b""
        certificate, key = await self._client_pair(shown)
        return replace(
            shown,
            known_hosts=hosts.decode(errors="replace") or shown.known_hosts,
            ca=authorities or shown.ca,
            client_certificate=certificate,
            client_key=key,
            proxy=await _text(self.proxy, "the proxy") if self.proxy else "",
        )

    async def _client_pair(self, shown: Credentials) -> tuple[bytes, bytes]:
        """Return the client's certificate and key; one file may hold both."""
        if self.client_certificate is None:
            return shown.client_certificate, shown.client_key
        certificate = await self.client_certificate.read()
        if b"BEGIN CERTIFICATE" not in certificate:
            raise self.client_certificate.refuse("client-certificate is no certificate in PEM form")
        if self.client_key is not None:
            return certificate, await _filled(self.client_key, "client-key")
        keys = _PRIVATE_KEY.findall(certificate)
        if not keys:
            raise self.client_certificate.refuse(
                "there is no private key beside the client's certificate: name it with client-key"
            )
        return _PRIVATE_KEY.sub(b"", certificate), keys[0]

    def _forget(self) -> None:
        self.tokens.forget()
        if self.secrets is not None:
            self.secrets.forget()


async def _filled(place: Place, what: str) -> bytes:
    """Read a place whose content must not be empty: that would mean the machine's own."""
    content = await place.read()
    if not content.strip():
        raise place.refuse(f"{what} is empty")
    return content


async def _text(place: Place, what: str) -> str:
    """Read a place that holds text; one newline at its end is not part of it."""
    content = await _filled(place, what)
    try:
        return without_newline(content).decode()
    except UnicodeDecodeError:
        raise place.refuse(f"{what} is not UTF-8") from None
