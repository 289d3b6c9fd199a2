"""What a track says of itself in the log: each thing once, not at every poll that finds it again.

Of single objects the reporter speaks.
"""

from __future__ import annotations

import logging

from agent import log
from agent.manifest.collection import Collected
from agent.reconcile.reports import status
from agent.source.snapshot import Snapshot

logger = logging.getLogger(__name__)


class Teller:
    """Speaks for the track of this name, and remembers what it has said."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._fetch_error = ""
        self._noted: tuple[str, ...] = ()
        self._told: set[str] = set()
        self._said: dict[str, str] = {}

    def problem(self, what: str, problem: str) -> None:
        """Log a problem when it is new, not at every poll that finds it again."""
        if problem and problem != self._said.get(what):
            logger.error(what, extra=log.fields(track=self._name, error=problem))
        self._said[what] = problem

    def fetch(self, snapshot: Snapshot) -> None:
        """Say once that the source cannot be read, and once that it can again."""
        said, self._fetch_error = self._fetch_error, str(snapshot.error or "")
        if self._fetch_error and self._fetch_error != said:
            logger.error(
                "fetch failed",
                extra=log.fields(error=self._fetch_error, source=snapshot.trust.name),
            )
        elif said and not self._fetch_error:
            logger.info("fetch works again")

    def notes(self, snapshot: Snapshot) -> None:
        """Say once, in one line, what looks like a part of the track and is not."""
        if snapshot.notes and snapshot.notes != self._noted:
            listed = "; ".join(status.limited(snapshot.notes, status.NOTES_LIMIT))
            logger.warning("not everything in git counts", extra=log.fields(notes=listed))
        self._noted = snapshot.notes

    def files(self, collected: Collected) -> None:
        """Say each problem of a file once."""
        problems = {str(error) for error in collected.errors} | set(collected.warnings)
        for error in collected.errors:
            if str(error) not in self._told:
                logger.error("file not readable", extra=log.fields(error=str(error)))
        for warning in collected.warnings:
            if warning not in self._told:
                logger.warning("doubtful file", extra=log.fields(warning=warning))
        self._told = problems
