"""``lightkeeper approve``: only what is held, only what was shown, and the agent notices."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from tests.eventually import eventually
from tests.integration.cli.program import lightkeeper
from tests.integration.reconcile.conftest import World, world
from tests.integration.reconcile.manifests import config_map

pytestmark = pytest.mark.asyncio

__all__ = ["world"]  # the fixture


@dataclass(frozen=True)
class Done:
    code: int
    stdout: str
    stderr: str


def command(arguments: Sequence[str], world: World) -> list[str]:
    config = str(world.folder / "lightkeeper.toml")
    return [sys.executable, "-m", "agent", "approve", *arguments, "-c", config]


async def approve(world: World, *arguments: str) -> Done:
    """Run the command without a terminal."""
    done = await asyncio.to_thread(
        subprocess.run,
        command(arguments, world),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


async def approve_at_a_terminal(world: World, answer: str, *arguments: str) -> Done:
    """Run the command with a terminal to ask at, and answer."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, f"{answer}\n".encode())
        done = await asyncio.to_thread(
            subprocess.run,
            command(arguments, world),
            stdin=theirs,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    return Done(done.returncode, done.stdout, done.stderr)


async def hold(world: World, count: int = 12) -> str:
    """Have the deletion of all objects but one held; return the plan."""
    world.commit({f"{n}.yaml": config_map(f"c{n}") for n in range(count)})
    await world.once()
    world.commit({}, remove=tuple(f"{n}.yaml" for n in range(1, count)))
    return (await world.once()).held_digest


async def approved(world: World) -> str | None:
    inventory = await world.get("configmap", f"{world.name}.shop")
    assert inventory is not None
    plan: str | None = inventory["metadata"]["annotations"].get("lightkeeper.dev/approved")
    return plan


async def test_a_held_plan_is_shown_approved_and_carried_out(world: World) -> None:
    plan = await hold(world)
    done = await approve(world, "shop", "--yes")
    assert (done.code, done.stderr) == (0, "")
    head, it_deletes, *objects, last = done.stdout.splitlines()
    assert head == (
        f"Track shop holds plan {plan}: it would delete 11 of 12 objects, "
        "more than prune-limit 50 %."
    )
    assert it_deletes == "It deletes:"
    names = sorted(f"c{n}" for n in range(1, 12))
    assert objects == [f"  ConfigMap {world.namespace}/{name}" for name in names]
    assert last == f"Approved plan {plan}; a running agent carries it out now."
    assert await approved(world) == plan
    assert (await world.once()).ready
    assert await world.get("configmap", "c1") is None
    assert (await world.status())["heldObjects"] == []


async def test_a_running_agent_notices_the_approval_without_a_commit(world: World) -> None:
    world.interval = "1h"  # no poll comes to help
    world.commit({f"{n}.yaml": config_map(f"c{n}") for n in range(12)})
    async with world.running():

        async def all_there() -> bool:
            return bool((await world.status()).get("inSync") == 12)

        async def held() -> str:
            return str((await world.status()).get("heldDigest") or "")

        async def gone() -> bool:
            return await world.get("configmap", "c11") is None

        await eventually(all_there)
        world.commit({}, remove=tuple(f"{n}.yaml" for n in range(1, 12)))
        assert (await lightkeeper(world, "reconcile", "shop")).code == 1
        plan = await eventually(held)
        assert not await gone()
        assert (await approve(world, "shop", "--plan", plan, "--yes")).code == 0
        await eventually(gone, within=5, what="the agent did not look at the approval")
        assert await world.get("configmap", "c0") is not None

        async def released() -> bool:
            return not await held()

        await eventually(released)


async def test_another_plan_than_the_held_one_is_refused_and_both_are_named(world: World) -> None:
    plan = await hold(world)
    done = await approve(world, "shop", "--plan", "0123456789ab", "--yes")
    assert (done.code, done.stdout) == (1, "")
    assert f"holds plan {plan} and not 0123456789ab" in done.stderr
    assert await approved(world) is None


async def test_nothing_held_is_nothing_to_approve(world: World) -> None:
    world.commit({"a.yaml": config_map("a")})
    await world.once()
    done = await approve(world, "shop", "--yes")
    assert (done.code, done.stdout) == (1, "")
    assert done.stderr == "track shop holds no deletions; there is nothing to approve\n"


async def test_an_approval_twice_is_one(world: World) -> None:
    plan = await hold(world)
    for _ in range(2):
        assert (await approve(world, "shop", "--yes")).code == 0
    assert await approved(world) == plan


async def test_without_a_terminal_and_yes_nothing_is_approved(world: World) -> None:
    await hold(world)
    done = await approve(world, "shop")
    assert done.code == 2
    assert "say it with --yes" in done.stderr
    assert await approved(world) is None


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("YES", 0), ("n", 1), ("", 1), ("yeah", 1)])
async def test_at_a_terminal_it_asks_and_only_a_yes_is_one(
    world: World, answer: str, code: int
) -> None:
    plan = await hold(world)
    done = await approve_at_a_terminal(world, answer, "shop")
    assert done.code == code, done
    assert done.stderr.startswith("Approve? [y/N] ")
    assert plan in done.stdout
    assert await approved(world) == (plan if code == 0 else None)


async def test_json_is_the_plan_and_nothing_else(world: World) -> None:
    plan = await hold(world)
    done = await approve(world, "shop", "--yes", "-o", "json")
    result = json.loads(done.stdout)
    assert (result["track"], result["plan"], result["approved"]) == ("shop", plan, True)
    assert len(result["objects"]) == 11
    assert done.stderr == ""


async def test_a_long_plan_is_cut_with_a_word_of_how_much(world: World) -> None:
    await hold(world, count=60)
    objects = (await world.status())["heldObjects"]
    assert len(objects) == 51
    assert objects[-1] == "and 9 more"


async def test_a_track_that_is_not_in_the_file_is_bad_input(world: World) -> None:
    world.config()
    done = await approve(world, "shpo", "--yes")
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr == "there is no track 'shpo' in the configuration, which has shop\n"


async def test_a_track_without_a_status_says_where_it_looked(world: World) -> None:
    world.config()
    done = await approve(world, "shop", "--yes")
    assert done.code == 1
    assert f"in ConfigMap {world.namespace}/{world.name}.shop" in done.stderr
    assert "state-namespace" in done.stderr
