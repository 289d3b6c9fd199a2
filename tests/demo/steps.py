"""What is shown: the agent's main job in steps, each judged by what kubectl sees.

A step returns what it has shown, or raises DemoError, KubectlError or TimeoutError.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from agent.reconcile.reports import status
from agent.reconcile.reports.status import TrackStatus
from tests.demo.failure import DemoError
from tests.demo.stage import Stage
from tests.demo.watch import DEADLINE, Sight, Watch, back_to, other_than

CREATION_DEADLINE = 60.0

_IMAGE_PATH = "{.spec.template.spec.containers[0].image}"
_IMAGE, _NEW_IMAGE = "registry.example.com/shop/api:3.4.1", "registry.example.com/shop/api:3.5.0"
_DEBUG_IMAGE = "registry.example.com/debug"
_ADDED = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: opening-hours
  namespace: {namespace}
data:
  monday: 9-18
"""
_WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(frozen=True, slots=True)
class Timed:
    """One thing that happened; ``seconds`` None when there is nothing to time."""

    what: str
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the demo: its heading, and what plays it."""

    heading: str
    play: Callable[[Stage], list[Timed]]


def created(stage: Stage) -> list[Timed]:
    """The agent starts, and everything that git names is there."""
    commit = stage.repository.commit("The example fleet")
    begin = time.monotonic()
    stage.agent.start()
    with stage.status_watch() as watch:
        seen = _await_commit(watch, commit, within=CREATION_DEADLINE)
    kinds = Counter(str(live["kind"]) for live in stage.live_objects())
    return [
        Timed(f"{kinds.total()} objects of {len(kinds)} kinds", seen.at - begin),
        Timed(", ".join(f"{count} {kind}" for kind, count in kinds.most_common())),
    ]


def committed(stage: Stage) -> list[Timed]:
    """A commit changes one object, adds one and removes one."""
    repository = stage.repository
    repository.replace("apps/shop/api.yaml", _IMAGE, _NEW_IMAGE)
    repository.write("apps/shop/hours.yaml", _ADDED.format(namespace=stage.kubectl.namespace))
    repository.remove("apps/shop/flags.json")
    with stage.status_watch() as watch:
        watch.first()
        commit = repository.commit("New API, opening hours, no more feature flags")
        begin = time.monotonic()
        seen = _await_commit(watch, commit)
    _expect(stage, "deployment/api", _IMAGE_PATH, _NEW_IMAGE)
    _expect(stage, "configmap/opening-hours", "{.data.monday}", "9-18")
    _expect(stage, "configmap/feature-flags", "{.metadata.name}", "")
    return [
        Timed(
            "changed deployment/api, created configmap/opening-hours,"
            " pruned configmap/feature-flags",
            seen.at - begin,
        ),
    ]


def repaired(stage: Stage) -> list[Timed]:
    """Somebody edits by hand what git manages."""
    edits = {
        "deployment/api": (_IMAGE_PATH, "set", "image", "deployment/api", f"api={_DEBUG_IMAGE}"),
        "deployment/worker": ("{.spec.replicas}", "scale", "deployment/worker", "--replicas=0"),
    }
    return [_repair(stage, target, path, *edit) for target, (path, *edit) in edits.items()]


def kept(stage: Stage) -> list[Timed]:
    """Somebody edits what git does not mention; then something it does, of the same object.

    When the second edit is repaired, the agent has had the object in its hands: the first edit
    has outlived a repair.
    """
    target = "deployment/web"
    stage.kubectl("label", target, "checked-by=ada")
    stage.kubectl("annotate", target, "example.com/note=looked at it")
    stage.kubectl("scale", target, "--replicas=3")
    repair = _repair(stage, target, _IMAGE_PATH, "set", "image", target, f"nginx={_DEBUG_IMAGE}")
    expect_kept(stage)
    return [
        Timed(f"kubectl label, annotate and scale {target} (its autoscaler's field): kept"),
        repair,
    ]


def expect_kept(stage: Stage) -> None:
    """Check that what ``kept`` edited is still as it was edited."""
    _expect(stage, "deployment/web", "{.metadata.labels.checked-by}", "ada")
    _expect(stage, "deployment/web", r"{.metadata.annotations.example\.com/note}", "looked at it")
    _expect(stage, "deployment/web", "{.spec.replicas}", "3")


def recreated(stage: Stage) -> list[Timed]:
    """Somebody deletes what git names."""
    return [_recreate(stage, *target) for target in (("service", "api"), ("configmap", "worker"))]


def silent(stage: Stage) -> list[Timed]:
    """SIGTERM ends the agent in order; one more pass from scratch finds nothing to do."""
    begin = time.monotonic()
    if code := stage.agent.stop():
        raise DemoError(f"the agent ended with exit code {code} on SIGTERM, not 0")
    stopped = time.monotonic()
    mark = stage.control_plane.mark() if stage.control_plane else 0
    if code := stage.agent.once():
        raise DemoError(f"`run --once` ended with exit code {code}, not 0")
    took = time.monotonic() - stopped
    expect_kept(stage)
    return [
        Timed("SIGTERM: exit code 0", stopped - begin),
        Timed(f"run --once: exit code 0, {_requests(stage, mark)}", took),
    ]


STEPS = (
    Step("Everything in git is created", created),
    Step("A commit changes one, adds one, removes one", committed),
    Step("Somebody edits what git manages: put back", repaired),
    Step("Somebody edits what git does not mention: kept", kept),
    Step("Somebody deletes what git names: created anew", recreated),
    Step("The agent stops, and one more pass finds nothing to write", silent),
)


def final_status(stage: Stage) -> TrackStatus:
    """What the agent has written down of its track."""
    with stage.status_watch() as watch:
        written = status.read({"status": watch.first()})
    if written is None:
        raise DemoError("the track's ConfigMap holds no status")
    return written


def _await_commit(watch: Watch, commit: str, *, within: float = DEADLINE) -> Sight:
    """Wait until the agent says that it has brought a commit about."""

    def find(sights: list[Sight]) -> Sight | None:
        return next((sight for sight in sights if _is_done(sight.value, commit)), None)

    return watch.wait(f"commit {commit[:12]} is applied", find, within=within)


def _is_done(value: str, commit: str) -> bool:
    said = status.read({"status": value})
    return said is not None and said.commit == commit and said.ready


def _repair(stage: Stage, target: str, path: str, *edit: str) -> Timed:
    """Edit one value by hand and wait until it is back, from kubectl's return on."""
    kind, name = target.split("/")
    with stage.watch(kind, name, path) as watch:
        value = watch.first()
        stage.kubectl(*edit)
        edited = time.monotonic()
        seen = watch.wait(f"{value!r} is back", back_to(value))
    return Timed(f"kubectl {' '.join(edit)}", max(0.0, seen.at - edited))


def _recreate(stage: Stage, kind: str, name: str) -> Timed:
    """Delete one object and wait until there is another, from kubectl's return on."""
    with stage.watch(kind, name, "{.metadata.uid}") as watch:
        uid = watch.first()
        stage.kubectl("delete", kind, name, "--wait=false")
        deleted = time.monotonic()
        seen = watch.wait("it is created anew", other_than(uid))
    return Timed(f"kubectl delete {kind} {name}", max(0.0, seen.at - deleted))


def _expect(stage: Stage, target: str, path: str, wanted: str) -> None:
    found = stage.value(target, path)
    if found != wanted:
        raise DemoError(f"{target}: {path} should be {wanted!r} and is {found!r}")


def _requests(stage: Stage, mark: int) -> str:
    """How often the agent asked, and that it wrote nothing, as far as there is an audit log."""
    if stage.control_plane is None:
        return "in step"
    requests = stage.control_plane.audit(mark, user_agent="lightkeeper/")
    writes = [request for request in requests if request.verb in _WRITES]
    sent = [f"{r.verb} {r.uri}" for r in writes if "dryRun" not in r.query]
    if sent:
        raise DemoError(f"a pass with nothing to do sent {len(sent)} writes: {sent[:5]}")
    return f"0 writes in {len(requests)} requests ({len(writes)} of them dry runs)"
