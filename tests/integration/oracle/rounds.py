"""A round: many triples through both sides, and what did not come out equal."""

from __future__ import annotations

import asyncio
import copy
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from agent.manifest.keys import JSONObject
from agent.plan.change import Action, Outcome
from tests.controlplane.server import ControlPlane
from tests.integration.oracle.compare import as_stored, comparable, difference, missing
from tests.integration.oracle.sides import Files, KubectlSide, LightkeeperSide, Side
from tests.integration.oracle.triples import Triple

_WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
_SHOWN = 3  # mismatches told in full
_NO_DRY_RUN = "HorizontalPodAutoscaler"
"""1.20 keeps most of it in annotations, which double in its answer to a dry-run: a patch that
changes nothing (of a default, a null) cannot be seen to, is sent, and changes nothing."""

Objects = dict[str, JSONObject]


@dataclass
class Report:
    """What came of a round. ``refused`` are objects the server took from neither side."""

    triples: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    edits_refused: int = 0
    actions: Counter[str] = field(default_factory=Counter)
    dry_runs_when_unchanged: int = 0
    mismatches: list[str] = field(default_factory=list)

    @property
    def summary(self) -> str:
        """What was played, in one line."""
        return (
            f"{self.triples.total()} triples, {dict(self.actions)} by the second commit; "
            f"refused: {dict(self.refused)}, {self.edits_refused} edits; "
            f"{self.dry_runs_when_unchanged} dry-runs when applied again"
        )

    def __str__(self) -> str:
        """Return the mismatches, the first of them in full."""
        rest = len(self.mismatches) - _SHOWN
        more = [f"... and {rest} more"] if rest > 0 else []
        return "\n\n".join([*self.mismatches[:_SHOWN], *more])


@dataclass(frozen=True)
class Stage:
    """One commit applied by both: what went wrong, and what is live after it."""

    kubectl_errors: dict[str, str]
    outcomes: dict[str, Outcome]
    kubectl_live: Objects
    own_live: Objects

    def error(self, name: str) -> str:
        """Return what the applier said against an object, "" for nothing."""
        outcome = self.outcomes.get(name)
        return outcome.error if outcome else ""


@dataclass(frozen=True)
class Round:
    """Two sides on one control plane.

    ``takes_over``: kubectl applies the first commit on both sides, and the applier adopts.
    """

    control_plane: ControlPlane
    theirs: KubectlSide
    ours: LightkeeperSide
    takes_over: KubectlSide | None = None

    async def play(self, triples: Sequence[Triple]) -> Report:
        """Drive the triples through both sides and compare after each commit."""
        report = Report(Counter(triple.kind.name for triple in triples))
        first = await self.commit([(triple, triple.first) for triple in triples], adopt=True)
        alive = [t for t in triples if self._equal(report, t, "A", first, {}, {})]
        edited = await asyncio.to_thread(self.meddle, report, alive, first)
        files = [(triple, triple.then) for triple in alive]
        then = await self.commit(files)
        settled = [t for t in alive if self._equal(report, t, "B", then, *edited)]
        for triple in settled:
            report.actions[then.outcomes[triple.object_name].action.value] += 1
            self._carries(report, triple, then.own_live[triple.object_name])
        await self._again(report, settled, then)
        return report

    async def commit(self, files: Files, *, adopt: bool = False) -> Stage:
        """Apply files on both sides; ``adopt`` where ``takes_over`` has its turn."""
        kinds = {triple.kind for triple, _ in files}
        if adopt and self.takes_over is not None:
            errors, _ = await asyncio.gather(
                asyncio.to_thread(self.theirs.apply, files),
                asyncio.to_thread(self.takes_over.apply, files),
            )
            outcomes: dict[str, Outcome] = {}
        else:
            errors, outcomes = await asyncio.gather(
                asyncio.to_thread(self.theirs.apply, files), self.ours.apply(files)
            )
        live = [
            await asyncio.to_thread(side.live, kinds) for side in (self.theirs.side, self.ours.side)
        ]
        return Stage(errors, outcomes, *live)

    def meddle(
        self, report: Report, triples: Iterable[Triple], stage: Stage
    ) -> tuple[Objects, Objects]:
        """Let third parties have their way on both sides; return what is live then."""
        edited: tuple[Objects, Objects] = ({}, {})
        for triple in triples:
            name, answers = triple.object_name, []
            sides = ((self.theirs.side, stage.kubectl_live), (self.ours.side, stage.own_live))
            for place, (side, live) in enumerate(sides):
                stored, refusal = _edit(side, triple, live[name])
                edited[place][name] = stored
                answers.append(bool(refusal))
            report.edits_refused += all(answers)
            if any(answers) != all(answers):
                report.mismatches.append(f"{triple}: an edit was refused on one side only")
        return edited

    def _equal(
        self,
        report: Report,
        triple: Triple,
        commit: str,
        stage: Stage,
        kubectl_before: Objects,
        own_before: Objects,
    ) -> bool:
        """Compare one object; True when it is there on both sides, equal and without errors."""
        name = triple.object_name
        kubectl_error, own_error = stage.kubectl_errors.get(name, ""), stage.error(name)
        pair = [
            _comparable(side, live.get(name), before.get(name))
            for side, live, before in (
                (self.theirs.side, stage.kubectl_live, kubectl_before),
                (self.ours.side, stage.own_live, own_before),
            )
        ]
        found = difference(*pair)
        adopting = bool(kubectl_error) and name not in stage.outcomes
        if found or (bool(kubectl_error) != bool(own_error) and not adopting):
            problem = (
                f"kubectl: {kubectl_error or 'applied'}\nlightkeeper: {own_error or 'applied'}\n"
                f"{found or 'the live objects are equal'}"
            )
            before = _comparable(self.ours.side, own_before.get(name), own_before.get(name))
            report.mismatches.append(_explained(triple, commit, before, problem))
            return False
        if kubectl_error:
            report.refused[triple.kind.name] += 1
        return not kubectl_error

    def _carries(self, report: Report, triple: Triple, live: JSONObject) -> None:
        side = self.ours.side
        wanted = as_stored(json.loads(json.dumps(triple.then.object).replace("NS", side.namespace)))
        if path := missing(wanted, live):
            shown = _comparable(side, live, live)
            problem = f"{path} is not what git says: {json.dumps(shown, indent=1)}"
            report.mismatches.append(_explained(triple, "B", None, problem))

    async def _again(self, report: Report, triples: Sequence[Triple], then: Stage) -> None:
        """Apply B again: no request may write, no object change."""
        mark = self.control_plane.mark()
        outcomes = await self.ours.apply([(triple, triple.then) for triple in triples])
        for triple in triples:
            outcome, live = outcomes[triple.object_name], then.own_live[triple.object_name]
            seen = outcome.live.resource_version if outcome.live else ""
            quiet = outcome.action is Action.UNCHANGED or triple.kind.name == _NO_DRY_RUN
            if not quiet or seen != live["metadata"]["resourceVersion"]:
                problem = f"applied again: {outcome.action.value} {outcome.error}"
                report.mismatches.append(_explained(triple, "B", None, problem))
        for request in self.control_plane.audit(mark, user_agent="lightkeeper/"):
            if request.verb in _WRITES and request.query.get("dryRun"):
                report.dry_runs_when_unchanged += 1
            elif request.verb in _WRITES and _NO_DRY_RUN.lower() not in request.resource:
                report.mismatches.append(f"applied again: {request.verb} {request.uri}")


def _edit(side: Side, triple: Triple, live: JSONObject) -> tuple[JSONObject, str]:
    """Edit one live object; return what is live then, and why the edit was refused."""
    if not triple.edits:
        return live, ""
    changed = copy.deepcopy(live)
    triple.meddle(changed)
    stored, refusal = side.replace(triple, changed)
    return (live if stored is None else stored), refusal


def _comparable(
    side: Side, live: JSONObject | None, before: JSONObject | None
) -> JSONObject | None:
    return live and comparable(live, namespace=side.namespace, before=before)


def _explained(triple: Triple, commit: str, before: JSONObject | None, problem: str) -> str:
    """Return all that is needed to understand a mismatch, and to see it again."""
    edits = ", ".join(edit.__name__ for edit in triple.edits) or "none"
    return "\n".join(
        [
            f"=== {triple} differs after {commit} (LIGHTKEEPER_ORACLE_ONLY={triple})",
            f"--- A{triple.first.extension}: {triple.first.text.strip()}",
            f"--- edits: {edits}",
            f"--- live before B: {json.dumps(before, sort_keys=True)}",
            f"--- B{triple.then.extension}: {triple.then.text.strip()}",
            f"--- {problem}",
        ]
    )
