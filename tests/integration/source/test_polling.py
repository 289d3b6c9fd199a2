"""Polling a repository over each transport: file, https and ssh."""

from __future__ import annotations

import pytest

from agent.source.errors import ReferenceNotFound
from agent.source.fetcher import Fetcher
from agent.source.snapshot import Revision, Snapshot, Trust
from tests.gitservers.upstream import COMMITTED_AT
from tests.integration.source.conftest import Remote, Track

pytestmark = [pytest.mark.integration, pytest.mark.asyncio]


def _paths(snapshot: Snapshot) -> list[str]:
    return [file.path for file in snapshot.files]


async def test_the_first_poll_fetches_the_manifest_files_and_nothing_else(
    remote: Remote, track: Track
) -> None:
    commit = remote.upstream.commit(
        {
            "deploy/app.yaml": "kind: A",
            "deploy/nested/deep/b.json": "{}",
            "deploy/README.md": "no",
            "deployment/other.yaml": "no",
            "top.yaml": "no",
        },
        links={"deploy/link.yaml": "../../../etc/passwd", "deploy/folder": "../deployment"},
        modules={"deploy/module": "1" * 40},
        message="First\n\nand why",
    )
    source = track(remote)
    snapshot = await source.poll()
    assert snapshot.error is None
    assert snapshot.trust is Trust.NEW
    assert snapshot.revision == Revision(
        commit, "refs/heads/main", COMMITTED_AT, "Ada <ada@example.org>", "First"
    )
    assert _paths(snapshot) == ["deploy/app.yaml", "deploy/nested/deep/b.json"]
    contents = await source.read(snapshot.files)
    assert [contents[file.blob_id] for file in snapshot.files] == [b"kind: A", b"{}"]
    assert [file.size for file in snapshot.files] == [7, 2]


async def test_an_unchanged_poll_lists_refs_and_fetches_nothing(
    remote: Remote, track: Track
) -> None:
    remote.upstream.commit({"deploy/a.yaml": "1"})
    source = track(remote)
    first = await source.poll()
    fetches = remote.fetches()
    second = await source.poll()
    assert second.trust is Trust.UNCHANGED
    assert (second.revision, second.tree_id, second.files) == (
        first.revision, first.tree_id, first.files
    )  # fmt: skip
    assert first.checked_at is not None
    assert second.checked_at is not None
    assert second.checked_at > first.checked_at
    assert remote.fetches() == fetches


async def test_a_new_commit_is_followed(remote: Remote, track: Track) -> None:
    remote.upstream.commit({"deploy/a.yaml": "1", "deploy/b.yaml": "1"})
    source = track(remote)
    first = await source.poll()
    commit = remote.upstream.commit({"deploy/a.yaml": "2"}, remove=("deploy/b.yaml",))
    second = await source.poll()
    assert second.trust is Trust.NEW
    assert second.revision is not None
    assert second.revision.commit == commit
    assert second.tree_id != first.tree_id
    assert list((await source.read(second.files)).values()) == [b"2"]


async def test_a_commit_elsewhere_leaves_the_tree_id_as_it_is(remote: Remote, track: Track) -> None:
    remote.upstream.commit({"deploy/a.yaml": "1"})
    source = track(remote)
    first = await source.poll()
    remote.upstream.commit({"docs/a.md": "2"})
    second = await source.poll()
    assert second.trust is Trust.NEW
    assert (second.tree_id, second.files) == (first.tree_id, first.files)


async def test_a_force_push_is_followed(remote: Remote, track: Track) -> None:
    old = remote.upstream.commit({"deploy/a.yaml": "1"})
    remote.upstream.commit({"deploy/a.yaml": "2"})
    source = track(remote)
    await source.poll()
    unrelated = remote.upstream.commit({"deploy/z.yaml": "3"}, orphan=True)
    forced = await source.poll()
    assert forced.revision is not None
    assert forced.revision.commit == unrelated
    assert _paths(forced) == ["deploy/z.yaml"]
    remote.upstream.set_branch("main", old)
    back = await source.poll()
    assert back.trust is Trust.NEW
    assert back.revision is not None
    assert back.revision.commit == old


async def test_a_deleted_branch_keeps_the_files_but_may_not_prune(
    remote: Remote, track: Track
) -> None:
    commit = remote.upstream.commit({"deploy/a.yaml": "1"})
    remote.upstream.set_branch("feature", commit)
    source = track(remote, reference="feature")
    first = await source.poll()
    remote.upstream.delete_branch("feature")
    gone = await source.poll()
    assert gone.trust is Trust.STALE
    assert not gone.may_prune
    assert isinstance(gone.error, ReferenceNotFound)
    assert "'feature'" in str(gone.error)
    assert (gone.revision, gone.files) == (first.revision, first.files)
    assert await source.read(gone.files)


async def test_a_restart_reuses_the_mirror_without_fetching(remote: Remote, track: Track) -> None:
    remote.upstream.commit({"deploy/a.yaml": "1"})
    before = await track(remote).poll()
    fetches = remote.fetches()
    restarted = track(remote)
    after = await restarted.poll()
    assert after.trust is Trust.UNCHANGED
    assert (after.revision, after.files) == (before.revision, before.files)
    assert list((await restarted.read(after.files)).values()) == [b"1"]
    assert remote.fetches() == fetches


async def test_tracks_of_one_url_share_a_mirror_and_what_it_fetched(
    https: Remote, track: Track, fetcher: Fetcher
) -> None:
    https.upstream.commit({"deploy/a.yaml": "1", "other/b.yaml": "1"})
    first = await track(https).poll()
    fetches = https.fetches()
    second = await track(https, sub_path="other").poll()
    assert second.trust is Trust.NEW
    assert _paths(first) == ["deploy/a.yaml"]
    assert _paths(second) == ["other/b.yaml"]
    assert https.fetches() == fetches


async def test_a_shallow_mirror_does_not_fetch_the_history(https: Remote, track: Track) -> None:
    for number in range(5):
        https.upstream.commit({"deploy/a.yaml": "x" * 1000 + str(number)})
    source = track(https)
    snapshot = await source.poll()
    assert snapshot.revision is not None
    shallow = next(source._mirror.path.glob("shallow")).read_text().split()
    assert shallow == [snapshot.revision.commit]


async def test_many_fetches_do_not_make_many_packs(
    remote: Remote, track: Track, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.source.git._PACK_LIMIT", 2)
    kept = remote.upstream.commit({"deploy/a.yaml": "kept"})
    remote.upstream.set_branch("other", kept)
    source, other = track(remote), track(remote, reference="other")
    pinned = await other.poll()
    for number in range(6):
        remote.upstream.commit({"deploy/a.yaml": f"{number}"})
        snapshot = await source.poll()
        assert snapshot.trust is Trust.NEW, snapshot.error
        assert list((await source.read(snapshot.files)).values()) == [str(number).encode()]
    assert len(list(source._mirror.path.rglob("*.pack"))) <= 3
    assert list((await other.read(pinned.files)).values()) == [b"kept"]
    assert (await other.poll()).trust is Trust.UNCHANGED
    assert await source._mirror.is_sound()
