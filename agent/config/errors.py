"""What can be wrong with the configuration: one Problem a mistake, one ConfigError for all."""

from __future__ import annotations

from dataclasses import dataclass

from agent.errors import AgentError


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: where it is, which key, what is wrong and what is expected instead.

    ``source`` is the file as the user named it, or the flag or variable that carries the value.
    ``line`` and ``column`` count from 1; 0 means there is none. ``key`` is a path such as
    ``track[0].interval``, empty when ``source`` says it already.
    """

    source: str
    message: str
    line: int = 0
    column: int = 0
    key: str = ""

    def __str__(self) -> str:
        """Return ``file:line: key: message``, which editors and terminals make clickable."""
        where = self.source
        for number in (self.line, self.column):
            where += f":{number}" if number else ""
        return ": ".join(part for part in (where, self.key, self.message) if part)


class ConfigError(AgentError):
    """The configuration cannot be used. ``str`` is the list of problems, one a line."""

    exit_code = 2

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems
