"""Credential providers that need no API server: a constant, files, environment variables.

A credential is put together from places; each place is read anew at every call, because a mounted
Secret rotates under us.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from agent.source.credentials import Credentials
from agent.source.errors import CredentialsError

SecretReader = Callable[[bytes], Credentials]
"""``ssh_key`` or ``basic_auth``: the secret's type."""


class Place(Protocol):
    """Where some bytes are kept."""

    async def read(self) -> bytes:
        """Return them as they are now; raise CredentialsError, whose message quotes nothing."""
        ...


@dataclass(frozen=True, slots=True)
class File:
    """A file."""

    path: Path

    async def read(self) -> bytes:
        """Read it in a thread; raise CredentialsError."""
        try:
            return await asyncio.to_thread(self.path.read_bytes)
        except OSError as error:
            raise CredentialsError(f"cannot read {self.path}: {error.strerror}") from None


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of an environment."""

    name: str
    environment: Mapping[str, str] = field(repr=False)

    async def read(self) -> bytes:
        """Look it up; raise CredentialsError when it is not set."""
        value = self.environment.get(self.name)
        if value is None:
            raise CredentialsError(f"environment variable {self.name} is not set")
        return value.encode()


@dataclass(frozen=True, slots=True)
class StaticCredentials:
    """Credentials that never change; by default none at all."""

    credentials: Credentials = field(default_factory=Credentials)

    async def get(self) -> Credentials:
        """Return them."""
        return self.credentials


@dataclass(frozen=True, slots=True)
class PlacedCredentials:
    """Credentials read from places.

    ``secret`` is understood by ``reader``; without one the access is anonymous. Without
    ``known_hosts`` the machine's own are used, without ``ca`` its certificate authorities.
    """

    secret: Place | None
    reader: SecretReader
    known_hosts: Place | None = None
    ca: Place | None = None

    async def get(self) -> Credentials:
        """Read all places; raise CredentialsError."""
        credentials = self.reader(await self.secret.read()) if self.secret else Credentials()
        hosts = await self.known_hosts.read() if self.known_hosts else b""
        authorities = await self.ca.read() if self.ca else b""
        return replace(credentials, known_hosts=hosts.decode(errors="replace"), ca=authorities)
