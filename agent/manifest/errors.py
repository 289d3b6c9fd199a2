"""What can be wrong with a file in git."""

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
