"""What is served follows the configuration of the running agent."""

from __future__ import annotations

import pytest

from tests.eventually import eventually
from tests.gitservers.broken import listener
from tests.integration.serve.conftest import MANIFEST, Door

pytestmark = [pytest.mark.asyncio, pytest.mark.integration]


async def test_a_track_that_is_removed_is_shown_no_more(door: Door) -> None:
    world = door.world
    other = ["[[track]]", 'name = "gone"', f'repository = "file://{world.git.path}"']
    other += ['sub-path = "gone"', 'interval = "1s"']
    world.commit({"shop/web.yaml": MANIFEST, "gone/other.yaml": MANIFEST.replace("web", "other")})
    world.track += ['sub-path = "shop"', *other]

    async def shown() -> list[bool]:
        pages = [(await door.metrics(path)).text for path in ("/metrics", "/status")]
        return ['"gone"' in page for page in pages]

    async def everywhere() -> bool:
        return all(await shown())

    async def nowhere() -> bool:
        return not any(await shown())

    async with world.running():
        await eventually(door.is_ready, within=60)
        await eventually(everywhere, within=60)
        del world.track[1:]
        world.config()
        await eventually(nowhere, within=60)
        await eventually(door.is_ready, within=60)
        page = (await door.metrics("/metrics")).text
        assert 'lightkeeper_source_polls_total{result="' in page
        assert f'name="other",namespace="{world.namespace}"' not in page


async def test_a_changed_address_counts_and_one_in_use_is_refused(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    world = door.world
    world.commit({"web.yaml": MANIFEST})
    async with world.running(), listener(trickle=False) as taken:
        await eventually(door.is_ready, within=60)
        moved = Door(world)
        world.config()
        await eventually(moved.is_ready, within=60)
        world.health_address = f"127.0.0.1:{taken}"
        world.config()
        await eventually(lambda: "configuration refused" in caplog.text, within=60)
        await eventually(moved.is_ready, within=60)  # with the file before, as it was
        page = (await moved.metrics("/metrics")).text
        assert "lightkeeper_config_last_reload_successful 0.0" in page
    [line] = [r for r in caplog.records if "configuration refused" in r.message]
    assert f"health-bind-address 127.0.0.1:{taken}: cannot" in str(line.__dict__["fields"])
