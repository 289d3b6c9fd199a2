"""Where secrets are read from: files, folders, environment variables, Kubernetes Secrets.

Each place is read anew at every call, since a mounted Secret rotates under us; what comes through
the API server is remembered by ``RememberedSecrets`` until somebody wants it fresh. Knows nothing
of what the bytes mean, and quotes none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from agent.aio.detached import in_own_thread
from agent.source.errors import CredentialsError, SecretError

_LARGEST_FILE: Final = 1 << 20  # bytes; a Secret holds no more, and somebody may name /dev/zero


class SecretReader(Protocol):
    """Reads Kubernetes Secrets; the API server is somebody else's business."""

    async def __call__(self, namespace: str, name: str) -> Mapping[str, bytes]:
        """Return the decoded data of one Secret; raise SecretError."""
        ...


class Place(Protocol):
    """Where some bytes are kept."""

    async def read(self) -> bytes:
        """Return them as they are now; raise CredentialsError, whose message quotes nothing."""
        ...

    def refuse(self, reason: str) -> CredentialsError:
        """Return the error for bytes that make no sense, which says where they are from."""
        ...


class Whole(Protocol):
    """A set of values by name: a Secret, or a folder that one is mounted at."""

    async def read_all(self) -> Mapping[str, bytes]:
        """Return all of it as it is now; raise CredentialsError."""
        ...

    def refuse(self, reason: str) -> CredentialsError:
        """Return the error for values that make no sense, which says where they are from."""
        ...


@dataclass(frozen=True, slots=True)
class Constant:
    """Bytes that the configuration itself gives, and that are no secret."""

    content: bytes

    async def read(self) -> bytes:
        """Return them."""
        return self.content

    def refuse(self, reason: str) -> CredentialsError:
        """Return the error for them."""
        return CredentialsError(reason)


@dataclass(frozen=True, slots=True)
class File:
    """A file."""

    path: Path

    async def read(self) -> bytes:
        """Read it in a thread; raise CredentialsError."""
        return await in_own_thread(self, lambda: _content(self.path))

    def refuse(self, reason: str) -> CredentialsError:
        """Return the error for what is in it."""
        return CredentialsError(f"{reason} (file {self.path})")


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder with one file a value, as the kubelet mounts a Secret."""

    path: Path

    async def read_all(self) -> dict[str, bytes]:
        """Read all files that are directly in it; raise CredentialsError."""
        return await in_own_thread(self, self._read_all)

    def refuse(self, reason: str) -> CredentialsError:
        """Return the error for what is in it."""
        return CredentialsError(f"{reason} (folder {self.path})")

    def _read_all(self) -> dict[str, bytes]:
        try:
            # "..data" and its like are how the kubelet swaps all files at once.
            files = [p for p in self.path.iterdir() if not p.name.startswith(".") and p.is_file()]
        except OSError as error:
            raise _unreadable(self.path, error) from None
        return {path.name: _content(path) for path in sorted(files)}


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
        return value.encode(errors="surrogateescape")

    def refuse(self, reason: str) -> CredentialsError:
        """Return the error for its value."""
        return CredentialsError(f"{reason} (environment variable {self.name})")


class RememberedSecrets:
    """Secrets of the API server, remembered: a poll of an unchanged repository asks for none.

    ``start`` opens a reading; ``was_used`` then tells whether it got anything from memory.
    """

    def __init__(self, read: SecretReader) -> None:
        self._read = read
        self._known: dict[tuple[str, str], Mapping[str, bytes]] = {}
        self._read_now: set[tuple[str, str]] = set()
        self.was_used = False

    def start(self, *, fresh: bool) -> None:
        """Begin to read; ``fresh`` forgets what is known."""
        if fresh:
            self._known.clear()
        self._read_now.clear()
        self.was_used = False

    def forget(self) -> None:
        """Know nothing any more: what was remembered may be why something failed."""
        self._known.clear()

    async def get(self, namespace: str, name: str) -> Mapping[str, bytes]:
        """Return a Secret's data; raise SecretError."""
        identity = (namespace, name)
        if (known := self._known.get(identity)) is not None:
            self.was_used |= identity not in self._read_now
            return known
        found = await self._read(namespace, name)
        self._known[identity] = found
        self._read_now.add(identity)
        return found


@dataclass(frozen=True, slots=True)
class SecretKey:
    """One value of a Kubernetes Secret; ``use`` is what it is for, as the configuration says it."""

    secrets: RememberedSecrets = field(repr=False)
    namespace: str
    name: str
    key: str
    use: str = "deploy key"

    async def read(self) -> bytes:
        """Look it up; raise SecretError in Faros' words (faros.md section 4.1)."""
        data = await self.secrets.get(self.namespace, self.name)
        if self.key not in data:
            raise SecretError(
                f"invalid {self.use} reference. Secret {self.name} does not have key {self.key}; "
                f"{_kept(data)} (namespace {self.namespace})"
            )
        return data[self.key]

    def refuse(self, reason: str) -> SecretError:
        """Return the error for its value."""
        return SecretError(f"{reason} (Secret {self.namespace}/{self.name}, key {self.key})")


@dataclass(frozen=True, slots=True)
class WholeSecret:
    """All of a Kubernetes Secret."""

    secrets: RememberedSecrets = field(repr=False)
    namespace: str
    name: str

    async def read_all(self) -> Mapping[str, bytes]:
        """Read it; raise SecretError."""
        return await self.secrets.get(self.namespace, self.name)

    def refuse(self, reason: str) -> SecretError:
        """Return the error for what is in it."""
        return SecretError(f"{reason} (Secret {self.namespace}/{self.name})")


def without_newline(content: bytes) -> bytes:
    """Return bytes without the one newline that editors and ``--from-file`` leave at the end."""
    return content.removesuffix(b"\n").removesuffix(b"\r")


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise _unreadable(path, error) from None
    if len(content) > _LARGEST_FILE:
        raise CredentialsError(f"{path} is larger than 1 MiB: it is no credential")
    return content


def _unreadable(path: Path, error: OSError) -> CredentialsError:
    return CredentialsError(f"cannot read {path}: {error.strerror}")


def _kept(data: Mapping[str, bytes]) -> str:
    return f"it has {', '.join(sorted(data))}" if data else "it is empty"
