"""Rotation: when a Secret is asked for, and that a new one works without a restart."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.reconcile.reports.status import FETCHED
from agent.source.git import GitSource
from agent.source.snapshot import Trust
from tests.acceptance.evidence import condition
from tests.controlplane.audit import Request
from tests.controlplane.server import ControlPlane
from tests.eventually import eventually
from tests.gitservers.https import HttpsServer
from tests.gitservers.sshd import SshServer, generate_key
from tests.gitservers.upstream import Upstream
from tests.integration.credentials.conftest import MakeSource
from tests.integration.credentials.kinds import PASSWORD, USER, PutSecret
from tests.integration.reconcile.conftest import World
from tests.integration.reconcile.manifests import config_map

pytestmark = pytest.mark.asyncio

SECRET = 'deploy-key = { secret-name = "git", key = "login", type = "HTTPBasicAuth" }'


def login(password: str = PASSWORD) -> dict[str, bytes]:
    return {"login": f"{USER}:{password}".encode()}


def looks(plane: ControlPlane, since: int) -> list[Request]:
    """Return the agent's requests for Secrets since a mark."""
    return [r for r in plane.audit(since, user_agent="lightkeeper/") if r.resource == "secrets"]


@dataclass
class Shop:
    """A repository behind a password that is kept in a Secret."""

    git: Upstream
    server: HttpsServer
    source: GitSource
    put: Callable[[str], None]
    count: Callable[[], int]


@pytest.fixture
def shop(
    make_source: MakeSource,
    https_server: HttpsServer,
    put_secret: PutSecret,
    upstream: Upstream,
    control_plane: ControlPlane,
) -> Shop:
    upstream.commit({"a.yaml": "1"})
    put_secret("git", login())
    ca = f'ca = {{ file = "{https_server.authority.ca}" }}'
    source = make_source(f'repository = "{https_server.url(upstream.path)}"', SECRET, ca)
    mark = control_plane.mark()
    return Shop(
        upstream,
        https_server,
        source,
        put=lambda password: put_secret("git", login(password)),
        count=lambda: len(looks(control_plane, mark)),
    )


async def test_an_idle_poll_asks_for_no_secret_and_a_fetch_for_one(shop: Shop) -> None:
    for _ in range(4):
        assert (await shop.source.poll()).error is None
    assert shop.count() == 1
    shop.git.commit({"a.yaml": "2"})
    assert (await shop.source.poll()).trust is Trust.NEW
    assert shop.count() == 2


async def test_a_resync_asks_anew(shop: Shop) -> None:
    await shop.source.poll()
    await shop.source.poll(fresh=True)
    assert shop.count() == 2


async def test_after_a_failure_the_secret_is_asked_for_anew(shop: Shop) -> None:
    await shop.source.poll()
    shop.server.stop()
    assert (await shop.source.poll()).error is not None
    shop.server.start()
    assert (await shop.source.poll()).error is None
    assert shop.count() == 2
    await shop.source.poll()
    assert shop.count() == 2, "all is well again"


async def test_a_password_revoked_and_replaced_in_the_secret_fails_no_poll(shop: Shop) -> None:
    await shop.source.poll()
    shop.server.let_in({USER: "second"})
    shop.put("second")
    assert (await shop.source.poll()).trust is Trust.UNCHANGED
    shop.git.commit({"a.yaml": "2"})
    assert (await shop.source.poll()).trust is Trust.NEW


async def test_a_password_revoked_and_not_replaced_is_tried_once_a_poll(shop: Shop) -> None:
    await shop.source.poll()
    shop.server.let_in({USER: "second"})
    before = len(shop.server.requests(shop.git.path))
    assert "refused the user name or password" in str((await shop.source.poll()).error)
    assert len(shop.server.requests(shop.git.path)) == before + 1
    assert shop.count() == 2


async def test_a_new_ssh_key_in_the_file_is_used_at_the_next_poll(
    make_source: MakeSource, ssh_server: SshServer, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.commit({"a.yaml": "1"})
    key, hosts = tmp_path / "key", tmp_path / "hosts"
    key.write_bytes(ssh_server.client_key.read_bytes())
    hosts.write_text(ssh_server.known_hosts)
    source = make_source(
        f'repository = "{ssh_server.url(upstream.path)}"',
        f'deploy-key = {{ file = "{key}" }}',
        f'known-hosts = {{ file = "{hosts}" }}',
    )
    assert (await source.poll()).trust is Trust.NEW
    new = generate_key(tmp_path / "new")
    ssh_server.authorize(new)
    try:
        assert "refused the SSH key" in str((await source.poll()).error)
        key.write_bytes(new.read_bytes())
        assert (await source.poll()).trust is Trust.UNCHANGED
    finally:
        ssh_server.authorize(ssh_server.client_key)


async def test_host_keys_replaced_in_the_secret_fail_no_poll(
    make_source: MakeSource,
    ssh_server: SshServer,
    upstream: Upstream,
    put_secret: PutSecret,
    tmp_path: Path,
) -> None:
    upstream.commit({"a.yaml": "1"})
    values = {"identity": ssh_server.client_key.read_bytes()}
    put_secret("git", values | {"known_hosts": ssh_server.known_hosts.encode()})
    source = make_source(
        f'repository = "{ssh_server.url(upstream.path)}"', 'deploy-key = { secret-name = "git" }'
    )
    assert (await source.poll()).trust is Trust.NEW
    ssh_server.renew_host_key()
    put_secret("git", values | {"known_hosts": ssh_server.known_hosts.encode()})
    assert (await source.poll()).trust is Trust.UNCHANGED


async def test_the_agent_at_rest_asks_for_no_secret(
    world: World, https_server: HttpsServer, served: Path, put_secret: PutSecret
) -> None:
    behind_a_password(world, https_server, served)
    put_secret("git", login())
    world.commit({"a.yaml": config_map("a", x="1")})

    def polls() -> int:
        return len(https_server.requests(world.git.path))

    async def in_sync() -> bool:
        return (await world.status()).get("inSync") == 1

    async with world.running():
        await eventually(in_sync)
        mark, seen = world.control_plane.mark(), polls()

        async def idle() -> bool:
            return polls() >= seen + 4

        await eventually(idle)
        assert looks(world.control_plane, mark) == []
        world.commit({"a.yaml": config_map("a", x="2")})

        async def applied() -> bool:
            live = await world.get("configmap", "a")
            return bool(live and live["data"] == {"x": "2"})

        await eventually(applied)
        found = looks(world.control_plane, mark)
    assert [(r.verb, r.name, r.code) for r in found] == [("get", "git", 200)]


REFUSED = {
    "no such Secret": ({}, True, 'failed to look up secret NS/git: secrets "git" not found (404'),
    "no right": (login(), False, 'failed to look up secret NS/git: secrets "git" is forbidden: '),
    "no such key": (
        {"other": b"hunter2"},
        True,
        "invalid deploy key reference. Secret git does not have key login; it has other",
    ),
    "no colon": (
        {"login": b"hunter2"},
        True,
        "you must specify the secret as <username>:<password> for credential type HTTPBasicAuth "
        "(Secret NS/git, key login)",
    ),
}


@pytest.mark.parametrize(("values", "allowed", "reason"), REFUSED.values(), ids=REFUSED)
async def test_a_secret_that_is_no_use_is_said_in_the_status(
    world: World,
    https_server: HttpsServer,
    put_secret: PutSecret,
    values: dict[str, bytes],
    allowed: bool,
    reason: str,
) -> None:
    await restrict(world, may_get_the_secret=allowed)
    world.repository = f"https://127.0.0.1:{https_server.port}/app.git"
    world.track += [f'scope = "{world.namespace}"', SECRET]
    if values:
        put_secret("git", values)
    message = condition(await world.once(), FETCHED).message
    expected = f"{world.repository}: unable to retrieve git credentials from secret: {reason}"
    assert message.startswith(expected.replace("NS", world.namespace))
    assert "hunter2" not in message
    assert ("the right to get Secret git" in message) is not allowed
    written = json.dumps(await world.status())
    assert "unable to retrieve git credentials from secret" in written


async def test_the_right_to_get_the_one_secret_is_enough(
    world: World, https_server: HttpsServer, served: Path, put_secret: PutSecret
) -> None:
    await restrict(world, may_get_the_secret=True)
    behind_a_password(world, https_server, served)
    put_secret("git", login())
    world.commit({"a.yaml": config_map("a")})
    status = await world.once()
    assert condition(status, FETCHED).status == "True", status.conditions


async def restrict(world: World, *, may_get_the_secret: bool) -> None:
    """Let the agent be a user with few rights, of all Secrets on the one at most."""
    user = f"user-{world.namespace}"
    world.kubeconfig = world.control_plane.user(user)
    one = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["git"], "verbs": ["get"]}
    verbs = ["get", "list", "watch", "create", "patch"]
    rules = [{"apiGroups": [""], "resources": ["configmaps", "events"], "verbs": verbs}]
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "agent"},
        "rules": [*rules, one] if may_get_the_secret else rules,
    }
    await world.do("apply", "-f", "-", stdin=json.dumps(role))
    await world.do("create", "rolebinding", "agent", "--role=agent", f"--user={user}")


def behind_a_password(world: World, server: HttpsServer, served: Path) -> None:
    """Put the world's repository behind https and a password out of the Secret ``git``."""
    world.git = Upstream(served / f"{world.namespace}.git")
    world.repository = server.url(world.git.path)
    ca = f'ca = {{ file = "{server.authority.ca}" }}'
    world.track += [f'scope = "{world.namespace}"', SECRET, ca]
