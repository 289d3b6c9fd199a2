"""What can be wrong with a file in git, and with the folder that is asked for."""

from __future__ import annotations

from agent.errors import AgentError


class ManifestError(AgentError):
    """A file, or the rest of it from ``line`` on, cannot be read as Kubernetes objects.

    One error stands for one file: it says the file, the line, the reason and what to do.
    """

    def __init__(self, file: str, line: int, reason: str) -> None:
        super().__init__(f"{file}:{line}: {reason}")
        self.file = file
        self.line = line
        self.reason = reason


class DecodeError(AgentError):
    """Text that is not YAML or JSON as kubectl reads it, or an object without an identity.

    Raised and caught inside this package, where the file's name is not known yet: ``load`` makes
    a ``ManifestError`` of it. ``line`` counts from 1 within the file.
    """

    def __init__(self, reason: str, *, line: int) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


class ScalarError(AgentError):
    """A value or key that YAML can write and JSON cannot: ``.inf``, a null key, bad base64.

    Raised and caught inside this package; the builder adds the line.
    """


class IgnoreFileError(AgentError):
    """A ``.sourceignore`` that cannot be read, so that which files count is unknown."""

    def __init__(self, file: str, line: int, reason: str) -> None:
        super().__init__(f"{file}:{line}: {reason}")
        self.file = file
        self.line = line
        self.reason = reason


class SubPathError(AgentError):
    """A sub-path that leaves the repository."""
