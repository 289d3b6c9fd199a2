"""Which commit a reference leads to, and what is said when it leads nowhere."""

from __future__ import annotations

import os
from shutil import rmtree

import pytest

from agent.source.errors import PathNotFound, ReferenceNotFound, UnsupportedRepository
from agent.source.git import GitSource
from agent.source.snapshot import Trust
from tests.gitservers.upstream import git
from tests.integration.source.conftest import Remote, Track

pytestmark = [pytest.mark.integration, pytest.mark.asyncio]


async def _commit_and_reference(source: GitSource) -> tuple[str, str]:
    snapshot = await source.poll()
    assert snapshot.error is None
    assert snapshot.revision is not None
    return snapshot.revision.commit, snapshot.revision.reference


async def test_a_tag_beats_a_branch_of_the_same_name(remote: Remote, track: Track) -> None:
    tagged = remote.upstream.commit({"deploy/a.yaml": "tag"})
    branched = remote.upstream.commit({"deploy/a.yaml": "branch"})
    remote.upstream.set_branch("v1", branched)
    remote.upstream.tag("v1", tagged)
    assert await _commit_and_reference(track(remote, reference="v1")) == (tagged, "refs/tags/v1")


async def test_an_annotated_tag_is_peeled(remote: Remote, track: Track) -> None:
    tagged = remote.upstream.commit({"deploy/a.yaml": "1"})
    remote.upstream.commit({"deploy/a.yaml": "2"})
    remote.upstream.tag("v1", tagged, annotated=True)
    source = track(remote, reference="v1")
    assert await _commit_and_reference(source) == (tagged, "refs/tags/v1")
    fetches = remote.fetches()
    assert (await source.poll()).trust is Trust.UNCHANGED
    assert (await track(remote, reference="v1").poll()).trust is Trust.UNCHANGED
    assert remote.fetches() == fetches


async def test_a_tag_of_a_tag_is_peeled_to_the_commit(remote: Remote, track: Track) -> None:
    tagged = remote.upstream.commit({"deploy/a.yaml": "1"})
    remote.upstream.commit({"deploy/a.yaml": "2"})
    remote.upstream.tag("inner", tagged, annotated=True)
    remote.upstream.tag("outer", "refs/tags/inner", annotated=True)
    source = track(remote, reference="outer")
    assert await _commit_and_reference(source) == (tagged, "refs/tags/outer")
    assert (await source.poll()).trust is Trust.UNCHANGED


@pytest.mark.parametrize(
    "reference", ["topic/x", "refs/heads/topic/x", "heads/topic/x", "origin/topic/x"]
)
async def test_a_branch_goes_by_each_of_its_names(
    remote: Remote, track: Track, reference: str
) -> None:
    commit = remote.upstream.commit({"deploy/a.yaml": "1"}, branch="topic/x")
    source = track(remote, reference=reference)
    assert await _commit_and_reference(source) == (commit, "refs/heads/topic/x")


@pytest.mark.parametrize("annotated", [False, True], ids=["light", "annotated"])
async def test_a_moved_tag_is_followed(remote: Remote, track: Track, annotated: bool) -> None:
    first = remote.upstream.commit({"deploy/a.yaml": "1"})
    second = remote.upstream.commit({"deploy/a.yaml": "2"})
    remote.upstream.tag("stable", first, annotated=annotated)
    source = track(remote, reference="stable")
    assert (await _commit_and_reference(source))[0] == first
    remote.upstream.tag("stable", second, annotated=annotated)
    assert (await _commit_and_reference(source))[0] == second


async def test_a_full_id_pins_a_commit(remote: Remote, track: Track) -> None:
    pinned = remote.upstream.commit({"deploy/a.yaml": "1"})
    remote.upstream.commit({"deploy/a.yaml": "2"})
    source = track(remote, reference=pinned)
    assert await _commit_and_reference(source) == (pinned, pinned)
    assert (await source.poll()).trust is Trust.UNCHANGED


async def test_who_names_a_branch_and_a_tag_like_a_pinned_commit_does_not_move_it(
    remote: Remote, track: Track
) -> None:
    pinned = remote.upstream.commit({"deploy/a.yaml": "1"})
    other = remote.upstream.commit({"deploy/a.yaml": "2"}, branch="other")
    for ref in (f"refs/heads/{pinned}", f"refs/tags/{pinned}"):
        git("update-ref", ref, other, repository=remote.upstream.path)
    source = track(remote, reference=pinned)
    assert await _commit_and_reference(source) == (pinned, pinned)
    remote.upstream.commit({"deploy/a.yaml": "3"})
    assert await _commit_and_reference(source) == (pinned, pinned)


async def test_nor_does_it_where_only_the_id_leads_to_the_commit(
    remote: Remote, track: Track
) -> None:
    pinned = remote.upstream.commit({"deploy/a.yaml": "1"})
    other = remote.upstream.commit({"deploy/a.yaml": "2"})
    git("update-ref", f"refs/heads/{pinned}", other, repository=remote.upstream.path)
    # libgit2 takes the id for the branch's name; what that brings is not taken.
    snapshot = await track(remote, reference=pinned).poll()
    assert isinstance(snapshot.error, ReferenceNotFound)
    assert "or there is a branch or tag of that name" in str(snapshot.error)
    assert snapshot.revision is None


@pytest.mark.parametrize("transport", ["https", "ssh"])
async def test_a_server_that_refuses_ids_still_gives_a_tip_and_a_hint_for_the_rest(
    request: pytest.FixtureRequest, track: Track, transport: str
) -> None:
    remote: Remote = request.getfixturevalue(transport)
    git("config", "uploadpack.allowReachableSHA1InWant", "false", repository=remote.upstream.path)
    old = remote.upstream.commit({"deploy/a.yaml": "1"})
    tip = remote.upstream.commit({"deploy/a.yaml": "2"})
    assert await _commit_and_reference(track(remote, reference=tip)) == (tip, tip)
    refused = await track(remote, reference=old).poll()
    assert refused.trust is Trust.UNREADABLE
    assert isinstance(refused.error, ReferenceNotFound)
    assert "track a branch or a tag instead" in str(refused.error)


async def test_an_id_the_server_never_had_is_not_found(remote: Remote, track: Track) -> None:
    remote.upstream.commit({"deploy/a.yaml": "1"})
    snapshot = await track(remote, reference="1" * 40).poll()
    assert isinstance(snapshot.error, ReferenceNotFound)


async def test_a_sha256_id_is_told_from_a_missing_one(remote: Remote, track: Track) -> None:
    remote.upstream.commit({"deploy/a.yaml": "1"})
    fetches = remote.fetches()
    snapshot = await track(remote, reference="A" * 64).poll()
    assert isinstance(snapshot.error, ReferenceNotFound)
    assert f"{'a' * 64} is a SHA-256 id, and this repository has SHA-1 ids" in str(snapshot.error)
    assert remote.fetches() == fetches


@pytest.mark.parametrize("named_by", ["branch", "head", "id"])
async def test_a_sha256_repository_is_refused_with_one_clear_error(
    remote: Remote, track: Track, named_by: str
) -> None:
    rmtree(remote.upstream.path)
    git("init", "--bare", "--object-format=sha256", "--initial-branch=main",
        str(remote.upstream.path), repository=remote.upstream.path)  # fmt: skip
    commit = remote.upstream.commit({"deploy/a.yaml": "1"})
    assert len(commit) == 64
    reference = {"branch": "main", "head": "", "id": commit}[named_by]
    snapshot = await track(remote, reference=reference).poll()
    assert snapshot.trust is Trust.UNREADABLE
    assert isinstance(snapshot.error, UnsupportedRepository)
    assert str(snapshot.error).endswith(
        ": SHA-256 repositories are not supported by this build; copy it into a SHA-1 repository "
        "(`git fast-export --all | git fast-import`) and track that"
    )


async def test_no_reference_means_the_remotes_head(remote: Remote, track: Track) -> None:
    remote.upstream.commit({"deploy/a.yaml": "main"})
    commit = remote.upstream.commit({"deploy/a.yaml": "trunk"}, branch="trunk")
    git("symbolic-ref", "HEAD", "refs/heads/trunk", repository=remote.upstream.path)
    assert await _commit_and_reference(track(remote, reference="")) == (commit, "refs/heads/trunk")


async def test_a_branch_whose_name_is_no_utf8_is_shown_somehow_and_hurts_nobody(
    remote: Remote, track: Track
) -> None:
    commit = remote.upstream.commit({"deploy/a.yaml": "1"})
    name = os.fsdecode(b"refs/heads/gr\xfcn")
    git("update-ref", name, commit, repository=remote.upstream.path)
    assert await _commit_and_reference(track(remote)) == (commit, "refs/heads/main")
    git("symbolic-ref", "HEAD", name, repository=remote.upstream.path)
    found = await _commit_and_reference(track(remote, reference=""))
    assert found == (commit, "refs/heads/gr\\xfcn")


async def test_any_ref_may_be_named_exactly(remote: Remote, track: Track) -> None:
    commit = remote.upstream.commit({"deploy/a.yaml": "1"}, branch="topic")
    git("update-ref", "refs/pull/7/head", commit, repository=remote.upstream.path)
    source = track(remote, reference="refs/pull/7/head")
    assert await _commit_and_reference(source) == (commit, "refs/pull/7/head")


@pytest.mark.parametrize("reference", ["nope", "main~1", "refs/heads/nope", "abcdef1"])
async def test_a_reference_that_does_not_exist_is_said(
    local: Remote, track: Track, reference: str
) -> None:
    local.upstream.commit({"deploy/a.yaml": "1"})
    snapshot = await track(local, reference=reference).poll()
    assert snapshot.trust is Trust.UNREADABLE
    assert isinstance(snapshot.error, ReferenceNotFound)
    assert repr(reference) in str(snapshot.error)


async def test_a_range_follows_the_highest_tag_in_it(remote: Remote, track: Track) -> None:
    first = remote.upstream.commit({"deploy/a.yaml": "1"})
    second = remote.upstream.commit({"deploy/a.yaml": "2"})
    remote.upstream.tag("v1.2.0", first)
    remote.upstream.tag("v1.10.0", second, annotated=True)
    remote.upstream.tag("v2.0.0", remote.upstream.commit({"deploy/a.yaml": "3"}))
    source = track(remote, reference="semver: >=1.2 <2")
    assert await _commit_and_reference(source) == (second, "refs/tags/v1.10.0")
    fetches = remote.fetches()
    assert (await source.poll()).trust is Trust.UNCHANGED
    assert remote.fetches() == fetches
    third = remote.upstream.commit({"deploy/a.yaml": "4"})
    remote.upstream.tag("v1.11.0", third)
    assert await _commit_and_reference(source) == (third, "refs/tags/v1.11.0")
    remote.upstream.tag("v1.12.0", third)
    fetches = remote.fetches()
    assert await _commit_and_reference(source) == (third, "refs/tags/v1.12.0")
    assert remote.fetches() == fetches, "the same commit under another tag is not fetched again"


async def test_a_range_without_a_tag_keeps_the_last_good_revision_and_says_what_there_is(
    remote: Remote, track: Track
) -> None:
    commit = remote.upstream.commit({"deploy/a.yaml": "1"})
    remote.upstream.tag("v1.2.0", commit)
    source = track(remote, reference="semver:~1.2")
    await _commit_and_reference(source)
    remote.upstream.tag("v2.0.0", commit)
    git("tag", "--delete", "v1.2.0", repository=remote.upstream.path)
    snapshot = await source.poll()
    assert snapshot.trust is Trust.STALE
    assert isinstance(snapshot.error, ReferenceNotFound)
    assert (
        "no tag is in the range 'semver:~1.2': the highest version of 1 tags is v2.0.0"
        in str(snapshot.error)
    )  # fmt: skip


async def test_an_empty_repository_is_said(remote: Remote, track: Track) -> None:
    snapshot = await track(remote, reference="").poll()
    assert isinstance(snapshot.error, ReferenceNotFound)
    assert "no HEAD" in str(snapshot.error)


@pytest.mark.parametrize("annotated", [False, True], ids=["light", "annotated"])
@pytest.mark.parametrize("target", ["main:deploy/a.yaml", "main:deploy"], ids=["blob", "tree"])
async def test_a_tag_on_something_without_files_is_said(
    remote: Remote, track: Track, target: str, annotated: bool
) -> None:
    remote.upstream.commit({"deploy/a.yaml": "1"})
    found = git("rev-parse", target, repository=remote.upstream.path)
    remote.upstream.tag("odd", found, annotated=annotated)
    snapshot = await track(remote, reference="odd").poll()
    assert isinstance(snapshot.error, ReferenceNotFound)
    assert "not a commit" in str(snapshot.error)


@pytest.mark.parametrize(
    "sub_path",
    ["nope", "deploy/b.yaml", "deploy/a.yaml/x", "link", "link/a.yaml", "docs", "module"],
)
async def test_a_sub_path_without_manifests_is_empty_and_may_not_prune(
    remote: Remote, track: Track, sub_path: str
) -> None:
    remote.upstream.commit(
        {"deploy/a.yaml": "1", "docs/a.md": "1"},
        links={"link": "deploy"},
        modules={"module": "1" * 40},
    )
    source = track(remote, sub_path=sub_path)
    snapshot = await source.poll()
    assert snapshot.trust is Trust.EMPTY
    assert not snapshot.may_prune
    assert snapshot.files == ()
    assert isinstance(snapshot.error, PathNotFound)
    assert f"no files for sub-path {sub_path!r}" in str(snapshot.error)
    fetches = remote.fetches()
    assert (await source.poll()).trust is Trust.EMPTY
    assert remote.fetches() == fetches


@pytest.mark.parametrize(
    ("sub_path", "paths"),
    [
        ("", ["deploy/a.yaml", "deploy/b/c.json", "deploy-old/d.yml"]),
        ("/deploy/", ["deploy/a.yaml", "deploy/b/c.json"]),
        ("deploy/a.yaml", ["deploy/a.yaml"]),
    ],
)
async def test_a_sub_path_takes_whole_folders_or_one_file(
    local: Remote, track: Track, sub_path: str, paths: list[str]
) -> None:
    files = ("deploy/a.yaml", "deploy/b/c.json", "deploy-old/d.yml", "deploy/.ci/e.yaml", "f.txt")
    local.upstream.commit(dict.fromkeys(files, "1"))
    snapshot = await track(local, sub_path=sub_path).poll()
    assert sorted(file.path for file in snapshot.files) == sorted(paths)


async def test_a_sub_path_that_vanishes_keeps_the_last_good_revision_on_disk(
    remote: Remote, track: Track
) -> None:
    good = remote.upstream.commit({"deploy/a.yaml": "1"})
    source = track(remote)
    await source.poll()
    remote.upstream.commit({"moved/a.yaml": "1"}, remove=("deploy/a.yaml",))
    assert (await source.poll()).trust is Trust.EMPTY
    kept = await track(remote).last_good()
    assert kept is not None
    assert kept.revision is not None
    assert kept.revision.commit == good
    remote.upstream.commit({"deploy/b.yaml": "1"})
    assert (await source.poll()).trust is Trust.NEW
