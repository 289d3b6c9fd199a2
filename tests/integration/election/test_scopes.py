"""One Lease a track, one pass without a Lease, and the rights that an election needs."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from tests.controlplane.server import ControlPlane
from tests.gitservers.upstream import Upstream
from tests.integration.election import evidence
from tests.integration.election.replicas import Replica, Stage

pytestmark = pytest.mark.timeout(240)

TRACKS = ("one", "two", "three", "four")


@pytest.fixture
def shared(namespace: str, control_plane: ControlPlane, tmp_path: Path) -> Stage:
    """Replicas that share four tracks."""
    git = Upstream(tmp_path / "upstream.git")
    settings = ['mode = "track"']
    return Stage(namespace, control_plane, git, tmp_path, settings=settings, tracks=TRACKS)


def lease_of(stage: Stage, track: str) -> str:
    return f"{stage.lease}.{track}"


async def assert_one_writer_a_track(stage: Stage) -> None:
    requests = await asyncio.to_thread(stage.requests)
    for track in stage.tracks:
        lease = lease_of(stage, track)
        assert not evidence.intruders(requests, lease, within=f"{track}-")


async def until_held_by(stage: Stage, names: set[str], tracks: Sequence[str] = TRACKS) -> None:
    for track in tracks:
        await stage.until(partial(_is_held_by, stage, track, names), f"{track} is held")


def _is_held_by(stage: Stage, track: str, names: set[str]) -> bool:
    return stage.holder(lease_of(stage, track)) in names


async def until_written(stage: Stage, since: int, tracks: Sequence[str] = TRACKS) -> None:
    """Wait until an object of each of these tracks was made (again)."""

    def unwritten() -> list[str]:
        made = [r.name for r in stage.requests(since) if r.verb == "create"]
        return [track for track in tracks if not any(n.startswith(f"{track}-") for n in made)]

    await stage.until(lambda: not unwritten(), f"objects of {tracks} are written")


@pytest.mark.asyncio
async def test_replicas_share_tracks_and_take_over_one_anothers(shared: Stage) -> None:
    a, b = shared.replica("a"), shared.replica("b")
    with a.running(), b.running():
        await until_held_by(shared, {"a", "b"})
        await until_written(shared, shared.began)
        async with shared.trouble():
            a.signal(signal.SIGSTOP)
            await until_held_by(shared, {"b"})
            mark = shared.control_plane.mark()
            await until_written(shared, mark)
            a.signal(signal.SIGCONT)
            await shared.until_said(a, "standing by")
            assert not evidence.writes_of(shared.requests(mark), a.user)
            b.signal(signal.SIGTERM)
            await until_held_by(shared, {"a"})
            await until_written(shared, shared.control_plane.mark())
            await shared.until(lambda: b.ended() is not None, "b ends")
        assert b.ended() == 0
    await assert_one_writer_a_track(shared)


@pytest.mark.asyncio
async def test_a_lost_track_stops_that_track_alone(shared: Stage) -> None:
    a = shared.replica("a")
    with a.running():
        await until_held_by(shared, {"a"})
        await until_written(shared, shared.began)
        async with shared.trouble():
            shared.steal("nobody", lease_of(shared, "two"))
            await shared.until_said(a, "no longer leading")
            mark = shared.control_plane.mark()
            others = [track for track in TRACKS if track != "two"]
            await until_written(shared, mark, others)
            assert len(a.said("no longer leading")) == 1
            await until_held_by(shared, {"a"})
            await until_written(shared, mark, ["two"])
    await assert_one_writer_a_track(shared)


@pytest.mark.asyncio
async def test_a_single_pass_is_made_whoever_leads(stage: Stage) -> None:
    a, b = stage.replica("a"), stage.replica("b")
    with a.running():
        await stage.until_led_by("a")
        done = await asyncio.to_thread(_once, b)
    assert done.returncode == 0, done.stderr
    [status] = json.loads(done.stdout)
    assert status["inSync"] == status["discovered"]
    assert not evidence.lease_writes(stage.requests(), b.user, stage.lease)


def _once(replica: Replica) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*replica.command, "--once", "-o", "json"],
        env=replica.environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.asyncio
async def test_get_create_and_update_of_leases_in_one_namespace_are_enough(
    stage: Stage, control_plane: ControlPlane
) -> None:
    user = f"poor-{stage.namespace}"
    poor = stage.replica("poor", user=user, kubeconfig=control_plane.user(user))
    kubectl = control_plane.kubectl.within(stage.namespace)
    with poor.running():
        await stage.until_said(poor, "no Lease, no work")
        [entry] = poor.said("no Lease, no work")
        assert entry["error"].endswith(
            "; allow get, create and update of leases.coordination.k8s.io in namespace "
            f"{stage.namespace}"
        )
        await asyncio.to_thread(
            kubectl, "create", "role", "lease", "--verb=get,create,update",
            "--resource=leases.coordination.k8s.io",
        )  # fmt: skip
        await asyncio.to_thread(
            kubectl, "create", "rolebinding", "lease", "--role=lease", f"--user={user}"
        )
        await stage.until_led_by("poor")
        await stage.until_renewed(poor, times=3)
        poor.signal(signal.SIGTERM)
        await stage.until(lambda: poor.ended() is not None, "it ends")
    assert poor.ended() == 0
    assert poor.said("Lease released")
