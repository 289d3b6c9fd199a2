"""What can keep an object from being planned."""

from __future__ import annotations

from agent.errors import AgentError


class PlanError(AgentError):
    """An object in git cannot be merged with what is live; says which object and why."""
