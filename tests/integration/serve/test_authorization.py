"""Who may read the metrics is what the API server says: its tokens, its RBAC."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.kube.client import Client
from agent.serve.authorization import ALLOWED_FOR, REFUSED_FOR, REMEMBERED, Authorizer
from tests.controlplane.kubectl import Kubectl
from tests.controlplane.server import ControlPlane
from tests.eventually import eventually
from tests.integration.serve.conftest import MANIFEST, Door, Pair

pytestmark = [pytest.mark.asyncio, pytest.mark.integration]

PROTECTED = "metrics-authorization = true"


class Clock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def reader(
    control_plane: ControlPlane, kubectl: Kubectl, namespace: str, cleanup: Callable[..., None]
) -> str:
    """A token of a service account that may get /metrics, and not /status."""
    grant(kubectl, namespace, "reader")
    cleanup("clusterrole", f"{namespace}-reader")
    cleanup("clusterrolebinding", f"{namespace}-reader")
    return control_plane.service_account_token(namespace, "reader")


def grant(kubectl: Kubectl, namespace: str, account: str) -> None:
    name = f"{namespace}-{account}"
    rule = {"nonResourceURLs": ["/metrics"], "verbs": ["get"]}
    subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    group = "rbac.authorization.k8s.io"
    objects: list[dict[str, object]] = [
        {"kind": "ClusterRole", "rules": [rule]},
        {
            "kind": "ClusterRoleBinding",
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
            "subjects": [subject],
        },
    ]
    for obj in objects:
        whole = {"apiVersion": f"{group}/v1", "metadata": {"name": name}, **obj}
        kubectl("apply", "-f", "-", stdin=json.dumps(whole))


async def test_readers_are_judged_by_a_replica_that_leads_nothing_too(
    door: Door, tmp_path: Path, reader: str
) -> None:
    door.secure(Pair.make(tmp_path, "one"), PROTECTED)
    door.world.settings += ["[leader-election]", "enabled = true"]
    door.world.commit({"web.yaml": MANIFEST})
    async with door.world.running():
        assert (await door.metrics("/metrics", token=reader)).status == 200


async def test_a_reader_with_the_right_reads_and_nobody_else(
    door: Door, tmp_path: Path, reader: str, control_plane: ControlPlane
) -> None:
    door.secure(Pair.make(tmp_path, "one"), PROTECTED)
    door.world.commit({"web.yaml": MANIFEST})
    stranger = await asyncio.to_thread(
        control_plane.service_account_token, door.world.namespace, "stranger"
    )
    async with door.world.running():
        await eventually(door.is_ready, within=60)
        answers = {
            "reader": await door.metrics("/metrics", token=reader),
            "status": await door.metrics("/status", token=reader),
            "stranger": await door.metrics("/metrics", token=stranger),
            "forger": await door.metrics("/metrics", token=reader[:-4] + "AAAA"),
            "nobody": await door.metrics("/metrics"),
        }
        probe = await door.health("/healthz")
    statuses = {name: answer.status for name, answer in answers.items()}
    assert statuses == {
        "reader": 200,
        "status": 403,
        "stranger": 403,
        "forger": 401,
        "nobody": 401,
    }
    assert answers["nobody"].headers["WWW-Authenticate"] == "Bearer"
    assert all("lightkeeper_" not in a.text for n, a in answers.items() if n != "reader")
    assert probe.status == 200


async def test_without_the_right_to_ask_the_agent_refuses_all_and_says_why(
    door: Door, tmp_path: Path, reader: str, caplog: pytest.LogCaptureFixture
) -> None:
    door.secure(Pair.make(tmp_path, "one"), PROTECTED)
    door.world.kubeconfig = await asyncio.to_thread(door.world.control_plane.user, "powerless")
    async with door.world.running():
        answer = await eventually(lambda: door.metrics("/metrics", token=reader))
    assert answer.status == 503
    [line] = [r for r in caplog.records if "cannot be authorized" in r.message]
    said = str(line.__dict__["fields"])
    assert "cannot create resource" in said
    assert "system:auth-delegator" in said
    assert reader not in caplog.text + said


async def test_an_api_server_that_is_away_opens_nothing(
    client: Client, control_plane: ControlPlane, reader: str
) -> None:
    clock = Clock()
    authorizer = Authorizer(client, clock=clock)
    assert await authorizer.judge(f"Bearer {reader}", "/metrics") == 200
    await asyncio.to_thread(control_plane.kill_apiserver)
    try:
        known = await authorizer.judge(f"Bearer {reader}", "/metrics")
        unknown = await authorizer.judge("Bearer other", "/metrics")
        clock.now += ALLOWED_FOR
        expired = await authorizer.judge(f"Bearer {reader}", "/metrics")
    finally:
        await asyncio.to_thread(control_plane.restart_apiserver)
    assert (known, unknown, expired) == (200, 503, 503)
    assert await authorizer.judge(f"Bearer {reader}", "/metrics") == 200


async def test_a_verdict_is_asked_for_once_and_then_remembered_for_a_while(
    client: Client, control_plane: ControlPlane, reader: str
) -> None:
    clock = Clock()
    authorizer = Authorizer(client, clock=clock)

    async def asked(token: str) -> int:
        mark = control_plane.mark()
        await asyncio.gather(*(authorizer.judge(f"Bearer {token}", "/metrics") for _ in range(5)))
        asked = await asyncio.to_thread(control_plane.audit, mark, user_agent="lightkeeper/")
        return sum(1 for request in asked if request.resource == "tokenreviews")

    assert [await asked(reader), await asked(reader)] == [1, 0]
    assert [await asked("wrong"), await asked("wrong")] == [1, 0]
    clock.now += REFUSED_FOR
    assert [await asked("wrong"), await asked(reader)] == [1, 0]
    clock.now += ALLOWED_FOR - REFUSED_FOR
    assert await asked(reader) == 1


async def test_a_right_that_was_taken_away_ends_with_the_memory_of_it(
    client: Client, kubectl: Kubectl, namespace: str, reader: str
) -> None:
    clock = Clock()
    authorizer = Authorizer(client, clock=clock)
    assert await authorizer.judge(f"Bearer {reader}", "/metrics") == 200
    await asyncio.to_thread(kubectl, "delete", "clusterrolebinding", f"{namespace}-reader")

    async def refused() -> bool:
        clock.now += ALLOWED_FOR
        return await authorizer.judge(f"Bearer {reader}", "/metrics") == 403

    await eventually(refused, within=30)


async def test_what_is_remembered_is_bounded(client: Client) -> None:
    authorizer = Authorizer(client)
    for number in range(0, REMEMBERED + 20, 50):
        tokens = [f"Bearer wrong-{number + offset}" for offset in range(50)]
        await asyncio.gather(*(authorizer.judge(token, "/metrics") for token in tokens))
    assert authorizer.remembered == REMEMBERED


@pytest.mark.parametrize(
    "header",
    ["", "Basic dXNlcjpwYXNz", "Bearer", "Bearer  ", "Bearer " + "x" * 20_000],
    ids=["none", "basic", "no token", "blank", "far too long"],
)
async def test_what_is_no_token_is_refused_without_asking(
    client: Client, control_plane: ControlPlane, header: str
) -> None:
    mark = control_plane.mark()
    assert await Authorizer(client).judge(header, "/metrics") == 401
    assert not control_plane.audit(mark, user_agent="lightkeeper/")
