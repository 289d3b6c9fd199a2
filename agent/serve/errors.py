"""What can go wrong with serving; all of it is found out at the start."""

from __future__ import annotations

from agent.errors import AgentError


class ServeError(AgentError):
    """An address cannot be listened on, or a certificate cannot be used."""
