"""Where a track's public keys are kept: files and folders, a variable, or a Kubernetes Secret.

Read anew at each poll, so that a key that is taken away is distrusted without a restart; only what
costs a request is remembered for a while. What a key is for is told by its content: the names that
Flux wants in a Secret (``ada.asc``, ``ada.sshpub``) are as good as any.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from agent.aio.detached import in_own_thread
from agent.source.errors import CredentialsError, SignatureError
from agent.source.login.places import RememberedSecrets, WholeSecret

_LARGEST: Final = 16 << 20  # bytes; a file beyond it is not a keyring but a mistake


class KeyMaterial(Protocol):
    """Where public keys are kept."""

    @property
    def identity(self) -> str:
        """The place in words: the same for two tracks that are to trust the same keys."""
        ...

    async def read(self, *, fresh: bool) -> Mapping[str, bytes]:
        """Return what is there now, by the name to show; raise SignatureError.

        Called at each poll and bounded by its caller. Unless ``fresh``, when it is about a revision
        that is in use already, a place that costs a request may answer from memory.
        """
        ...


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """Files, and folders of files: names that start with a dot and folders inside are left out."""

    paths: tuple[Path, ...]

    @property
    def identity(self) -> str:
        """The paths."""
        return "files " + " ".join(str(path) for path in self.paths)

    async def read(self, *, fresh: bool) -> Mapping[str, bytes]:
        """Read all files, always; raise SignatureError for the first that cannot be."""
        return await in_own_thread(self, self._read)

    def _read(self) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for given in self.paths:
            try:
                found |= {str(path): _content(path) for path in _files(given)}
            except OSError as error:
                raise SignatureError(
                    f"cannot read {error.filename or given}: {error.strerror}",
                    hint="check verify.keys",
                ) from None
        return found


@dataclass(frozen=True, slots=True)
class KeyVariable:
    """A variable of an environment."""

    name: str
    environment: Mapping[str, str] = field(repr=False)

    @property
    def identity(self) -> str:
        """The variable's name."""
        return f"variable {self.name}"

    async def read(self, *, fresh: bool) -> Mapping[str, bytes]:
        """Look it up; raise SignatureError when it is not set."""
        value = self.environment.get(self.name)
        if value is None:
            raise SignatureError(f"environment variable {self.name} is not set")
        return {f"environment variable {self.name}": value.encode(errors="surrogateescape")}


@dataclass(frozen=True, slots=True)
class KeySecret:
    """All of a Kubernetes Secret; ``secrets`` is this track's keys' own memory of it."""

    secrets: RememberedSecrets = field(repr=False)
    namespace: str
    name: str

    @property
    def identity(self) -> str:
        """The Secret's name."""
        return f"secret {self.namespace}/{self.name}"

    async def read(self, *, fresh: bool) -> Mapping[str, bytes]:
        """Return every entry, from memory unless ``fresh``; raise SignatureError."""
        self.secrets.start(fresh=fresh)
        try:
            entries = await WholeSecret(self.secrets, self.namespace, self.name).read_all()
        except CredentialsError as error:
            raise SignatureError(str(error), hint="check verify.keys") from error
        where = f"Secret {self.namespace}/{self.name}, key"
        return {f"{where} {key}": data for key, data in sorted(entries.items())}


def _files(given: Path) -> Iterator[Path]:
    if not given.is_dir():
        yield given
        return
    # A mounted Secret's files are links into a folder whose name starts with a dot.
    for path in sorted(given.iterdir()):
        if not path.name.startswith(".") and path.is_file():
            yield path


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise SignatureError(f"{path}: larger than {_LARGEST >> 20} MiB, so it is not a keyring")
    return content
