"""A plain folder as a source: what lies there is what counts, and half of it never does."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.source.errors import ContentsUndecided
from agent.source.git import GitSource
from agent.source.snapshot import Snapshot, Trust
from tests.gitservers.upstream import Upstream, git
from tests.integration.source.conftest import Remote, Track

pytestmark = [pytest.mark.integration, pytest.mark.asyncio]

LONG_AGO = 1_600_000_000

Source = Callable[..., GitSource]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "My folder"
    made.mkdir()
    return made


@pytest.fixture
def source(folder: Path, track: Track, local: Remote) -> Source:
    """A track of the folder; keyword arguments replace the ordinary ones."""
    return lambda **changes: track(
        local, **{"url": str(folder), "reference": "", "sub_path": ""} | changes
    )


def write(folder: Path, files: dict[str, str], *, at: int = LONG_AGO) -> None:
    for path, body in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(body)
        os.utime(file, (at, at))


def packs(state_dir: Path) -> list[Path]:
    return sorted(state_dir.rglob("*.pack"))


def loose_objects(state_dir: Path) -> list[Path]:
    return [file for file in state_dir.rglob("objects/??/*") if len(file.name) == 38]


async def contents(source: GitSource, snapshot: Snapshot) -> dict[str, str]:
    bodies = await source.read(snapshot.files)
    return {file.path: bodies[file.blob_id].decode() for file in snapshot.files}


async def test_the_files_on_the_disk_are_the_revision(folder: Path, source: Source) -> None:
    write(folder, {"a.yaml": "1", "deep/er/b.json": "2", "c.txt": "3", ".hidden/d.yaml": "4"})
    write(folder, {"deep/e.yml": "5"}, at=LONG_AGO + 7)
    (folder / "link.yaml").symlink_to("a.yaml")
    (folder / "linked").symlink_to("deep")
    (folder / "dangling.yaml").symlink_to("nowhere")
    os.mkfifo(folder / "pipe.yaml")
    tracked = source()
    snapshot = await tracked.poll()
    assert snapshot.error is None
    assert snapshot.trust is Trust.NEW
    assert await contents(tracked, snapshot) == {
        "a.yaml": "1", "deep/er/b.json": "2", "deep/e.yml": "5"
    }  # fmt: skip
    assert snapshot.revision is not None
    assert snapshot.revision.reference == "folder"
    assert snapshot.revision.committed_at == LONG_AGO + 7
    assert str(snapshot.revision) == f"folder@{snapshot.revision.commit[:12]}"


async def test_an_unchanged_folder_writes_nothing_and_a_restart_knows_it(
    folder: Path, source: Source, state_dir: Path
) -> None:
    write(folder, {"a.yaml": "1"})
    first = await source().poll()
    before = packs(state_dir)
    restarted = source()
    for _ in range(2):
        again = await restarted.poll()
        assert again.trust is Trust.UNCHANGED
        assert (again.revision, again.files) == (first.revision, first.files)
    assert packs(state_dir) == before
    assert loose_objects(state_dir) == []


async def test_changes_removals_and_renames_are_followed(folder: Path, source: Source) -> None:
    write(folder, {"a.yaml": "1", "b.yaml": "1"})
    tracked = source()
    await tracked.poll()
    write(folder, {"a.yaml": "2", ".a.yaml.swp": "x"})
    (folder / "b.yaml").rename(folder / "c.yaml")
    snapshot = await tracked.poll()
    assert snapshot.trust is Trust.NEW
    assert await contents(tracked, snapshot) == {"a.yaml": "2", "c.yaml": "1"}
    (folder / "c.yaml").unlink()
    assert await contents(tracked, await tracked.poll()) == {"a.yaml": "2"}


async def test_a_change_that_leaves_size_and_time_as_they_were_is_seen(
    folder: Path, source: Source
) -> None:
    tracked = source()
    for number in "123456":
        write(folder, {"a.yaml": number})
        assert await contents(tracked, await tracked.poll()) == {"a.yaml": number}


async def test_a_sub_path_is_a_part_of_the_folder(folder: Path, source: Source) -> None:
    write(folder, {"a.yaml": "1", "deploy/b.yaml": "2", "deployment/c.yaml": "3"})
    write(folder, {".hidden/deploy/d.yaml": "4"})
    tracked = source(sub_path="deploy")
    assert await contents(tracked, await tracked.poll()) == {"deploy/b.yaml": "2"}
    hidden = source(sub_path=".hidden/deploy")
    assert await contents(hidden, await hidden.poll()) == {".hidden/deploy/d.yaml": "4"}


async def test_a_folder_that_went_away_is_stale_and_never_empty(
    folder: Path, source: Source
) -> None:
    write(folder, {"a.yaml": "1"})
    tracked = source()
    await tracked.poll()
    shutil.move(folder, folder.with_name("elsewhere"))
    gone = await tracked.poll()
    assert gone.trust is Trust.STALE
    assert f"{folder}: cannot be looked at: No such file or directory" in str(gone.error)
    assert await contents(tracked, gone) == {"a.yaml": "1"}
    os.mkdir(folder)
    empty = await tracked.poll()
    assert empty.trust is Trust.EMPTY
    assert not empty.may_prune
    os.rmdir(folder)
    folder.with_name("elsewhere").rename(folder)
    assert (await tracked.poll()).may_prune


async def test_a_folder_that_never_was_is_unreadable(source: Source, tmp_path: Path) -> None:
    snapshot = await source(url=str(tmp_path / "none")).poll()
    assert snapshot.trust is Trust.UNREADABLE
    assert "whether what it is on is mounted" in str(snapshot.error)


async def test_a_file_that_is_no_bundle_is_refused(folder: Path, source: Source) -> None:
    write(folder, {"a.yaml": "1"})
    snapshot = await source(url=str(folder / "a.yaml")).poll()
    assert snapshot.trust is Trust.UNREADABLE
    assert "is a file, and no git bundle" in str(snapshot.error)


async def test_a_file_that_is_being_written_is_waited_for(folder: Path, source: Source) -> None:
    write(folder, {"a.yaml": "1", "b.yaml": "1"})
    tracked = source()
    await tracked.poll()
    with (folder / "a.yaml").open("w") as saving:
        half = await tracked.poll()
        assert half.trust is Trust.STALE
        assert "a.yaml is being written" in str(half.error)
        assert await contents(tracked, half) == {"a.yaml": "1", "b.yaml": "1"}
        saving.write("2")
    assert await contents(tracked, await tracked.poll()) == {"a.yaml": "2", "b.yaml": "1"}


async def test_files_that_never_hold_still_are_an_error_and_no_mixture(
    folder: Path, source: Source
) -> None:
    write(folder, {f"{number}.yaml": "1" for number in range(300)})
    tracked = source()
    await tracked.poll()
    script = "while :; do for f in 7 299; do date +%N > n && mv n $f.yaml; done; done"
    writer = await asyncio_shell(script, folder)
    try:
        snapshot = await tracked.poll()
    finally:
        writer.kill()
        writer.wait()
    assert snapshot.trust is Trust.STALE
    assert "keep" in str(snapshot.error)
    (folder / "n").unlink(missing_ok=True)
    assert (await tracked.poll()).trust is Trust.NEW


async def asyncio_shell(script: str, folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["/bin/sh", "-c", script], cwd=folder)  # noqa: ASYNC220  # returns at once


async def test_a_file_larger_than_a_manifest_may_be_is_cut_and_so_refused(
    folder: Path, source: Source
) -> None:
    write(folder, {"big.yaml": "x" * (11 << 20), "a.yaml": "1"})
    snapshot = await source().poll()
    assert [(file.path, file.size) for file in snapshot.files] == [
        ("a.yaml", 1), ("big.yaml", (10 << 20) + 1)
    ]  # fmt: skip


async def test_kubelets_volume_is_read_through_its_one_link(folder: Path, source: Source) -> None:
    def publish(version: str, files: dict[str, str]) -> None:
        write(folder / f"..{version}", files)
        (folder / "..data_tmp").symlink_to(f"..{version}")
        (folder / "..data_tmp").rename(folder / "..data")

    publish("2026_01", {"a.yaml": "1"})
    (folder / "a.yaml").symlink_to("..data/a.yaml")
    tracked = source()
    assert await contents(tracked, await tracked.poll()) == {"a.yaml": "1"}
    publish("2026_02", {"a.yaml": "2"})  # the old version still lies beside it
    assert await contents(tracked, await tracked.poll()) == {"a.yaml": "2"}


async def test_a_link_named_like_kubelets_does_not_lead_out_of_the_folder(
    folder: Path, source: Source, tmp_path: Path
) -> None:
    write(folder, {"a.yaml": "1"})
    write(tmp_path, {"secret/s.yaml": "no"})
    (folder / "..version").symlink_to(tmp_path / "secret")
    for target in ("..", "../secret", str(tmp_path / "secret"), "..version"):
        (folder / "..data").symlink_to(target)
        tracked = source()
        assert await contents(tracked, await tracked.poll()) == {"a.yaml": "1"}
        (folder / "..data").unlink()


async def test_names_that_are_not_utf8_are_shown_and_read(folder: Path, source: Source) -> None:
    write(folder, {os.fsdecode(b"\xff.yaml"): "1"})
    tracked = source()
    assert await contents(tracked, await tracked.poll()) == {"\\xff.yaml": "1"}


def work_tree(folder: Path) -> str:
    """Make the folder a work tree with one commit, and change it afterwards; return the commit."""
    upstream = Upstream(folder / ".git")
    commit = upstream.commit({"a.yaml": "committed", "b.yaml": "committed"})
    git("config", "core.bare", "false", repository=upstream.path)
    write(folder, {"a.yaml": "on disk"})
    return commit


async def test_a_work_tree_without_a_reference_is_its_files_and_with_one_its_commits(
    folder: Path, source: Source
) -> None:
    commit = work_tree(folder)
    as_folder, as_repository = source(), source(reference="main")
    assert await contents(as_folder, await as_folder.poll()) == {"a.yaml": "on disk"}
    snapshot = await as_repository.poll()
    assert snapshot.revision is not None
    assert snapshot.revision.commit == commit
    assert await contents(as_repository, snapshot) == dict.fromkeys(
        ("a.yaml", "b.yaml"), "committed"
    )


async def test_a_file_url_is_always_a_repository(folder: Path, source: Source) -> None:
    commit = work_tree(folder)
    url = f"file://{folder}".replace(" ", "%20")
    snapshot = await source(url=url).poll()
    assert snapshot.revision is not None
    assert snapshot.revision.commit == commit
    write(folder.with_name("plain"), {"a.yaml": "1"})
    refused = await source(url=f"file://{folder.with_name('plain')}").poll()
    assert refused.trust is Trust.UNREADABLE


async def test_a_bare_repository_is_a_repository_without_a_reference_too(
    local: Remote, source: Source
) -> None:
    commit = local.upstream.commit({"a.yaml": "1"})
    snapshot = await source(url=str(local.upstream.path)).poll()
    assert snapshot.revision is not None
    assert snapshot.revision.commit == commit


async def test_a_folder_without_a_repository_but_with_a_reference_is_refused(
    folder: Path, source: Source
) -> None:
    write(folder, {"a.yaml": "1"})
    snapshot = await source(reference="main").poll()
    assert "has no git repository in it, but the track has a reference" in str(snapshot.error)


async def test_git_in_the_middle_of_its_work_is_waited_for(folder: Path, source: Source) -> None:
    work_tree(folder)
    tracked = source()
    await tracked.poll()
    lock = folder / ".git" / "index.lock"
    lock.write_text("")
    (folder / "a.yaml").unlink()
    finish = subprocess.Popen(  # noqa: ASYNC220  # returns at once
        ["/bin/sh", "-c", "sleep 0.7; echo new > a.yaml; rm .git/index.lock"], cwd=folder
    )
    snapshot = await tracked.poll()
    finish.wait()
    assert await contents(tracked, snapshot) == {"a.yaml": "new\n"}


async def test_many_changes_make_few_packs(
    folder: Path, source: Source, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.source.git._PACK_LIMIT", 3)
    tracked = source()
    for number in range(10):
        write(folder, {"a.yaml": str(number)})
        assert await contents(tracked, await tracked.poll()) == {"a.yaml": str(number)}
    assert len(packs(state_dir)) <= 4
    assert await tracked._mirror.is_sound()


async def test_a_sourceignore_in_the_folder_counts(folder: Path, source: Source) -> None:
    write(folder, {"a.yaml": "1", "b.yaml": "1", ".sourceignore": "b.yaml\n"})
    tracked = source()
    assert await contents(tracked, await tracked.poll()) == {"a.yaml": "1"}
    write(folder, {".sourceignore": "a.yaml\n"})
    assert await contents(tracked, await tracked.poll()) == {"b.yaml": "1"}


async def test_rules_of_the_configuration_win_over_those_of_the_folder(
    folder: Path, source: Source
) -> None:
    write(folder, {"a.yaml": "1", "b.yaml": "1", "docs/c.yaml": "1", "docs/d.json": "1"})
    write(folder, {".sourceignore": "b.yaml\n", "docs/.sourceignore": "*.json\n"})
    tracked = source(ignore=("docs/*.yaml", "!b.yaml"))
    assert await contents(tracked, await tracked.poll()) == {"a.yaml": "1", "b.yaml": "1"}
    within = source(sub_path="docs", ignore=("!*.json",))
    assert await contents(within, await within.poll()) == {"docs/c.yaml": "1", "docs/d.json": "1"}


async def test_symlinks_in_a_folder_are_noted_as_in_a_repository(
    folder: Path, source: Source
) -> None:
    write(folder, {"a.yaml": "1", ".sourceignore": "ignored.yaml\n"})
    (folder / "link.yaml").symlink_to("a.yaml")
    (folder / "dangling.yaml").symlink_to("nowhere")
    (folder / "ignored.yaml").symlink_to("a.yaml")
    (folder / "linked").symlink_to(".")
    tracked = source()
    snapshot = await tracked.poll()
    assert await contents(tracked, snapshot) == {"a.yaml": "1"}
    assert snapshot.notes == (
        "symlink dangling.yaml is not followed",
        "symlink link.yaml is not followed",
    )
    (folder / "link.yaml").unlink()
    assert (await tracked.poll()).notes == ("symlink dangling.yaml is not followed",)


async def test_a_sub_path_behind_a_symlink_is_said_to_be_one(folder: Path, source: Source) -> None:
    write(folder, {"real/a.yaml": "1"})
    (folder / "current").symlink_to("real")
    snapshot = await source(sub_path="current").poll()
    assert snapshot.trust is Trust.EMPTY
    assert "current is a symlink, and symlinks are not followed" in str(snapshot.error)


async def test_rules_that_are_a_symlink_are_refused_as_in_a_repository(
    folder: Path, source: Source
) -> None:
    write(folder, {"a.yaml": "1", "rules": "b.yaml\n"})
    (folder / ".sourceignore").symlink_to("rules")
    snapshot = await source().poll()
    assert isinstance(snapshot.error, ContentsUndecided)
    assert "put the rules here" in str(snapshot.error)
