"""A changed configuration takes effect without a restart; a wrong one changes nothing."""

from __future__ import annotations

import json
import logging

import pytest

from tests.controlplane.server import ControlPlane
from tests.eventually import eventually
from tests.integration.reconcile.conftest import World
from tests.integration.reconcile.manifests import config_map

CONFIG_MAP = (
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {0}, namespace: NS}}\ndata: {{key: {0}}}\n"
)

pytestmark = [pytest.mark.integration, pytest.mark.asyncio]


def second_track(world: World, *lines: str) -> list[str]:
    """The lines of another ``[[track]]`` of the same repository."""
    repository = f'repository = "file://{world.git.path}"'
    return ["[[track]]", 'name = "more"', repository, 'sub-path = "more"', *lines]


@pytest.fixture
def two_folders(world: World) -> World:
    world.track = ['sub-path = "shop"']
    world.commit(
        {
            "shop/one.yaml": config_map("one", key="one"),
            "more/two.yaml": config_map("two", key="two"),
        }
    )
    return world


async def test_a_track_is_added_changed_and_removed_while_the_agent_runs(
    two_folders: World, control_plane: ControlPlane, caplog: pytest.LogCaptureFixture
) -> None:
    world = two_folders
    caplog.set_level(logging.INFO, logger="agent")
    async with world.running():
        await eventually(lambda: world.get("configmap", "one"))
        assert await world.get("configmap", "two") is None
        mark = control_plane.mark()
        shop = world.track
        world.track = [*shop, *second_track(world)]
        world.config()
        await eventually(lambda: world.get("configmap", "two"))
        lists = [r for r in world.requests(mark) if r.verb == "list"]
        assert [r.resource for r in lists if "applyset" not in r.uri] == [], (
            "watches of objects go on through a change of the tracks"
        )

        world.track = [*shop, *second_track(world, 'interval = "1h"')]
        world.config()
        await eventually(lambda: caplog.text.count("configuration changed") == 2)
        await world.do("delete", "configmap", "two")
        await eventually(lambda: world.get("configmap", "two"))

        world.track = shop
        world.config()
        await eventually(lambda: "track removed from the configuration" in caplog.text)
        await eventually(lambda: caplog.text.count("configuration changed") == 3)
        await world.do("patch", "configmap", "one", "-p", '{"data":{"key":"edited"}}')
        await eventually(lambda: value_is(world, "one", "one"))
        assert await world.get("configmap", "two"), "its objects stay as they are"
        await world.do("patch", "configmap", "two", "-p", '{"data":{"key":"edited"}}')
        await world.do("patch", "configmap", "one", "-p", '{"data":{"key":"again"}}')
        await eventually(lambda: value_is(world, "one", "one"))
        assert await value_is(world, "two", "edited"), "nobody keeps it any more"


@pytest.mark.parametrize("mode", ["agent", "track"])
async def test_a_leader_takes_up_a_track_that_is_added_while_it_leads(
    two_folders: World, mode: str
) -> None:
    world = two_folders
    world.settings = ["[leader-election]", "enabled = true", f'mode = "{mode}"']
    async with world.running():
        await eventually(lambda: world.get("configmap", "one"), within=60)
        world.track = [*world.track, *second_track(world)]
        world.config()
        await eventually(lambda: world.get("configmap", "two"), within=60)


async def test_a_configuration_that_is_wrong_is_refused_and_the_old_one_goes_on(
    two_folders: World, caplog: pytest.LogCaptureFixture
) -> None:
    world = two_folders
    async with world.running():
        await eventually(lambda: world.get("configmap", "one"))
        world.config_file.write_text(world.config_file.read_text() + "nonsense = 1\n")
        await eventually(lambda: "configuration refused" in caplog.text)
        await world.do("delete", "configmap", "one")
        await eventually(lambda: world.get("configmap", "one"))


async def test_what_all_tracks_share_changes_too_and_what_cannot_start_is_taken_back(
    two_folders: World, caplog: pytest.LogCaptureFixture
) -> None:
    world = two_folders
    caplog.set_level(logging.INFO, logger="agent")
    async with world.running():
        await eventually(lambda: world.get("configmap", "one"))
        world.settings = ['ignore-resources = ["configmaps./v1"]']
        world.config()
        await eventually(lambda: caplog.text.count("lightkeeper runs") == 2)
        await eventually(lambda: is_ignored(world))

        world.settings = []
        text = world.config_file.read_text()
        nowhere = f'kubeconfig = "{world.folder / "nothing"}"'
        broken = [nowhere if li.startswith("kubeconfig") else li for li in text.splitlines()]
        world.config_file.write_text("\n".join(broken))
        await eventually(lambda: "configuration refused" in caplog.text)
        await eventually(lambda: caplog.text.count("lightkeeper runs") == 3)
        world.config()
        await eventually(lambda: caplog.text.count("lightkeeper runs") == 4)
        await world.do("delete", "configmap", "one")
        await eventually(lambda: world.get("configmap", "one"))


async def test_when_the_old_one_cannot_start_anew_either_it_is_tried_again_with_pauses(
    two_folders: World, caplog: pytest.LogCaptureFixture
) -> None:
    world = two_folders
    good = world.kubectl.kubeconfig.read_text()
    world.kubeconfig = world.folder / "kubeconfig"
    world.kubeconfig.write_text(good)
    async with world.running():
        await eventually(lambda: world.get("configmap", "one"))
        world.kubeconfig.write_text("nonsense")
        world.settings = ['sync-period = "10m"']
        world.config()
        await eventually(lambda: caplog.text.count("cannot start anew") == 2, within=60)
        assert caplog.text.count("configuration refused") == 1
        world.kubeconfig.write_text(good)
        await world.do("delete", "configmap", "one")
        await eventually(lambda: world.get("configmap", "one"), within=60)


async def value_is(world: World, name: str, value: str) -> bool:
    found = await world.get("configmap", name)
    return found is not None and found["data"]["key"] == value


async def is_ignored(world: World) -> bool:
    return "ignore" in json.dumps((await world.status()).get("problems", {}))
