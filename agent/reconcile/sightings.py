"""The bodies of drifted objects, from their watch event until their repair, and not longer.

A repair that has the object in hand need not read it. What is kept here is a saving and no truth:
it may be older than what the server has, so whoever uses it lets the server check that it is not.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

import msgspec

from agent.manifest.keys import JSONObject

K = TypeVar("K", bound=Hashable)

BUDGET = 4 * 1024 * 1024
"""Bytes of JSON that are kept at most; what does not fit is read again."""


class Sightings(Generic[K]):
    """The newest body of each key that waits, encoded, because that is a fifth of its size."""

    def __init__(self, *, budget: int = BUDGET) -> None:
        self._bodies: dict[K, bytes] = {}
        self._left = budget

    def __len__(self) -> int:
        """Return how many bodies are kept."""
        return len(self._bodies)

    def keep(self, key: K, body: JSONObject | None) -> None:
        """Keep ``body`` in place of an older one; None forgets the older one."""
        self._drop(key)
        if body is None:
            return
        encoded = msgspec.json.encode(body)
        if len(encoded) <= self._left:
            self._bodies[key] = encoded
            self._left -= len(encoded)

    def take(self, key: K) -> JSONObject | None:
        """Return the body of ``key`` and forget it; None when there is none."""
        encoded = self._drop(key)
        if encoded is None:
            return None
        body: JSONObject = msgspec.json.decode(encoded)
        return body

    def _drop(self, key: K) -> bytes | None:
        encoded = self._bodies.pop(key, None)
        if encoded is not None:
            self._left += len(encoded)
        return encoded
