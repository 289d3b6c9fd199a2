"""Whatever happens to the leader: another takes over, and no two ever write."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.controlplane import access
from tests.controlplane.rest import RequestError
from tests.controlplane.server import ControlPlane
from tests.faults.proxy import Fault, FaultProxy
from tests.gitservers.upstream import git
from tests.integration.election import evidence
from tests.integration.election.replicas import Replica, Stage

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def faketime() -> Path:
    """The library that makes a process believe another time."""
    return next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))


@pytest_asyncio.fixture
async def pair(stage: Stage) -> AsyncIterator[tuple[Replica, Replica]]:
    """Two replicas with work to do all the time: the first leads, the second stands by."""
    a, b = stage.replica("a"), stage.replica("b")
    with a.running(), b.running():
        await _settled(stage, a, b)
        async with stage.trouble():
            yield a, b


async def _settled(stage: Stage, a: Replica, b: Replica) -> None:
    """Wait until the first leads and has written; the one that was quicker may be the second."""
    b.signal(signal.SIGSTOP)
    await stage.until_led_by("a")
    await stage.until_it_writes(a, since=stage.began)
    b.signal(signal.SIGCONT)
    await stage.until_said(b, "standing by")


@pytest.mark.asyncio
async def test_a_killed_leader_is_followed_when_its_lease_expires(
    stage: Stage, pair: tuple[Replica, Replica]
) -> None:
    a, b = pair
    a.signal(signal.SIGKILL)
    mark = stage.control_plane.mark()
    took = await stage.until_led_by("b")
    first = took + await stage.until_it_writes(b, since=mark)
    print(f"taken over after {took:.1f} s, first write after {first:.1f} s")
    await stage.assert_one_writer()


@pytest.mark.asyncio
async def test_a_leader_that_was_stopped_writes_nothing_when_it_goes_on(
    stage: Stage, pair: tuple[Replica, Replica]
) -> None:
    a, b = pair
    a.signal(signal.SIGSTOP)
    await stage.until_led_by("b")
    mark = stage.control_plane.mark()
    await stage.until_it_writes(b, since=mark)
    a.signal(signal.SIGCONT)
    await stage.until_said(a, "no longer leading")
    await stage.until_said(a, "standing by")
    assert not evidence.writes_of(stage.requests(mark), a.user)
    assert a.ended() is None, "standing by is no reason to end"
    b.signal(signal.SIGKILL)
    await stage.until_led_by("a")
    await stage.until_it_writes(a, since=stage.control_plane.mark())
    await stage.assert_one_writer()


@pytest.mark.asyncio
async def test_a_partitioned_leader_stops_before_another_starts(
    stage: Stage, control_plane: ControlPlane, tmp_path: Path
) -> None:
    account = f"system:serviceaccount:{stage.namespace}:a"
    token = control_plane.service_account_token(stage.namespace, "a")
    stage.control_plane.kubectl(
        "create", "clusterrolebinding", f"a-{stage.namespace}", "--clusterrole=cluster-admin",
        f"--serviceaccount={stage.namespace}:a",
    )  # fmt: skip
    async with FaultProxy(control_plane.url, ca=control_plane.ca, token=token) as proxy:
        path = access.write_kubeconfig(
            tmp_path / "proxy.kubeconfig", url=proxy.url, ca=control_plane.ca, user={"token": "-"}
        )
        a, b = stage.replica("a", kubeconfig=path, user=account), stage.replica("b")
        with a.running(), b.running():
            await _settled(stage, a, b)
            async with stage.trouble():
                # Watches go on, so the leader hears of work, and its requests are swallowed.
                for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
                    proxy.plant(Fault(method=method, times=10**6, silent=True))
                await stage.until_said(a, "no longer leading")
                await stage.until_led_by("b")
                mark = control_plane.mark()
                await stage.until_it_writes(b, since=mark)
                proxy.faults.clear()
                await stage.until_said(a, "standing by")
                assert not evidence.writes_of(stage.requests(mark), a.user)
        await stage.assert_one_writer()


@pytest.mark.asyncio
async def test_an_api_server_that_restarts_leaves_one_leader(
    stage: Stage, pair: tuple[Replica, Replica], control_plane: ControlPlane
) -> None:
    a, b = pair
    await asyncio.to_thread(control_plane.kill_apiserver)
    await stage.until_said(a, "no longer leading")
    await asyncio.to_thread(control_plane.restart_apiserver)
    await stage.until(stage.holder, "somebody leads")
    leader = a if stage.holder() == "a" else b
    await stage.until_it_writes(leader, since=control_plane.mark())
    assert (a.ended(), b.ended()) == (None, None)
    await stage.assert_one_writer()


@pytest.mark.asyncio
async def test_a_clock_that_jumps_neither_takes_nor_loses_the_lease(
    stage: Stage, faketime: Path, tmp_path: Path
) -> None:
    times = {name: tmp_path / f"{name}.time" for name in ("a", "b")}
    replicas = {}
    for name, path in times.items():
        path.write_text("+0")
        replicas[name] = stage.replica(
            name,
            environment={
                "LD_PRELOAD": str(faketime),
                "FAKETIME_TIMESTAMP_FILE": str(path),
                "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # a jump of the wall clock, and of it alone
            },
        )
    a, b = replicas["a"], replicas["b"]
    with a.running(), b.running():
        await _settled(stage, a, b)
        for jumping, offset in (("b", "+1h"), ("a", "+2h"), ("b", "-30s")):
            times[jumping].write_text(offset)
            await stage.until_renewed(a, times=12)  # twice the Lease's duration
        found = stage.control_plane.client.json("GET", stage.path())
        assert found["spec"]["renewTime"] > found["metadata"]["creationTimestamp"]
        requests = stage.requests()
        assert not evidence.lease_writes(requests, b.user, stage.lease)
        assert not a.said("no longer leading")
        a.signal(signal.SIGKILL)
        await stage.until_led_by("b")
    await stage.assert_one_writer()


@pytest.mark.asyncio
async def test_sigterm_hands_over_at_once_and_the_release_comes_last(stage: Stage) -> None:
    stage.settings += ['lease-duration = "10m"', 'renew-deadline = "5m"']
    a, b = stage.replica("a"), stage.replica("b")
    with a.running(), b.running():
        await _settled(stage, a, b)
        async with stage.trouble():
            a.signal(signal.SIGTERM)
            # No expiry can be what lets the other in: that would take ten minutes.
            print(f"handed over after {await stage.until_led_by('b'):.1f} s")
            await stage.until_it_writes(b, since=stage.control_plane.mark())
        await stage.until(lambda: a.ended() is not None, "a ends")
        assert a.ended() == 0
        assert [entry["msg"] for entry in a.said("Lease released")] == ["Lease released"]
    last = [r for r in stage.requests() if r.user == a.user and r.verb not in ("watch", "list")][-1]
    assert (last.verb, last.resource, last.code) == ("update", "leases", 200)
    await stage.assert_one_writer()
    spec = stage.control_plane.client.json("GET", stage.path())["spec"]
    assert spec["leaseTransitions"] == 1


@pytest.mark.asyncio
async def test_a_lease_deleted_by_hand_makes_no_second_leader(
    stage: Stage, pair: tuple[Replica, Replica]
) -> None:
    a, b = pair
    for _ in range(3):
        stage.control_plane.client.json("DELETE", stage.path())
        await stage.until_renewed(a, times=4)
    assert not evidence.lease_writes(stage.requests(), b.user, stage.lease)
    assert not a.said("no longer leading")
    await stage.assert_one_writer()


@pytest.mark.asyncio
@pytest.mark.parametrize("thief", ["nobody", "b"], ids=["a stranger", "the other replica"])
async def test_a_lease_stolen_by_hand_stops_its_leader_and_makes_no_other(
    stage: Stage, pair: tuple[Replica, Replica], thief: str
) -> None:
    a, b = pair
    identity = thief if thief == "nobody" else str(b.said("standing by")[0]["identity"])
    stage.steal(identity)
    await stage.until_said(a, "no longer leading")
    assert a.said("no longer leading")[0]["error"] == f"held by {identity}"
    await stage.until(lambda: b.said("leading") or a.said("leading")[1:], "somebody leads")
    await stage.until(lambda: stage.holder() in ("a", "b"), "it holds the Lease")
    await stage.assert_one_writer()


@pytest.mark.asyncio
async def test_of_two_that_start_together_one_leads(stage: Stage) -> None:
    a, b = stage.replica("a"), stage.replica("b")
    with a.running(), b.running():
        await stage.until(lambda: stage.holder() in ("a", "b"), "somebody leads")
        leader, other = (a, b) if stage.holder() == "a" else (b, a)
        await stage.until_said(other, "standing by")
        await stage.until_it_writes(leader, since=stage.began)
        assert not evidence.writes_of(stage.requests(), other.user)
    await stage.assert_one_writer()


@pytest.mark.asyncio
async def test_a_standby_takes_over_from_the_newest_revision_while_git_is_away(
    stage: Stage, pair: tuple[Replica, Replica]
) -> None:
    a, _ = pair
    commit = stage.commit("shop", more="newest")

    def has_it() -> bool:
        try:
            [mirror] = [path.parent for path in (stage.folder / "b").rglob("HEAD")]
            git("cat-file", "-e", commit, repository=mirror)
        except (RuntimeError, ValueError):
            return False
        return True

    await stage.until(has_it, "the standby's mirror has the newest commit")
    stage.git.path.rename(stage.git.path.with_suffix(".away"))
    a.signal(signal.SIGKILL)
    await stage.until_led_by("b")
    await stage.until(lambda: _uid(stage, "newest"), "newest is there")
    old = _uid(stage, "newest")
    path = f"/api/v1/namespaces/{stage.namespace}/configmaps/newest"
    stage.control_plane.client.json("DELETE", path)
    await stage.until(lambda: _uid(stage, "newest") not in ("", old), "newest is there again")
    await stage.assert_one_writer()


def _uid(stage: Stage, name: str) -> str:
    """Return the UID of a ConfigMap, "" when it is not there."""
    path = f"/api/v1/namespaces/{stage.namespace}/configmaps/{name}"
    try:
        return str(stage.control_plane.client.json("GET", path)["metadata"]["uid"])
    except RequestError:
        return ""
