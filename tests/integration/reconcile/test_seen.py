"""An apply to an object that a watch has seen: the read is saved, and nothing old decides."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from agent.apply.applier import Applier
from agent.apply.desired import Desired, Resolver
from agent.apply.requests import Requests
from agent.apply.schemas import Schemas
from agent.kube import auth
from agent.kube.client import Client
from agent.kube.discovery import Discovery
from agent.kube.transport import Transport
from agent.manifest.load import load_file
from agent.manifest.marks import LAST_APPLIED, OWNER
from agent.plan.change import Action
from agent.plan.ownership import Owner
from tests.controlplane.rest import MERGE_PATCH
from tests.controlplane.server import ControlPlane
from tests.integration.reconcile.manifests import config_map

pytestmark = pytest.mark.asyncio

BIG = {"metadata": {"annotations": {"other": "x" * 200_000}}}
FULL = {"metadata": {"annotations": {LAST_APPLIED: None, "other": "x" * 262_000}}}


class Workbench:
    """An applier, one ConfigMap that it has applied, and somebody else who edits it."""

    def __init__(self, applier: Applier, plane: ControlPlane, desired: Desired) -> None:
        self.applier = applier
        self.desired = desired
        self.plane = plane
        key = desired.key
        self.path = f"/api/v1/namespaces/{key.namespace}/configmaps/{key.name}"

    def edit(self, body: dict[str, Any]) -> dict[str, Any]:
        """Change the object as somebody else; return what a watch would show of it."""
        return self.plane.client.json("PATCH", self.path, body, content_type=MERGE_PATCH)

    def live(self) -> dict[str, Any]:
        """The object as it is."""
        return self.plane.client.json("GET", self.path)

    def costs(self, since: int) -> list[tuple[str, str, int | None]]:
        """What the applier asked: verb, dry-run or not, answer."""
        requests = self.plane.audit(since, user_agent="lightkeeper/")
        return [(r.verb, r.query.get("dryRun", ""), r.code) for r in requests if r.name]


@pytest_asyncio.fixture
async def bench(
    control_plane: ControlPlane, kubeconfig: Path, namespace: str
) -> AsyncIterator[Workbench]:
    text = config_map("a", x="1", w="1").replace("NS", namespace)
    [manifest] = load_file(text.encode(), file="a.yaml").manifests
    async with Transport(await auth.load(kubeconfig=str(kubeconfig))) as transport:
        client = Client(transport)
        applier = Applier(
            requests=Requests(client, server_dry_run=True),
            owner=Owner("agent", "shop", namespace, "applyset-1"),
            digest_key=b"k" * 32,
        )
        discovery = Discovery(client)
        desired = await Resolver(discovery, Schemas(client)).resolve(manifest)
        assert desired is not None
        assert (await applier.apply(desired)).action is Action.CREATE
        yield Workbench(applier, control_plane, desired)


async def test_what_was_seen_is_not_read_again(bench: Workbench) -> None:
    seen = bench.edit({"data": {"x": "edited"}})
    mark = bench.plane.mark()
    outcome = await bench.applier.apply(bench.desired, seen=seen)
    assert (outcome.action, outcome.changed) == (Action.UPDATE, ("/data/x",))
    assert bench.costs(mark) == [("patch", "All", 200), ("patch", "", 200)]
    assert bench.live()["data"] == {"w": "1", "x": "1"}


DRY, WET = ("patch", "All", 200), ("patch", "", 200)


@pytest.mark.parametrize(
    ("see", "expected"),
    [pytest.param(True, [WET], id="seen"), pytest.param(False, [("get", "", 200), WET], id="read")],
)
async def test_what_was_accepted_for_this_very_object_is_put_back_unrehearsed(
    bench: Workbench, see: bool, expected: list[tuple[str, str, int]]
) -> None:
    live = bench.edit({"data": {"x": "edited"}})
    mark = bench.plane.mark()
    outcome = await bench.applier.apply(
        bench.desired, seen=live if see else None, accepted=live["metadata"]["uid"]
    )
    assert (outcome.action, outcome.changed) == (Action.UPDATE, ("/data/x",))
    assert bench.costs(mark) == expected


@pytest.mark.parametrize(
    ("edit", "accepted"),
    [
        pytest.param({}, "another-uid", id="accepted for another object of the name"),
        pytest.param({"metadata": {"annotations": {OWNER: None}}}, "", id="its mark was taken off"),
        pytest.param(FULL, "", id="too large for an annotation"),
    ],
)
async def test_what_is_no_repair_is_rehearsed(
    bench: Workbench, edit: dict[str, Any], accepted: str
) -> None:
    live = bench.edit({**edit, "data": {"x": "edited"}})
    mark = bench.plane.mark()
    outcome = await bench.applier.apply(
        bench.desired, seen=live, accepted=accepted or live["metadata"]["uid"]
    )
    assert outcome.wrote
    assert DRY in bench.costs(mark)


async def test_a_repair_of_what_changed_since_is_a_conflict_then_rehearsed(
    bench: Workbench,
) -> None:
    seen = bench.edit({"data": {"x": "edited"}})
    bench.edit({"data": {"z": "theirs"}})
    mark = bench.plane.mark()
    await bench.applier.apply(bench.desired, seen=seen, accepted=seen["metadata"]["uid"])
    assert bench.costs(mark) == [("patch", "", 409), ("get", "", 200), DRY, WET]
    assert bench.live()["data"] == {"w": "1", "x": "1", "z": "theirs"}


async def test_a_refused_repair_is_told_as_a_refused_rehearsal(bench: Workbench) -> None:
    live = bench.edit({"data": {"x": "edited"}, "immutable": True})
    rehearsed = await bench.applier.apply(bench.desired)
    uid = live["metadata"]["uid"]
    assert "immutable" in rehearsed.error
    assert await bench.applier.apply(bench.desired, accepted=uid) == rehearsed
    assert await bench.applier.apply(bench.desired, seen=live, accepted=uid) == rehearsed
    assert bench.live() == live


async def test_what_was_seen_in_step_costs_nothing(bench: Workbench) -> None:
    seen = bench.edit({"data": {"z": "theirs"}})
    mark = bench.plane.mark()
    outcome = await bench.applier.apply(bench.desired, seen=seen)
    assert outcome.action is Action.UNCHANGED
    assert bench.costs(mark) == []


async def test_what_changed_since_it_was_seen_is_read_and_judged_again(bench: Workbench) -> None:
    seen = bench.edit({"data": {"x": "edited"}})
    bench.edit({"data": {"w": "edited", "z": "theirs"}})
    mark = bench.plane.mark()
    outcome = await bench.applier.apply(bench.desired, seen=seen)
    assert (outcome.action, outcome.changed) == (Action.UPDATE, ("/data/w", "/data/x"))
    again = [("get", "", 200), ("patch", "All", 200), ("patch", "", 200)]
    assert bench.costs(mark) == [("patch", "All", 409), *again]
    assert bench.live()["data"] == {"w": "1", "x": "1", "z": "theirs"}


@dataclass(frozen=True, slots=True)
class Nameless(Requests):
    """An aggregated API server that gives its objects no UID, or an empty one."""

    uid: dict[str, str]

    async def live(self, desired: Desired) -> dict[str, Any] | None:
        found = await Requests.live(self, desired)
        if found:
            del found["metadata"]["uid"]
            found["metadata"] |= self.uid
        return found


@pytest.mark.parametrize("uid", [{}, {"uid": ""}], ids=["none", "empty"])
async def test_an_object_without_a_uid_is_updated_and_that_is_rehearsed(
    bench: Workbench, uid: dict[str, str]
) -> None:
    bench.edit({"data": {"x": "edited"}})
    own = bench.applier.requests
    applier = replace(bench.applier, requests=Nameless(own.client, own.server_dry_run, uid=uid))
    mark = bench.plane.mark()
    assert (await applier.apply(bench.desired)).action is Action.UPDATE
    assert bench.costs(mark) == [("get", "", 200), DRY, WET]


@dataclass(frozen=True, slots=True)
class Raced(Requests):
    """Somebody writes right after each read, so many times."""

    edits: Iterator[dict[str, Any]]
    edit: Callable[[dict[str, Any]], object]

    async def live(self, desired: Desired) -> dict[str, Any] | None:
        found = await Requests.live(self, desired)
        if (body := next(self.edits, None)) is not None:
            self.edit({"data": body})
        return found


def raced(bench: Workbench, *edits: dict[str, Any]) -> Applier:
    """The bench's applier, among such writes."""
    own = bench.applier.requests
    requests = Raced(own.client, own.server_dry_run, edits=iter(edits), edit=bench.edit)
    return replace(bench.applier, requests=requests)


async def test_what_changed_since_it_was_read_is_read_and_judged_again(bench: Workbench) -> None:
    bench.edit({"data": {"x": "edited"}})
    mark = bench.plane.mark()
    outcome = await raced(bench, {"w": "edited", "z": "theirs"}).apply(bench.desired)
    assert (outcome.action, outcome.changed) == (Action.UPDATE, ("/data/w", "/data/x"))
    assert not outcome.raced
    read = ("get", "", 200)
    assert bench.costs(mark) == [read, ("patch", "All", 409), read, DRY, WET]
    assert bench.live()["data"] == {"w": "1", "x": "1", "z": "theirs"}


async def test_what_changes_faster_than_it_is_judged_is_written_all_the_same_and_said_to_be_raced(
    bench: Workbench,
) -> None:
    bench.edit({"data": {"x": "edited"}})
    mark = bench.plane.mark()
    outcome = await raced(bench, *({"w": f"edit {n}"} for n in range(5))).apply(bench.desired)
    assert (outcome.action, outcome.raced) == (Action.UPDATE, True)
    assert bench.costs(mark) == [("get", "", 200), ("patch", "All", 409)] * 4 + [
        ("get", "", 200),
        DRY,
        WET,
    ]
    assert bench.live()["data"] == {"w": "1", "x": "1"}


async def test_what_is_nobodys_yet_is_never_written_as_it_was_not_judged(bench: Workbench) -> None:
    bench.edit({"metadata": {"annotations": {OWNER: None}}, "data": {"x": "edited"}})
    outcome = await raced(bench, *({"z": f"edit {n}"} for n in range(5))).apply(bench.desired)
    assert "409" in outcome.error
    assert bench.live()["data"] == {"w": "1", "x": "edited", "z": "edit 4"}


async def test_what_was_replaced_since_it_was_seen_is_not_taken_for_it(bench: Workbench) -> None:
    seen = bench.edit({"data": {"x": "edited"}})
    bench.plane.client.json("DELETE", bench.path)
    outcome = await bench.applier.apply(bench.desired, seen=seen)
    assert outcome.action is Action.CREATE
    assert bench.live()["metadata"]["uid"] != seen["metadata"]["uid"]


async def test_an_outdated_sight_takes_no_object_that_is_another_tracks_now(
    bench: Workbench,
) -> None:
    seen = bench.edit({"data": {"x": "edited"}})
    namespace = bench.desired.key.namespace
    theirs = f"{namespace}/agent.other {bench.desired.key}"
    bench.edit({"metadata": {"annotations": {"lightkeeper.dev/owner": theirs}}})
    outcome = await bench.applier.apply(bench.desired, seen=seen)
    assert outcome.action is Action.IGNORE
    assert bench.live()["data"]["x"] == "edited"


async def test_an_object_too_large_for_an_annotation_is_written_as_it_was_seen_or_not_at_all(
    bench: Workbench,
) -> None:
    seen = bench.edit({**BIG, "data": {"x": "edited"}})
    bench.edit({"data": {"z": "theirs"}})
    outcome = await bench.applier.apply(bench.desired, seen=seen)
    assert outcome.wrote
    assert bench.live()["data"] == {"w": "1", "x": "1", "z": "theirs"}
