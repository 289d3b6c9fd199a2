"""When somebody else writes the same field: the agent gives way and says so, and a rule ends it."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from agent.plan.fights import TIMES
from tests.controlplane.rest import MERGE_PATCH, RequestError
from tests.eventually import eventually
from tests.integration.reconcile.conftest import World
from tests.integration.reconcile.manifests import CRD, CUSTOM_RESOURCE, DEPLOYMENT, config_map
from tests.integration.reconcile.test_drift import data, in_step

pytestmark = pytest.mark.asyncio

EVERY = 0.05  # seconds between two looks of the other controller
RULE = re.compile(r"ignore-fields = \[.*\]")


@contextmanager
def other_controller(world: World, path: str, patch: dict[str, Any]) -> Iterator[None]:
    """Somebody who keeps writing the same into an object, whatever it is now."""
    url = f"{path.replace('NS', world.namespace)}?fieldManager=other-controller"
    done = threading.Event()

    def rewrite() -> None:
        while not done.wait(EVERY):
            try:
                world.control_plane.client.json("PATCH", url, patch, content_type=MERGE_PATCH)
            except RequestError as error:
                if error.code not in (404, 409):
                    raise

    thread = threading.Thread(target=rewrite)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


CONFIG_MAP = "/api/v1/namespaces/NS/configmaps/a"
THEIRS = {"data": {"x": "theirs"}}


async def problem_of(world: World, key: str) -> str:
    """The one problem in the status, once it is about a fight."""

    async def told() -> str:
        problems = (await world.status()).get("problems", {})
        text = str(problems.get(key.replace("NS", world.namespace), ""))
        return text if "keeps rewriting" in text else ""

    return str(await eventually(told, within=20, what="a problem that tells of the fight"))


async def test_the_agent_gives_way_names_the_other_and_the_rule_it_suggests_ends_it(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.commit({"a.yaml": config_map("a", x="git", w="git"), "b.yaml": config_map("b", z="1")})
    async with world.running():
        await in_step(world)
        mark = world.control_plane.mark()
        with other_controller(world, CONFIG_MAP, THEIRS):
            text = await problem_of(world, "ConfigMap NS/a")
            await world.do("patch", "configmap", "b", "-p", '{"data":{"z":"2"}}')
            await eventually(lambda: in_data(world, "b", {"z": "1"}))
            await asyncio.sleep(3)
            asked = [r for r in world.requests(mark) if r.name == "a"]
        status = await world.status()
    writes = [r for r in asked if r.verb == "patch" and "dryRun" not in r.query]
    assert len(writes) == TIMES, "it waits ten seconds before it tries again"
    assert len(asked) <= 4 * TIMES, "nothing is asked while it waits"
    assert f"put back {TIMES} times in " in text
    assert text.startswith('"other-controller" (Update, 20')
    assert "keeps rewriting /data/x, " in text
    assert {c["type"]: c["status"] for c in status["conditions"]}["ChildrenUpToDate"] == "False"
    assert status["inSync"] == 1
    assert [r.message for r in caplog.records].count("object fought over") == 1
    assert "object failed" not in caplog.messages

    [rule] = RULE.findall(text)
    world.track.append(rule)
    async with world.running():
        with other_controller(world, CONFIG_MAP, THEIRS):
            await in_step(world)
            await world.do("patch", "configmap", "a", "-p", '{"data":{"w":"edited"}}')
            await eventually(lambda: in_data(world, "a", {"x": "theirs", "w": "git"}))
        assert not (await world.status())["problems"]


async def in_data(world: World, name: str, wanted: dict[str, str]) -> bool:
    return bool(await data(world, name) == wanted)


async def test_a_fight_is_over_when_the_other_stops(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.reconcile.passes.fights.FIRST", 2.0)
    world.commit({"a.yaml": config_map("a", x="git")})
    async with world.running():
        await in_step(world)
        with other_controller(world, CONFIG_MAP, THEIRS):
            await problem_of(world, "ConfigMap NS/a")
        await eventually(lambda: in_data(world, "a", {"x": "git"}), within=30)

        async def ready() -> bool:
            return not (await world.status())["problems"]

        await eventually(ready, within=30)
        await in_step(world)


async def test_a_new_commit_is_applied_in_the_middle_of_a_fight(world: World) -> None:
    world.commit({"a.yaml": config_map("a", x="git")})
    async with world.running():
        await in_step(world)
        with other_controller(world, CONFIG_MAP, THEIRS):
            await problem_of(world, "ConfigMap NS/a")
            world.commit({"a.yaml": config_map("a", x="git", w="new")})

            async def applied() -> bool:
                return (await data(world, "a")).get("w") is not None

            await eventually(applied)


async def test_an_object_that_is_deleted_in_the_middle_of_a_fight_comes_back_at_once(
    world: World,
) -> None:
    world.commit({"a.yaml": config_map("a", x="git")})
    async with world.running():
        await in_step(world)
        with other_controller(world, CONFIG_MAP, THEIRS):
            await problem_of(world, "ConfigMap NS/a")
        await world.do("delete", "configmap", "a")
        await eventually(lambda: world.get("configmap", "a"), within=5)


async def test_whoever_takes_our_marks_away_is_named_without_a_rule(world: World) -> None:
    world.commit({"a.yaml": config_map("a", x="git")})
    async with world.running():
        await in_step(world)
        stripped = {"metadata": {"labels": {"lightkeeper.dev/agent": "nobody"}}}
        with other_controller(world, CONFIG_MAP, stripped):
            text = await problem_of(world, "ConfigMap NS/a")
    assert '"other-controller"' in text
    assert "/metadata/labels/lightkeeper.dev~1agent" in text
    assert not RULE.search(text)


# --- ignore-fields ----------------------------------------------------------------------------


def scaled(replicas: int, image: str = "nginx:1.25") -> str:
    manifest = DEPLOYMENT.replace("spec:\n", f"spec:\n  replicas: {replicas}\n", 1)
    return manifest.replace("nginx:1.25", image)


Spec = Callable[[dict[str, Any]], Any]


def replicas_of(live: dict[str, Any]) -> Any:
    return live["spec"]["replicas"]


def image_of(live: dict[str, Any]) -> Any:
    [image] = [
        c["image"] for c in live["spec"]["template"]["spec"]["containers"] if c["name"] == "web"
    ]
    return image


def data_of(live: dict[str, Any]) -> Any:
    return live.get("data")


IMAGE = "/spec/template/spec/containers/{}/image"
SIDECAR_AND_IMAGE = (
    '{"spec":{"template":{"spec":{"containers":'
    '[{"name":"a","image":"sidecar"},{"name":"web","image":"theirs"}],'
    '"$setElementOrder/containers":[{"name":"a"},{"name":"web"}]}}}}'
)
FIELDS = {
    "replicas": (
        ("deployment", "web"),
        '{ kind = "Deployment.apps", pointers = ["/spec/replicas"] }',
        lambda turn: scaled(2 + turn),
        '{"spec":{"replicas":9}}',
        replicas_of,
        (2, 9, 4),
    ),
    "an element by name": (
        ("deployment", "web"),
        f'{{ kind = "Deployment.apps", pointers = ["{IMAGE.format("[name=web]")}"] }}',
        lambda turn: scaled(2, f"nginx:{turn}"),
        SIDECAR_AND_IMAGE,
        image_of,
        ("nginx:0", "theirs", "nginx:2"),
    ),
    "an element by index": (
        ("deployment", "web"),
        f'{{ kind = "Deployment.apps", pointers = ["{IMAGE.format("0")}"] }}',
        lambda turn: scaled(2, f"nginx:{turn}"),
        SIDECAR_AND_IMAGE,
        image_of,
        ("nginx:0", "theirs", "nginx:2"),
    ),
    "a whole map": (
        ("configmap", "a"),
        '{ kind = "ConfigMap", name = "a", pointers = ["/data"] }',
        lambda turn: config_map("a", **{f"x{turn}": "git"}),
        '{"data":{"x0":null,"w":"theirs"}}',
        data_of,
        ({"x0": "git"}, {"w": "theirs"}, {"x2": "git", "w": "theirs"}),
    ),
}


@pytest.mark.parametrize(
    ("what", "rule", "manifest", "edit", "value", "values"), FIELDS.values(), ids=FIELDS
)
async def test_an_ignored_field_is_created_then_left_alone_until_the_rule_is_gone(
    world: World,
    what: tuple[str, str],
    rule: str,
    manifest: Callable[[int], str],
    edit: str,
    value: Spec,
    values: tuple[Any, Any, Any],
) -> None:
    async def found() -> Any:
        live = await world.get(*what)
        assert live is not None
        return value(live)

    created, theirs, put_back = values
    world.track.append(f"ignore-fields = [ {rule} ]")
    world.commit({"a.yaml": manifest(0)})
    assert (await world.once()).ready
    assert await found() == created
    mark = world.control_plane.mark()
    assert (await world.once()).ready
    assert world.writes(mark) == [], "what is left out of the record is left out from the start"

    await world.do("patch", *what, "-p", edit)
    world.commit({"a.yaml": manifest(1)})
    assert (await world.once()).ready
    assert await found() == theirs
    world.commit({"a.yaml": manifest(2), "b.yaml": config_map("b")})
    assert (await world.once()).ready
    assert await found() == theirs

    world.track.pop()
    assert (await world.once()).ready, "the verdict that was remembered does not hide the change"
    assert await found() == put_back


async def test_a_field_that_git_drops_together_with_the_rule_stays(world: World) -> None:
    world.track.append(
        'ignore-fields = [ { kind = "Deployment.apps", pointers = ["/spec/replicas"] } ]'
    )
    world.commit({"a.yaml": scaled(2)})
    await world.once()
    await world.do("scale", "deployment", "web", "--replicas=5")
    world.track.pop()
    world.commit({"a.yaml": DEPLOYMENT})
    assert (await world.once()).ready
    live = await world.get("deployment", "web")
    assert live is not None
    assert replicas_of(live) == 5


async def test_a_rule_that_comes_later_is_taken_up_without_touching_the_field(world: World) -> None:
    world.commit({"a.yaml": config_map("a", x="git", w="git")})
    await world.once()
    await world.do("patch", "configmap", "a", "-p", '{"data":{"x":"theirs"}}')
    world.track.append('ignore-fields = [ { kind = "ConfigMap", pointers = ["/data/x"] } ]')
    assert (await world.once()).ready
    assert await data(world, "a") == {"x": "theirs", "w": "git"}
    await world.do("delete", "configmap", "a")
    assert (await world.once()).ready
    assert await data(world, "a") == {"x": "git", "w": "git"}


async def test_one_element_of_a_custom_resources_list_can_be_ignored(
    world: World, cleanup: Any
) -> None:
    kind = f"w{world.name.removeprefix('agent-')}"
    cleanup("crd", f"{kind}.shop.example")
    crd = CRD.replace("KIND", kind).replace(f"kind: {kind}", "kind: Fought", 1)
    crd = crd.replace(f"plural: {kind}, kind: {kind}", f"plural: {kind}, kind: Fought")
    resource = CUSTOM_RESOURCE.replace("KIND", "Fought").replace(
        "sizes: [1, 2, 3]", "rooms: [{name: hall, light: 1}, {name: attic, light: SIZE}]"
    )
    world.track.append(
        'ignore-fields = [ { kind = "Fought.shop.example", '
        'pointers = ["/spec/rooms/[name=hall]/light"] } ]'
    )
    world.commit({"crd.yaml": crd, "a.yaml": resource.replace("SIZE", "1")})
    assert (await world.once()).ready
    theirs = '{"spec":{"rooms":[{"name":"hall","light":7},{"name":"attic","light":1}]}}'
    await world.do("patch", kind, "first", "--type=merge", "-p", theirs)
    mark = world.control_plane.mark()
    assert (await world.once()).ready
    assert [r for r in world.writes(mark) if r.name == "first"] == []
    world.commit({"a.yaml": resource.replace("SIZE", "2")})
    assert (await world.once()).ready
    live = await world.get(kind, "first")
    assert live is not None
    assert live["spec"]["rooms"] == [{"name": "hall", "light": 7}, {"name": "attic", "light": 2}]


async def test_a_field_of_an_object_too_large_for_an_annotation_can_be_ignored(
    world: World,
) -> None:
    filler = "x" * 300_000
    world.commit({"a.yaml": config_map("a", x="git", w="git", filler=filler)})
    assert (await world.once()).ready
    world.track.append('ignore-fields = [ { kind = "ConfigMap", pointers = ["/data/x"] } ]')
    assert (await world.once()).ready
    assert (await data(world, "a"))["x"] == "git"
    await world.do("patch", "configmap", "a", "-p", '{"data":{"x":"theirs","w":"theirs"}}')
    assert (await world.once()).ready
    live = await data(world, "a")
    assert (live["x"], live["w"]) == ("theirs", "git")
    mark = world.control_plane.mark()
    await world.do("patch", "configmap", "a", "-p", '{"data":{"x":"theirs again"}}')
    assert (await world.once()).ready
    assert (await data(world, "a"))["x"] == "theirs again"
    assert [r for r in world.writes(mark) if "dryRun" not in r.query] == []
