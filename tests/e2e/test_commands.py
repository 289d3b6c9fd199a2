"""Every command of the binary answers, with the exit code that it has in a checkout."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from agent.cli.main import COMMANDS
from tests.e2e.cluster import becomes, goes, status_has
from tests.e2e.program import Binary
from tests.integration.reconcile.conftest import World
from tests.integration.reconcile.manifests import config_map

pytestmark = pytest.mark.asyncio


async def test_it_says_its_version(binary: Binary) -> None:
    done = binary("version")
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.startswith("lightkeeper ")


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
async def test_every_command_explains_itself(binary: Binary, command: str) -> None:
    done = binary(command, "--help")
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: lightkeeper {command}")


async def test_nothing_but_a_path_and_a_home_is_needed(binary: Binary) -> None:
    done = binary("version", wrapper=("env", "-i", "PATH=/usr/bin:/bin", "HOME=/"))
    assert (done.code, done.stderr) == (0, "")


async def test_a_configuration_is_checked_and_a_bad_one_ends_with_2(
    binary: Binary, tmp_path: Path
) -> None:
    path = tmp_path / "lightkeeper.toml"
    path.write_text('[[track]]\nname = "a"\nrepository = "file:///a"\n')
    assert binary("validate", "-c", str(path)).code == 0
    path.write_text('[agent]\nsync-perod = "5m"\n')
    for command in (("validate",), ("run", "--once")):
        done = binary(*command, "-c", str(path))
        assert (done.code, done.stdout) == (2, "")
        assert "lightkeeper.toml:2" in done.stderr
        assert "sync-period" in done.stderr


async def test_no_cluster_ends_with_1_and_says_where(binary: Binary, tmp_path: Path) -> None:
    path = tmp_path / "lightkeeper.toml"
    path.write_text(f'[agent]\nstate-dir = "{tmp_path}/s"\nkubeconfig = "{tmp_path}/none"\n'
                    '[[track]]\nname = "a"\nrepository = "file:///a"\n')  # fmt: skip
    done = binary("status", "-c", str(path))
    assert done.code == 1
    assert str(tmp_path / "none") in done.stderr


async def test_a_person_asks_about_a_fleet_and_ends_it(
    binary: Binary, world: World, config: str
) -> None:
    world.config()
    world.commit({"a.yaml": config_map("a", k="1"), "b.yaml": config_map("b", k="1")})
    planned = binary("plan", config)
    assert (planned.code, "+" in planned.stdout) == (1, True), planned
    assert await world.get("configmap", "a") is None, "a plan writes nothing"
    done = binary("run", "--once", config)
    assert done.code == 0, done
    await becomes(world, "a", k="1")
    assert binary("plan", config).code == 0
    stands = binary("status", "-o", "json", config)
    assert stands.code == 0, stands
    assert "shop" in json.dumps(stands.json)
    why = binary("why", "configmap/a", "-n", world.namespace, config)
    assert why.code == 0, why
    assert "a.yaml:1" in why.stdout
    rights = binary("rbac", config)
    assert rights.code == 0, rights
    assert "configmaps" in rights.stdout
    assert binary("install", "--export", "--mode=deployment", config).code == 0
    deleted = binary("delete", "shop", "--yes", config)
    assert deleted.code == 0, deleted
    await goes(world, "a")


async def test_a_person_suspends_resumes_and_hurries_the_agent(
    binary: Binary, world: World, config: str
) -> None:
    world.interval = "1h"  # no poll comes to help
    world.config()
    world.commit({"a.yaml": config_map("a", k="1")})
    with binary.running("run", config, log=world.folder / "log"):
        await becomes(world, "a", k="1")
        assert binary("suspend", "shop", config).code == 0
        await status_has(world, "suspended")
        world.commit({"a.yaml": config_map("a", k="2")})
        assert binary("resume", "shop", config).code == 0
        done = binary("reconcile", "shop", config)
        assert done.code == 0, done
        await becomes(world, "a", k="2")


# As root: a root file system that nobody can write to, then an ordinary user without rights.
_CLOSED = """\
set -e
mount --make-rprivate /
mount -t tmpfs -o size=100m,mode=1777 tmpfs "$TMPDIR"
mount -o remount,bind,ro /
if touch "$HOME/x" 2>/dev/null; then echo "still writable" >&2; exit 70; fi
exec setpriv --reuid 12345 --regid 12345 --clear-groups --no-new-privs -- "$@"
"""


async def test_any_user_runs_it_on_a_read_only_root_with_a_small_tmpdir(
    binary: Binary, world: World
) -> None:
    if os.geteuid() != 0:
        pytest.fail("only root can mount: run the end-to-end tests as root")
    manifests = binary.folder / "manifests"
    manifests.mkdir(exist_ok=True)
    (manifests / "a.yaml").write_text(config_map("a", k="1").replace("NS", world.namespace))
    kubeconfig = binary.folder / "kubeconfig"
    kubeconfig.write_bytes(world.kubectl.kubeconfig.read_bytes())
    kubeconfig.chmod(0o644)
    world.kubeconfig, world.repository = kubeconfig, str(manifests)
    world.config()
    config = binary.folder / "closed.toml"
    text = world.config_file.read_text()
    config.write_text(text.replace(str(world.folder / "state"), str(binary.scratch / "state")))
    done = binary(
        *("run", "--once", f"--config={config}"),
        wrapper=("unshare", "--mount", "sh", "-c", _CLOSED, "sh"),
    )
    assert done.code == 0, done.stderr
    await becomes(world, "a", k="1")
