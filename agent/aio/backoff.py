"""Exponential back-off with jitter, so that a crowd of failures does not retry in step."""

from __future__ import annotations

import random


class Backoff:
    """Pauses that double from ``first`` to ``longest`` seconds, each shortened by up to a third."""

    def __init__(self, first: float, longest: float) -> None:
        self._first = first
        self._longest = longest
        self._failures = 0

    def limits(self, first: float, longest: float) -> None:
        """Go on with other limits, e.g. for another kind of failure."""
        self._first, self._longest = first, longest

    def next(self) -> float:
        """Return the next pause in seconds."""
        pause = min(self._longest, self._first * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return pause * random.uniform(2 / 3, 1)  # noqa: S311  # jitter, not a secret

    def reset(self) -> None:
        """Start again after a success."""
        self._failures = 0
