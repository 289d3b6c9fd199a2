"""Steering: what the agent works on, until its configuration says something else.

A change of the tracks alone ends the running terms in peace and begins new ones under the same
Lease, on the same watches and connections; a change of what all tracks share, or of who campaigns
for what, ends the whole stretch, and ``app`` builds everything anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection

from agent import log
from agent.config.model import Config, ElectionMode, Track

logger = logging.getLogger(__name__)

Work = Callable[[tuple[Track, ...], asyncio.Event], Awaitable[None]]
"""Works on tracks until the event."""


class Steering:
    """One stretch of work on ``config``; ``over`` is set when it has to end.

    ``begun`` is set by who does the work, once everything is built.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.begun = False
        self.over = asyncio.Event()
        self._turn = asyncio.Event()

    def stop(self) -> None:
        """End the stretch."""
        self.over.set()
        self._turn.set()

    def change(self, before: Config, now: Config) -> None:
        """Hear of a new configuration."""
        _tell_removed(before, now)
        if _shared(self.config) != _shared(now):
            self.stop()
            return
        self.config = now
        turn, self._turn = self._turn, asyncio.Event()
        turn.set()

    async def follow(self, work: Work, *, only: Collection[str] | None = None) -> None:
        """Work on the tracks, those named ``only``, again with each change, until it is over."""
        while not self.over.is_set():
            tracks = tuple(t for t in self.config.tracks if only is None or t.name in only)
            await work(tracks, self._turn)


def _shared(config: Config) -> object:
    """Return what cannot change within a stretch."""
    election = config.leader_election
    a_lease_each = election.enabled and election.mode is ElectionMode.TRACK
    leases = frozenset(track.name for track in config.tracks) if a_lease_each else frozenset()
    return config.agent, election, leases


def _tell_removed(before: Config, now: Config) -> None:
    left = {track.name for track in now.tracks}
    for track in before.tracks:
        if track.name not in left:
            logger.warning(
                "track removed from the configuration, its objects stay as they are",
                extra=log.fields(
                    track=track.name, hint=f"lightkeeper delete {track.name} deletes them"
                ),
            )
