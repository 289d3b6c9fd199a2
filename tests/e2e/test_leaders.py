"""Two binaries hand the leadership over, and never do both write."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.controlplane.server import ControlPlane
from tests.e2e.program import ENDS_WITHIN, Binary
from tests.gitservers.upstream import Upstream
from tests.integration.election.replicas import Stage

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda n: n.name)
async def test_another_binary_takes_over_and_only_one_ever_writes(
    binary: Binary,
    namespace: str,
    control_plane: ControlPlane,
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    upstream = Upstream(tmp_path / "upstream.git")
    stage = Stage(namespace, control_plane, upstream, tmp_path, program=(str(binary.path),))
    a = stage.replica("a", environment=binary.environment)
    b = stage.replica("b", environment=binary.environment)
    with a.running():
        await stage.until_led_by("a")
        await stage.until_it_writes(a, since=stage.began)
        with b.running():
            await stage.until_said(b, "standing by")
            async with stage.trouble():
                assert a.process is not None
                if number == signal.SIGTERM:
                    a.signal(number)
                    assert a.process.wait(ENDS_WITHIN) == 0
                else:  # the inner process; the outer one then follows and cleans up
                    [inner] = [p for p in binary.processes() if p.parent == a.process.pid]
                    os.kill(inner.pid, number)
                mark = control_plane.mark()
                await stage.until_led_by("b")
                await stage.until_it_writes(b, since=mark)
            await stage.assert_one_writer()
            b.signal(signal.SIGTERM)
            assert b.process is not None
            assert b.process.wait(ENDS_WITHIN) == 0
