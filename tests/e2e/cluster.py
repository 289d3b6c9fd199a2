"""What tests wait for in the cluster while the binary runs."""

from __future__ import annotations

from tests.e2e.program import PATIENCE
from tests.eventually import eventually
from tests.integration.reconcile.conftest import World


async def becomes(world: World, name: str, **data: str) -> None:
    """Wait until a ConfigMap holds exactly this."""

    async def is_so() -> bool:
        live = await world.get("configmap", name)
        return live is not None and live.get("data", {}) == data

    await eventually(is_so, within=PATIENCE, what=f"configmap {name} becomes {data}")


async def goes(world: World, name: str) -> None:
    """Wait until a ConfigMap is gone."""

    async def is_so() -> bool:
        return await world.get("configmap", name) is None

    await eventually(is_so, within=PATIENCE, what=f"configmap {name} goes")


async def status_has(world: World, key: str) -> None:
    """Wait until the status in the track's ConfigMap has a value that is not empty."""

    async def is_so() -> bool:
        return bool((await world.status()).get(key))

    await eventually(is_so, within=PATIENCE, what=f"the status has {key}")
