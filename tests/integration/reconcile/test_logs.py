"""What the log says: whom a line is about, and nothing when nothing happened."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from agent import log
from tests.eventually import eventually
from tests.integration.reconcile.conftest import World
from tests.integration.reconcile.manifests import config_map

pytestmark = [pytest.mark.integration, pytest.mark.asyncio]

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Lines:
    """Give the lines that the agent logs from now on, as programs get them."""
    stream = io.StringIO()
    log.configure(level="info", stream=stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


async def test_a_line_about_an_object_names_track_revision_and_object(
    world: World, lines: Lines
) -> None:
    commit = world.commit({"a.yaml": config_map("a", k="v")})

    def said(message: str) -> list[dict[str, Any]]:
        return [line for line in lines() if line["msg"] == message]

    async with world.running():
        await eventually(lambda: said("object created"), within=60)
        await eventually(world.status, within=60)
        await world.do("patch", "configmap", "a", "-p", '{"data":{"k":"drifted"}}')
        await eventually(lambda: said("drift put back"), within=60)
    about = {
        "track": "shop",
        "revision": f"main@{commit[:12]}",
        "object": f"ConfigMap {world.namespace}/a",
    }
    for message in ("object created", "drift put back"):
        [line] = said(message)
        assert about.items() <= line.items()


async def test_a_source_that_fails_names_its_track(world: World, lines: Lines) -> None:
    world.repository = f"file://{world.folder}/none"
    await world.once()
    [line] = [line for line in lines() if line["level"] == "error"]
    assert (line["msg"], line["track"]) == ("fetch failed", "shop")


async def test_a_pass_with_nothing_to_do_says_nothing(world: World, lines: Lines) -> None:
    world.commit({"a.yaml": config_map("a")})
    await world.once()
    before = lines()
    await world.once()
    assert lines() == before
