"""What is in a revision: ignore rules, submodules, symlinks, and a sub-path that leads nowhere."""

from __future__ import annotations

import resource

import pytest

from agent.source.errors import ContentsUndecided, PathNotFound
from agent.source.snapshot import Snapshot, Trust
from tests.gitservers.upstream import git
from tests.integration.source.conftest import Remote, Track
from tests.integration.source.processes import address_space, worker_pids

pytestmark = [pytest.mark.integration, pytest.mark.asyncio]


def _paths(snapshot: Snapshot) -> list[str]:
    assert snapshot.error is None
    return [file.path for file in snapshot.files]


def _empty_because(snapshot: Snapshot) -> str:
    assert snapshot.trust is Trust.EMPTY
    assert isinstance(snapshot.error, PathNotFound)
    return snapshot.error.reason.partition(": ")[2]


async def test_each_sourceignore_holds_for_its_folder_and_the_configuration_wins(
    remote: Remote, track: Track
) -> None:
    remote.upstream.commit(
        {
            ".sourceignore": "*.json\n/deploy/old\n",
            "deploy/.sourceignore": "# kept all the same\n!keep.json\n/draft.yaml\n",
            "deploy/sub/.sourceignore": "x.yaml\n",
            "other/.sourceignore": "*\n",
            "deploy/a.yaml": "1",
            "deploy/draft.yaml": "1",
            "deploy/keep.json": "1",
            "deploy/old/b.yaml": "1",
            "deploy/other.json": "1",
            "deploy/sub/draft.yaml": "1",
            "deploy/sub/x.yaml": "1",
            "deploy/sub/y.yaml": "1",
            "deploy/z.yaml": "1",
        }
    )
    assert _paths(await track(remote).poll()) == [
        "deploy/a.yaml", "deploy/keep.json", "deploy/sub/draft.yaml", "deploy/sub/y.yaml",
        "deploy/z.yaml",
    ]  # fmt: skip
    configured = track(remote, ignore=("/deploy/z.yaml", "!x.yaml", "a.yaml"))
    assert _paths(await configured.poll()) == [
        "deploy/keep.json", "deploy/sub/draft.yaml", "deploy/sub/x.yaml", "deploy/sub/y.yaml",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sub_path", "ignore", "why"),
    [
        ("deploy", ("deploy",), "deploy is ignored"),
        ("deploy/sub", ("/deploy/",), "deploy is ignored"),
        ("deploy/a.yaml", ("*.yaml",), "deploy/a.yaml is ignored"),
        ("deploy", ("*.yaml",), "all that is there is ignored"),
        ("deploy", ("/deploy/*",), "all that is there is ignored"),
        ("docs", ("*.md",), ""),
        ("nope", ("*",), ""),
    ],
)
async def test_a_sub_path_of_which_all_is_ignored_says_so(
    local: Remote, track: Track, sub_path: str, ignore: tuple[str, ...], why: str
) -> None:
    local.upstream.commit({"deploy/a.yaml": "1", "deploy/sub/b.yaml": "1", "docs/a.md": "1"})
    assert _empty_because(await track(local, sub_path=sub_path, ignore=ignore).poll()) == why


@pytest.mark.parametrize(
    ("sub_path", "why"),
    [
        ("vendor/x", "vendor/x is a submodule, and submodules are not entered"),
        ("vendor/x/deploy", "vendor/x is a submodule, and submodules are not entered"),
        ("link", "link is a symlink, and symlinks are not followed"),
        ("link/a.yaml", "link is a symlink, and symlinks are not followed"),
    ],
)
async def test_a_sub_path_through_a_submodule_or_a_symlink_says_so(
    remote: Remote, track: Track, sub_path: str, why: str
) -> None:
    remote.upstream.commit(
        {"deploy/a.yaml": "1"}, links={"link": "deploy"}, modules={"vendor/x": "1" * 40}
    )
    assert _empty_because(await track(remote, sub_path=sub_path).poll()) == why


async def test_submodules_and_symlinks_to_manifests_are_noted_and_pruning_stays_on(
    remote: Remote, track: Track
) -> None:
    remote.upstream.commit(
        {"deploy/a.yaml": "1"},
        links={
            "deploy/b.yaml": "a.yaml",
            "deploy/folder": "../other",
            "deploy/README.md": "x",
            "deploy/.hidden.yaml": "x",
            "deploy/ignored.yaml": "x",
            "c.yaml": "x",
        },
        modules={
            "deploy/vendor/x": "1" * 40,
            "deploy/.hidden/y": "1" * 40,
            "deploy/ignored/z": "1" * 40,
            "elsewhere": "1" * 40,
        },
    )
    source = track(remote, ignore=("ignored/", "ignored.yaml"))
    snapshot = await source.poll()
    assert _paths(snapshot) == ["deploy/a.yaml"]
    assert snapshot.notes == (
        "symlink deploy/b.yaml is not followed",
        "submodule deploy/vendor/x is not entered",
    )
    assert snapshot.may_prune
    assert (await source.poll()).notes == snapshot.notes
    stale = await track(remote, ignore=("ignored/", "ignored.yaml")).last_good()
    assert stale is not None
    assert stale.notes == snapshot.notes


_UNREADABLE = {
    "not UTF-8": ({"deploy/.sourceignore": "\udcff"}, {}, "deploy/.sourceignore:1: not UTF-8"),
    "huge": ({".sourceignore": "a\n" * 140_000}, {}, ".sourceignore:1: 280000 bytes, more than"),
    "no pattern": ({".sourceignore": "a\n!\n"}, {}, ".sourceignore:2: not a gitignore pattern"),
    "a symlink": ({}, {"deploy/.sourceignore": "x"}, "deploy/.sourceignore:1: a symlink, and sym"),
}


@pytest.mark.parametrize(("files", "links", "said"), _UNREADABLE.values(), ids=_UNREADABLE)
async def test_rules_that_cannot_be_read_keep_the_last_good_revision(
    local: Remote, track: Track, files: dict[str, str], links: dict[str, str], said: str
) -> None:
    local.upstream.commit({"deploy/a.yaml": "1", "deploy/b.yaml": "1"})
    source = track(local)
    good = await source.poll()
    local.upstream.commit(files, links=links, remove=("deploy/b.yaml",))
    stale = await source.poll()
    assert stale.trust is Trust.STALE
    assert not stale.may_prune
    assert isinstance(stale.error, ContentsUndecided)
    assert said in str(stale.error)
    assert (stale.revision, stale.files) == (good.revision, good.files)
    assert (await track(local).poll()).trust is Trust.STALE, "a restart does not forget it"
    local.upstream.commit({}, remove=("deploy/.sourceignore", ".sourceignore"))
    assert _paths(await source.poll()) == ["deploy/a.yaml"]


async def test_a_tree_that_unfolds_without_end_keeps_the_last_good_revision(
    local: Remote, track: Track
) -> None:
    """Twelve folders in git, a million million files in the sub-path."""
    upstream = local.upstream
    upstream.commit({"deploy/a.yaml": "1"})
    source = track(local)
    good = await source.poll()
    first = git("rev-parse", "main:deploy", repository=upstream.path)
    tree = first
    for _ in range(12):
        listing = "".join(f"040000 tree {tree}\tfolder-{number}\n" for number in range(10))
        tree = git("mktree", repository=upstream.path, stdin=listing.encode())
    root = f"040000 tree {tree}\tdeploy\n040000 tree {first}\tsound\n"
    bomb = git("mktree", repository=upstream.path, stdin=root.encode())
    as_ada = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    commit = git(
        *as_ada, "commit-tree", "-m", "x", "-p", upstream.head(), bomb, repository=upstream.path
    )
    upstream.set_branch("main", commit)
    stale = await source.poll()
    assert stale.trust is Trust.STALE
    assert isinstance(stale.error, ContentsUndecided)
    assert "more than 200,000 files and folders; set sub-path" in str(stale.error)
    assert stale.files == good.files
    assert _paths(await track(local, sub_path="sound").poll()) == ["sound/a.yaml"]
    ignoring = track(local, ignore=("folder-*/",))
    assert _empty_because(await ignoring.poll()) == "all that is there is ignored"


async def test_folders_of_long_names_keep_the_last_good_revision(
    local: Remote, track: Track
) -> None:
    """Sixteen folders in git, some 65,000 files, two gigabytes of paths."""
    upstream = local.upstream
    upstream.commit({"deploy/a.yaml": "1"})
    source = track(local)
    good = await source.poll()
    tree = git("rev-parse", "main:deploy", repository=upstream.path)
    for _ in range(16):
        listing = "".join(f"040000 tree {tree}\t{letter * 2000}\n" for letter in "ab")
        tree = git("mktree", repository=upstream.path, stdin=listing.encode())
    bomb = git("mktree", repository=upstream.path, stdin=f"040000 tree {tree}\tdeploy\n".encode())
    as_ada = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    commit = git(
        *as_ada, "commit-tree", "-m", "x", "-p", upstream.head(), bomb, repository=upstream.path
    )
    upstream.set_branch("main", commit)
    stale = await source.poll()
    assert (stale.trust, stale.files) == (Trust.STALE, good.files)
    assert "all paths together are longer than 32 MiB; set sub-path" in str(stale.error)
    assert len(str(stale.error)) < 1000


async def test_a_file_of_any_size_costs_neither_the_others_nor_memory(
    local: Remote, track: Track
) -> None:
    size = 64 << 20
    local.upstream.commit({"deploy/a.yaml": "1", "deploy/data.yaml": "#" * size})
    source = track(local)
    await source.poll()
    (pid,) = worker_pids()
    limit = address_space(pid) + size
    resource.prlimit(pid, resource.RLIMIT_AS, (limit, limit))
    snapshot = await track(local).last_good()
    assert snapshot is not None
    assert {f.path: f.size for f in snapshot.files} == {
        "deploy/a.yaml": 1,
        "deploy/data.yaml": size,
    }
    assert await source.read(snapshot.files[:1]) == {snapshot.files[0].blob_id: b"1"}
    assert worker_pids() == [pid]


async def test_rules_that_cannot_be_read_and_do_not_apply_are_nobodys_business(
    local: Remote, track: Track
) -> None:
    bad = dict.fromkeys(
        ("other/.sourceignore", "deploy/.h/.sourceignore", "deploy/x/.sourceignore"), "!"
    )
    local.upstream.commit({"deploy/a.yaml": "1", "deploy/x/b.yaml": "1", **bad})
    assert _paths(await track(local, ignore=("x",)).poll()) == ["deploy/a.yaml"]


async def test_the_tree_id_follows_all_that_selects_files_and_nothing_else(
    local: Remote, track: Track
) -> None:
    async def tree_id(*ignore: str) -> str | None:
        snapshot = await track(local, sub_path="apps/shop", ignore=ignore).poll()
        assert snapshot.error is None
        return snapshot.tree_id

    local.upstream.commit({"apps/shop/a.yaml": "1", "apps/other/b.yaml": "1"})
    plain = await tree_id()
    assert await tree_id("x") not in {plain, await tree_id("x", "y"), await tree_id("x y")}
    for unrelated in ("apps/other/.sourceignore", "other/.sourceignore", "apps/other/c.yaml", "d"):
        local.upstream.commit({unrelated: "*"})
        assert await tree_id() == plain, unrelated
    seen = {plain}
    for related in (".sourceignore", "apps/.sourceignore", "apps/shop/.sourceignore"):
        for text in ("x", "y"):
            local.upstream.commit({related: text})
            assert await tree_id() not in seen, (related, text)
            seen.add(await tree_id())
    local.upstream.commit({}, remove=(".sourceignore", "apps/.sourceignore"))
    moved = await tree_id()
    local.upstream.commit({".sourceignore": "y"})
    assert await tree_id() not in {moved, *seen}


async def test_an_unchanged_poll_with_rules_lists_refs_and_reads_nothing(
    remote: Remote, track: Track, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote.upstream.commit({"deploy/a.yaml": "1", ".sourceignore": "x"})
    source = track(remote, ignore=("y",))
    first = await source.poll()
    fetches = remote.fetches()
    monkeypatch.setattr("agent.source.ondisk.OnDisk.contents", None)
    second = await source.poll()
    assert (second.trust, second.tree_id) == (Trust.UNCHANGED, first.tree_id)
    assert remote.fetches() == fetches
