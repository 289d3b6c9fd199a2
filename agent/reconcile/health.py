"""Whether the agent is alive, and whether it is ready; each answer is a list of what is wrong.

Alive means that its loops turn, however bad the news: a restart cures a hanging loop, and neither
git nor an API server that is away. Ready means that the cluster has been compared with git once,
or that another replica leads and this one could take over.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from agent.aio.pulse import Pulse
from agent.kube.informers import Informers
from agent.kube.reflector import State
from agent.plan.ownership import Record
from agent.reconcile.leadership.elector import Elector
from agent.reconcile.loops import TrackLoop
from agent.reconcile.terms import Terms
from agent.source.snapshot import Trust

HANGS = 600.0
"""Seconds without a sign of life after which a loop hangs; every deadline is shorter but that of a
fetch, which the configuration sets."""

LATE = 30.0
"""Seconds that the event loop may be late."""


@dataclass(frozen=True, slots=True)
class Health:
    """Asks the loops how they are, without waiting for anything.

    ``electors`` is empty without leader election. ``fetch_timeout`` is in seconds.
    """

    terms: Terms
    electors: Collection[Elector]
    informers: Informers[Record]
    pulse: Pulse
    fetch_timeout: float

    def dead(self) -> list[str]:
        """Return why the process should be restarted; empty while it is alive."""
        return list(self._dead())

    def unready(self) -> list[str]:
        """Return why the cluster may not be as git says for want of a look; empty when ready."""
        return list(self._unready())

    def _dead(self) -> Iterator[str]:
        if (late := self.pulse.silence()) > LATE:
            yield f"the event loop gave no sign for {late:.0f} s"
        busy = max((s for queue in self.terms.queues for s in queue.working()), default=0.0)
        if busy > HANGS:
            yield f"the repair of an object has been going on for {busy:.0f} s"
        for loop in self._loops():
            silent = time.monotonic() - loop.track.measures.last_sign
            if loop.running and silent > loop.patience + self.fetch_timeout + HANGS:
                yield f"track {loop.track.name} gave no sign for {silent:.0f} s"

    def _unready(self) -> Iterator[str]:
        for elector in self.electors:
            if not elector.is_leader and not elector.holder:
                yield f"lease {elector.name}: nobody is known to hold it"
        if not self.electors and not list(self.terms):
            yield "no pass has begun"
        for loop in self._loops():
            if problem := _not_looked_at(loop):
                yield f"track {loop.track.name}: {problem}"
        for informer in self.informers:
            # A kind that must not or cannot be watched is the status' matter: waiting is no use.
            if informer.reflector.state is not State.SYNCED and not informer.reflector.refused:
                yield f"the watch on {informer.resource} is not in step"

    def _loops(self) -> Iterator[TrackLoop]:
        for term in self.terms:
            yield from term.loops.passes


def _not_looked_at(loop: TrackLoop) -> str:
    if not loop.passed:
        return "the first pass is not done"
    if loop.track.stopped:
        return "the last pass was stopped"
    if loop.track.status.source == Trust.UNREADABLE.value:
        return "the source is unreadable, and there is no last good revision"
    return ""
