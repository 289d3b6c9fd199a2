"""With what ``install --export --mode=sidecar`` prints the binary lives, and uses nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import yaml

from tests.e2e.program import Binary
from tests.integration.cli.test_install import Pod, live_through, outside, prepare
from tests.integration.reconcile.conftest import World

pytestmark = pytest.mark.asyncio


async def test_a_sidecar_uses_the_rights_of_its_namespace_and_no_other(
    binary: Binary,
    world: World,
    config: str,
    cleanup: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prepare(world, "sidecar", cleanup)
    done = binary("install", "--export", "--mode=sidecar", config)
    assert (done.code, done.stderr) == (0, "")
    await world.do("apply", "-f", "-", stdin=done.stdout)
    monkeypatch.setenv("TMPDIR", str(binary.scratch))
    pod = Pod(world, list(yaml.safe_load_all(done.stdout)), (str(binary.path),))
    mark = world.control_plane.mark()
    await live_through(world, pod, "sidecar")
    requests = world.requests(mark)
    account = f"system:serviceaccount:{world.namespace}:{world.name}"
    assert {request.user for request in requests} == {account}
    assert {request.code for request in requests} <= {None, 200, 201, 404, 409}
    assert any(request.verb == "delete" for request in requests), "the log does not show it all"
    assert outside(requests, world.namespace) == set()
