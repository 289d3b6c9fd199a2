"""Credential providers that need no API server: a constant, a file, an environment variable."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from agent.source.credentials import Credentials
from agent.source.errors import CredentialsError

SecretReader = Callable[[bytes], Credentials]
"""``ssh_key`` or ``basic_auth``: the secret's type."""


@dataclass(frozen=True, slots=True)
class StaticCredentials:
    """Credentials that never change; by default none at all."""

    credentials: Credentials = field(default_factory=Credentials)

    async def get(self) -> Credentials:
        """Return them."""
        return self.credentials


@dataclass(frozen=True, slots=True)
class FileCredentials:
    """Credentials in a file, read anew at each call: a mounted Secret rotates under us.

    ``known_hosts`` is a file too, read likewise; None means the machine's own.
    """

    path: Path
    reader: SecretReader
    known_hosts: Path | None = None
    ca_file: str = ""

    async def get(self) -> Credentials:
        """Read the files; raise CredentialsError."""
        credentials = self.reader(await asyncio.to_thread(_read, self.path))
        known_hosts = ""
        if self.known_hosts is not None:
            content = await asyncio.to_thread(_read, self.known_hosts)
            known_hosts = content.decode(errors="replace")
        return replace(credentials, known_hosts=known_hosts, ca_file=self.ca_file)


@dataclass(frozen=True, slots=True)
class EnvCredentials:
    """Credentials in an environment variable."""

    variable: str
    reader: SecretReader
    known_hosts: str = ""
    ca_file: str = ""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    async def get(self) -> Credentials:
        """Read the variable; raise CredentialsError when it is not set."""
        secret = self.environ.get(self.variable)
        if secret is None:
            raise CredentialsError(f"environment variable {self.variable} is not set")
        credentials = self.reader(secret.encode())
        return replace(credentials, known_hosts=self.known_hosts, ca_file=self.ca_file)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CredentialsError(f"cannot read {path}: {error.strerror}") from None
