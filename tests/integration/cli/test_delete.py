"""``lightkeeper delete``: all that a track owns goes, nothing else, and it stays gone."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

import pytest

from tests.eventually import eventually
from tests.integration.cli.program import Done, lightkeeper
from tests.integration.reconcile.conftest import World, cleanup, world
from tests.integration.reconcile.manifests import DEPLOYMENT, config_map, secret

pytestmark = pytest.mark.asyncio

__all__ = ["cleanup", "world"]  # the fixtures

CLAIM = """\
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: NS}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"""
FILES = {"a.yaml": config_map("a"), "s.yaml": secret("s", "x"), "web.yaml": DEPLOYMENT}


def drop_track(world: World, into: str = "lightkeeper.toml") -> None:
    """Take the track out of the configuration, or out of a copy of it that no agent follows."""
    text = (world.folder / "lightkeeper.toml").read_text()
    (world.folder / into).write_text(text.replace('"shop"', '"other"'))


async def there(world: World) -> set[str]:
    text = await world.do("get", "configmap,secret,deployment,pvc", "-o", "name")
    names = {line.partition("/")[2] for line in text.split()}
    return {n for n in names if not n.startswith(("default-token", "kube-root", world.name))}


async def delete(world: World, *arguments: str, config: str = "lightkeeper.toml") -> Done:
    return await lightkeeper(world, "delete", "shop", "--yes", *arguments, config=config)


async def test_all_that_is_owned_goes_and_nothing_else(world: World) -> None:
    world.commit(FILES)
    await world.once()
    await world.do("create", "configmap", "mine")
    done = await delete(world)
    assert done.code == 0, done
    assert await there(world) == {"mine"}
    assert "Deleted 3 objects of track shop." in done.stdout
    assert "Remove it from the configuration" in done.stdout
    assert (await world.once()).suspended, "an agent that starts would create everything again"
    assert await there(world) == {"mine"}


async def test_deletes_carry_uid_and_version_and_go_in_reverse_order(world: World) -> None:
    world.commit(FILES)
    await world.once()
    mark = world.control_plane.mark()
    await delete(world)
    deleted = [r.resource for r in world.requests(mark) if r.verb == "delete"]
    assert deleted[0] == "deployments"
    assert sorted(deleted[1:]) == ["configmaps", "secrets"]


async def test_a_track_that_the_file_does_not_have_goes_with_its_config_map(world: World) -> None:
    world.commit(FILES)
    await world.once()
    drop_track(world)
    done = await delete(world, "-o", "json")
    assert done.code == 0, done
    assert done.json["configMap"] == "removed"
    assert (done.json["kept"], done.json["errors"], done.json["orphaned"]) == ({}, {}, [])
    assert len(done.json["deleted"]) == 3
    assert await there(world) == set()
    assert await world.get("configmap", f"{world.name}.shop") is None


async def test_a_running_agent_does_not_create_it_again(world: World) -> None:
    world.commit(FILES)
    async with world.running():

        async def ready() -> bool:
            return bool((await world.status()).get("inSync") == 3)

        await eventually(ready)
        assert (await delete(world)).code == 0
        await asyncio.sleep(2.5)  # two polls
        assert await there(world) == set()


async def test_the_config_map_stays_while_an_agent_runs_that_knows_the_track(world: World) -> None:
    world.commit(FILES)
    async with world.running():

        async def ready() -> bool:
            return bool((await world.status()).get("inSync") == 3)

        await eventually(ready)
        drop_track(world, into="laptop.toml")
        done = await delete(world, config="laptop.toml")
        assert done.code == 0, done
        assert "an agent is running that still has it" in done.stdout
        assert (await world.status())["suspended"]
    done = await delete(world, "-o", "json", config="laptop.toml")
    assert done.json["configMap"] == "removed"


async def test_orphan_takes_the_marks_off_and_leaves_the_objects(world: World) -> None:
    world.commit({**FILES, "pvc.yaml": CLAIM})
    await world.once()
    drop_track(world)
    done = await delete(world, "--orphan")
    assert done.code == 0, done
    assert await there(world) == {"a", "s", "web", "data"}
    everything = await world.do("get", "configmap,secret,deployment,pvc", "-o", "yaml")
    assert "lightkeeper.dev/" not in everything
    assert "applyset.kubernetes.io/" not in everything


async def test_what_holds_data_is_kept_unless_a_flag_says_so(world: World) -> None:
    world.commit({"a.yaml": config_map("a"), "pvc.yaml": CLAIM})
    await world.once()
    drop_track(world)
    done = await delete(world)
    assert done.code == 1
    assert await there(world) == {"data"}
    assert f"PersistentVolumeClaim {world.namespace}/data: " in done.stderr
    assert "--all-kinds" in done.stderr
    assert await world.get("configmap", f"{world.name}.shop") is not None
    done = await delete(world, "--all-kinds")
    assert done.code == 0, done
    claim = await world.get("pvc", "data")  # pvc-protection keeps it, without a controller for ever
    assert claim is None or "deletionTimestamp" in claim["metadata"]


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 1), ("", 1)])
async def test_it_shows_what_would_go_and_asks(world: World, answer: str, code: int) -> None:
    world.commit({"a.yaml": config_map("a")})
    await world.once()
    done = await lightkeeper(world, "delete", "shop", answer=answer)
    assert done.code == code, done
    assert f"  ConfigMap {world.namespace}/a\n" in done.stdout
    assert await there(world) == (set() if code == 0 else {"a"})
    config_map_ = await world.get("configmap", f"{world.name}.shop") or {}
    annotations = config_map_["metadata"]["annotations"]
    assert ("lightkeeper.dev/suspended" in annotations) == (code == 0)


async def test_without_a_terminal_and_yes_nothing_is_deleted(world: World) -> None:
    world.commit({"a.yaml": config_map("a")})
    await world.once()
    done = await lightkeeper(world, "delete", "shop")
    assert done.code == 2
    assert "--yes" in done.stderr
    assert await there(world) == {"a"}


async def test_killed_half_way_it_can_be_run_again(world: World) -> None:
    world.commit({f"{n}.yaml": config_map(f"c{n}") for n in range(300)})
    await world.once()
    drop_track(world)
    path = f"/api/v1/namespaces/{world.namespace}/configmaps"
    config = str(world.folder / "lightkeeper.toml")
    arguments = ("-m", "agent", "delete", "shop", "--yes", "-c", config)
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=asyncio.subprocess.DEVNULL
    )

    def kill_midway() -> None:
        while len(world.control_plane.client.json("GET", path)["items"]) > 295:
            pass
        process.kill()

    await asyncio.wait_for(asyncio.to_thread(kill_midway), 60)
    await process.wait()
    left = await there(world)
    assert 0 < len(left) < 300, "killed too early or too late to say anything"
    done = await delete(world)
    assert done.code == 0, done
    assert await there(world) == set()
    assert await world.get("configmap", f"{world.name}.shop") is None


async def test_an_object_that_lost_our_marks_is_left_alone(world: World) -> None:
    world.commit({"a.yaml": config_map("a"), "b.yaml": config_map("b")})
    await world.once()
    await world.do("annotate", "configmap", "a", "lightkeeper.dev/owner-")
    assert (await delete(world)).code == 0
    assert await there(world) == {"a"}


async def test_a_track_of_which_nothing_is_known_says_so(world: World) -> None:
    world.config()
    done = await lightkeeper(world, "delete", "nobody", "--yes")
    assert (done.code, done.stdout) == (1, "")
    assert f"no ConfigMap {world.namespace}/{world.name}.nobody" in done.stderr


async def test_a_protected_namespace_is_deleted_last(
    world: World, cleanup: Callable[..., None]
) -> None:
    fresh = f"{world.namespace}-fresh"
    cleanup("namespace", fresh)
    world.commit(
        {
            "ns.yaml": f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {fresh}}}\n",
            "a.yaml": config_map("a").replace("NS", fresh),
        }
    )
    await world.once()
    mark = world.control_plane.mark()
    assert (await delete(world, "--all-kinds")).code == 0
    deleted = [r.resource for r in world.requests(mark) if r.verb == "delete"]
    assert deleted == ["configmaps", "namespaces"]
