"""Signer: who made a signature that holds. A value."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signed: the kind of key, its fingerprint as the field writes it, and whose it is.

    ``until`` is when the key ceases to be trusted, Unix seconds.
    """

    kind: str
    fingerprint: str
    name: str = ""
    until: float = math.inf

    def __str__(self) -> str:
        """Return ``SSH SHA256:… by ada@example.org``."""
        by = f" by {self.name}" if self.name else ""
        return f"{self.kind} {self.fingerprint}{by}"
