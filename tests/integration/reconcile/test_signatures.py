"""Only what is signed reaches the cluster, and the status says who signed it."""

from __future__ import annotations

import pytest

from tests.gitservers.signing import SshKey, sign_commit
from tests.integration.reconcile.conftest import World
from tests.integration.reconcile.manifests import config_map

pytestmark = pytest.mark.asyncio


async def test_what_nobody_trusted_has_signed_neither_changes_nor_prunes_anything(
    world: World,
) -> None:
    ada = SshKey.make(world.folder / "ada")
    world.track = [f'verify = {{ keys = "{ada.path}.pub" }}']
    world.commit({"a.yaml": config_map("a", x="1"), "b.yaml": config_map("b", x="1")})
    good = sign_commit(world.git, ada)
    status = await world.once()
    assert status.ready
    assert status.verified == f"SSH {ada.fingerprint} by ada@example.org"

    world.commit({"a.yaml": config_map("a", x="2")}, remove=("b.yaml",))
    await world.do("delete", "configmap", "a")
    status = await world.once()
    assert not status.ready
    assert (status.commit, status.source, status.in_sync) == (good, "stale", 2)
    [fetched, *_] = status.conditions
    assert (fetched.type, fetched.status) == ("FilesFetched", "False")
    assert fetched.reason == "ErrorFetchingFiles"
    assert f"commit {world.git.head()[:12]} is refused: it is not signed" in fetched.message
    a, b = await world.get("configmap", "a"), await world.get("configmap", "b")
    assert a is not None, "drift is repaired from the last good revision"
    assert a["data"] == {"x": "1"}
    assert b is not None

    sign_commit(world.git, ada)
    status = await world.once()
    assert status.ready
    a, b = await world.get("configmap", "a"), await world.get("configmap", "b")
    assert a is not None
    assert a["data"] == {"x": "2"}
    assert b is None
