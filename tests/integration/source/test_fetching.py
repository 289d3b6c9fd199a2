"""What somebody does to the repository between two polls, over each transport."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from agent.source.errors import PathNotFound, ReferenceNotFound
from agent.source.git import GitSource
from agent.source.snapshot import Snapshot, Trust
from tests.gitservers.upstream import git
from tests.integration.source.conftest import Remote, Track

pytestmark = [pytest.mark.integration, pytest.mark.asyncio]


def _paths(snapshot: Snapshot) -> list[str]:
    return [file.path for file in snapshot.files]


def _commit(snapshot: Snapshot) -> str:
    assert snapshot.error is None
    assert snapshot.revision is not None
    return snapshot.revision.commit


async def _bodies(source: GitSource, snapshot: Snapshot) -> list[bytes]:
    contents = await source.read(snapshot.files)
    return [contents[file.blob_id] for file in snapshot.files]


async def test_a_branch_that_is_deleted_and_made_again_is_followed_again(
    remote: Remote, track: Track
) -> None:
    remote.upstream.commit({"README": "1"})
    first = remote.upstream.commit({"deploy/a.yaml": "1"}, branch="feature")
    source = track(remote, reference="feature")
    assert _commit(await source.poll()) == first
    remote.upstream.delete_branch("feature")
    for _ in range(2):
        gone = await source.poll()
        assert (gone.trust, _paths(gone)) == (Trust.STALE, ["deploy/a.yaml"])
        assert isinstance(gone.error, ReferenceNotFound)
    assert (await track(remote, reference="feature").poll()).trust is Trust.STALE
    remote.upstream.set_branch("feature", first)
    assert (await source.poll()).trust is Trust.UNCHANGED
    again = remote.upstream.commit({"deploy/b.yaml": "2"}, branch="feature", orphan=True)
    back = await source.poll()
    assert (back.trust, _commit(back), _paths(back)) == (Trust.NEW, again, ["deploy/b.yaml"])


async def test_rewritten_history_is_followed_to_its_new_tip(remote: Remote, track: Track) -> None:
    remote.upstream.commit({"deploy/a.yaml": "1"})
    remote.upstream.commit({"deploy/a.yaml": "2", "deploy/secret.yaml": "oops"})
    source = track(remote)
    await source.poll()
    remote.upstream.commit({"deploy/a.yaml": "1"}, orphan=True)
    rewritten = remote.upstream.commit({"deploy/a.yaml": "2"})
    snapshot = await source.poll()
    assert (snapshot.trust, _commit(snapshot)) == (Trust.NEW, rewritten)
    assert _paths(snapshot) == ["deploy/a.yaml"]
    assert await _bodies(source, snapshot) == [b"2"]


@pytest.mark.parametrize("same_commit", [True, False], ids=["renamed", "renamed and moved on"])
async def test_a_renamed_default_branch_is_followed(
    remote: Remote, track: Track, same_commit: bool
) -> None:
    commit = remote.upstream.commit({"deploy/a.yaml": "1"})
    source = track(remote, reference="")
    assert (await source.poll()).revision is not None
    remote.upstream.set_branch("trunk", commit)
    git("symbolic-ref", "HEAD", "refs/heads/trunk", repository=remote.upstream.path)
    remote.upstream.delete_branch("main")
    if not same_commit:
        commit = remote.upstream.commit({"deploy/a.yaml": "2"}, branch="trunk")
    fetches = remote.fetches()
    snapshot = await source.poll()
    assert _commit(snapshot) == commit
    assert snapshot.revision is not None
    assert snapshot.revision.reference == "refs/heads/trunk"
    assert not same_commit or remote.fetches() == fetches


@pytest.mark.parametrize("sub_path", ["", "deploy"])
async def test_a_commit_that_deletes_all_files_is_empty_and_may_not_prune(
    remote: Remote, track: Track, sub_path: str
) -> None:
    remote.upstream.commit({"deploy/a.yaml": "1"})
    source = track(remote, sub_path=sub_path)
    await source.poll()
    remote.upstream.commit({}, remove=("deploy",))
    emptied = await source.poll()
    assert (emptied.trust, emptied.files) == (Trust.EMPTY, ())
    assert isinstance(emptied.error, PathNotFound)
    assert not emptied.may_prune
    filled = remote.upstream.commit({"deploy/b.yaml": "2"})
    assert _commit(await source.poll()) == filled


async def test_a_repository_that_loses_all_refs_keeps_the_last_good_revision(
    remote: Remote, track: Track
) -> None:
    remote.upstream.commit({"deploy/a.yaml": "1"})
    for reference in ("main", ""):
        source = track(remote, reference=reference)
        await source.poll()
        head = remote.upstream.head()
        remote.upstream.delete_branch("main")
        gone = await source.poll()
        assert (gone.trust, _paths(gone)) == (Trust.STALE, ["deploy/a.yaml"])
        assert isinstance(gone.error, ReferenceNotFound)
        assert await _bodies(source, gone) == [b"1"]
        remote.upstream.set_branch("main", head)
        assert (await source.poll()).trust is Trust.UNCHANGED


async def test_a_folder_that_becomes_a_file_and_a_folder_again_is_followed(
    remote: Remote, track: Track
) -> None:
    remote.upstream.commit({"deploy.yaml/a.yaml": "folder"})
    source = track(remote, sub_path="deploy.yaml")
    assert _paths(await source.poll()) == ["deploy.yaml/a.yaml"]
    remote.upstream.commit({"deploy.yaml": "file"}, remove=("deploy.yaml",))
    snapshot = await source.poll()
    assert (snapshot.trust, _paths(snapshot)) == (Trust.NEW, ["deploy.yaml"])
    assert await _bodies(source, snapshot) == [b"file"]
    remote.upstream.commit({"deploy.yaml/b.yaml": "again"}, remove=("deploy.yaml",))
    snapshot = await source.poll()
    assert (snapshot.trust, _paths(snapshot)) == (Trust.NEW, ["deploy.yaml/b.yaml"])


async def test_a_folder_that_becomes_a_file_that_is_no_manifest_is_empty(
    remote: Remote, track: Track
) -> None:
    remote.upstream.commit({"deploy/a.yaml": "1"})
    source = track(remote)
    await source.poll()
    remote.upstream.commit({"deploy": "a note"}, remove=("deploy",))
    assert (await source.poll()).trust is Trust.EMPTY
    back = remote.upstream.commit({"deploy/a.yaml": "1"}, remove=("deploy",))
    assert _commit(await source.poll()) == back


async def test_a_commit_that_touches_one_file_brings_that_file_and_no_other(
    remote: Remote, track: Track
) -> None:
    noise = random.Random(1)  # incompressible, so that the bytes of packs mean something
    files = {f"deploy/{n:03}.yaml": f"{noise.getrandbits(8 * 4000):x}" for n in range(200)}
    remote.upstream.commit(files)
    source = track(remote)
    await source.poll()
    objects, packs = _objects(source), _packs(source)
    remote.upstream.commit({"deploy/007.yaml": "changed"})
    snapshot = await source.poll()
    assert snapshot.trust is Trust.NEW
    assert len(_objects(source) - objects) == 4, "a commit, two trees and a blob"
    brought = sum(size for path, size in _packs(source).items() if path not in packs)
    assert 0 < brought < sum(packs.values()) / 100


def _objects(source: GitSource) -> set[str]:
    """Return the ids of the mirror's objects."""
    check = ("--batch-all-objects", "--batch-check=%(objectname)")
    return set(git("cat-file", *check, repository=source._mirror.path).split())


def _packs(source: GitSource) -> dict[Path, int]:
    """Return the mirror's packs with their sizes in bytes."""
    return {path: path.stat().st_size for path in source._mirror.path.rglob("*.pack")}
