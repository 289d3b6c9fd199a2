"""``lightkeeper install``: the server takes what it prints, and with no more than that it works."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.controlplane.audit import Request
from tests.eventually import eventually
from tests.integration.cli.program import Done, lightkeeper
from tests.integration.reconcile.conftest import World, cleanup, world
from tests.integration.reconcile.manifests import DEPLOYMENT, config_map
from tests.unit.plan.install.printing import container, of_kind

pytestmark = pytest.mark.asyncio

__all__ = ["cleanup", "world"]  # the fixtures

IN_A_CLUSTER = ("deployment", "daemonset", "sidecar")


async def exported(world: World, mode: str, *arguments: str) -> Done:
    return await lightkeeper(world, "install", "--export", f"--mode={mode}", *arguments)


def prepare(world: World, mode: str, cleanup: Callable[..., None]) -> None:
    """Put something into git, and let the configuration be one for the shape."""
    for kind in ("clusterrole", "clusterrolebinding"):
        cleanup(kind, world.name)
    if mode == "sidecar":
        world.settings = [f'namespace = "{world.namespace}"']
    world.commit(
        {"a.yaml": DEPLOYMENT, "b.yaml": config_map("b", k="1"), "c.yaml": config_map("c")}
    )
    world.config()


@pytest.mark.parametrize("mode", IN_A_CLUSTER)
async def test_the_server_takes_what_it_prints(
    world: World, mode: str, cleanup: Callable[..., None]
) -> None:
    prepare(world, mode, cleanup)
    done = await exported(world, mode)
    assert (done.code, done.stderr) == (0, "")
    await world.do("apply", "--dry-run=server", "-f", "-", stdin=done.stdout)
    await world.do("apply", "-f", "-", stdin=done.stdout)
    again = await world.do("apply", "-f", "-", stdin=done.stdout)
    assert {line.split()[-1] for line in again.splitlines()} == {"unchanged"}


@pytest.mark.parametrize("mode", ["deployment", "daemonset"])
async def test_the_server_takes_it_with_a_namespace_of_its_own(
    world: World, mode: str, cleanup: Callable[..., None]
) -> None:
    world.own_state_namespace = False
    prepare(world, mode, cleanup)
    done = await exported(world, mode)
    kubectl = world.kubectl.within("lightkeeper")
    try:
        await asyncio.to_thread(kubectl, "apply", "-f", "-", stdin=done.stdout)
        labels = (await world.get("namespace", "lightkeeper") or {})["metadata"]["labels"]
        assert labels["pod-security.kubernetes.io/enforce"]
    finally:
        await asyncio.to_thread(world.control_plane.remove_namespace, "lightkeeper")


class Pod:
    """What kubelet would start: the containers' arguments, with the service account's token."""

    def __init__(
        self,
        world: World,
        objects: list[dict[str, Any]],
        program: tuple[str, ...] = (sys.executable, "-m", "agent"),
    ) -> None:
        self.objects = objects
        self._program = program
        self._folder = world.folder
        account = of_kind(objects, "ServiceAccount")["metadata"]
        token = world.control_plane.service_account_token(account["namespace"], account["name"])
        self._kubeconfig = world.control_plane.token_kubeconfig(token)
        config = of_kind(objects, "ConfigMap")["data"]["config.toml"]
        (self._folder / "config.toml").write_text(config)

    def command(self, name: str) -> list[str]:
        """Return a container's command; what is a volume in the Pod is a folder of the test."""
        given = container(self.objects, name)["args"]
        mounted = [arg for arg in given if not arg.startswith("--config=")]
        return [
            *self._program,
            *mounted,
            f"--config={self._folder / 'config.toml'}",
            f"--kubeconfig={self._kubeconfig}",
            "--health-bind-address=0",
        ]

    async def ran(self, name: str) -> int:
        """Run a container to its end and return its exit code."""
        done = await asyncio.to_thread(
            subprocess.run, self.command(name), capture_output=True, timeout=100, check=False
        )
        return done.returncode

    @contextmanager
    def running(self, name: str) -> Iterator[None]:
        """Run a container for the length of a block, and end it as kubelet does."""
        with subprocess.Popen(self.command(name), stderr=subprocess.DEVNULL) as process:
            try:
                yield
                process.send_signal(signal.SIGTERM)
                assert process.wait(45) == 0
            finally:
                process.kill()


async def live_through(world: World, pod: Pod, mode: str) -> None:
    """Converge, repair drift, follow a commit, prune, and end."""
    if mode == "sidecar":
        assert await pod.ran("lightkeeper-first") == 0
        assert await world.get("deployment", "web"), "the application would start too early"
    with pod.running("lightkeeper"):

        async def is_b(value: str) -> bool:
            live = await world.get("configmap", "b")
            return bool(live and live["data"] == {"k": value})

        await eventually(lambda: is_b("1"), within=60)
        await eventually(lambda: world.get("deployment", "web"), within=60)
        await world.do("patch", "configmap", "b", "-p", '{"data":{"k":"edited"}}')
        await eventually(lambda: is_b("1"), within=60)
        world.commit({"b.yaml": config_map("b", k="2")}, remove=("c.yaml",))
        await eventually(lambda: is_b("2"), within=60)

        async def pruned() -> bool:
            return await world.get("configmap", "c") is None

        await eventually(pruned, within=60)


@pytest.mark.parametrize("mode", ["deployment", "sidecar"])
async def test_with_the_rights_it_prints_the_agent_lives_and_nothing_is_refused(
    world: World, mode: str, cleanup: Callable[..., None]
) -> None:
    prepare(world, mode, cleanup)
    done = await exported(world, mode)
    await world.do("apply", "-f", "-", stdin=done.stdout)
    pod = Pod(world, list(yaml.safe_load_all(done.stdout)))
    mark = world.control_plane.mark()
    await live_through(world, pod, mode)
    requests = world.requests(mark)
    account = f"system:serviceaccount:{world.namespace}:{world.name}"
    assert {request.user for request in requests} == {account}
    assert {request.code for request in requests} <= {None, 200, 201, 404, 409}
    assert any(r.verb == "delete" for r in requests), "the log does not show what happened"
    if mode == "sidecar":
        assert outside(requests, world.namespace) == set()


def outside(requests: list[Request], namespace: str) -> set[tuple[str, str, str]]:
    """Return the requests for objects that were not allowed by a Role of the namespace.

    What the server serves is for everybody who is known to it to ask (system:discovery).
    """
    return {
        (request.verb, request.uri, request.allowed_by)
        for request in requests
        if request.resource
        and not (
            request.namespace == namespace
            and request.allowed_by.startswith("RBAC: allowed by RoleBinding")
        )
    }


async def test_what_could_not_be_looked_at_is_said_in_it_and_beside_it(
    world: World, cleanup: Callable[..., None]
) -> None:
    prepare(world, "deployment", cleanup)
    world.repository = f"file://{world.folder}/none"
    world.config()
    done = await exported(world, "deployment")
    assert done.code == 1
    assert "track shop: " in done.stderr
    assert "# Not everything could be looked at" in done.stdout
    assert list(yaml.safe_load_all(done.stdout))


async def test_without_a_cluster_it_says_how_to_do_without(
    world: World, tmp_path: Path, cleanup: Callable[..., None]
) -> None:
    prepare(world, "deployment", cleanup)
    done = await exported(world, "deployment", f"--kubeconfig={tmp_path / 'none'}")
    assert (done.code, done.stdout) == (1, "")
    assert "--offline --kinds=" in done.stderr


async def test_the_environment_of_this_machine_is_not_in_it(
    world: World, cleanup: Callable[..., None]
) -> None:
    prepare(world, "deployment", cleanup)
    plain = await exported(world, "deployment")
    other = await lightkeeper(
        world, "install", "--export", LIGHTKEEPER_STATE_DIR="/elsewhere", LIGHTKEEPER_NAMESPACE="x"
    )
    assert other.stdout == plain.stdout
