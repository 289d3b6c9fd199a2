"""A git bundle file as a source: references, versions, increments, and every way to be broken."""

from __future__ import annotations

import socket
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from agent.source.errors import FetchError, ReferenceNotFound
from agent.source.git import GitSource
from agent.source.snapshot import Snapshot, Trust
from agent.source.worker.bundle import _served
from tests.gitservers.upstream import Upstream, git
from tests.integration.source.conftest import Remote, Track

pytestmark = [pytest.mark.integration, pytest.mark.asyncio]

Source = Callable[..., GitSource]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "usb stick" / "app.bundle"


@pytest.fixture
def source(file: Path, track: Track, local: Remote) -> Source:
    """A track of the bundle; keyword arguments replace the ordinary ones."""
    return lambda **changes: track(local, **{"url": str(file)} | changes)


def bundle(upstream: Upstream, file: Path, *what: str, version: int = 2) -> None:
    """Make a bundle and put it in place as a whole."""
    file.parent.mkdir(exist_ok=True)
    made = file.with_name("new")
    git("bundle", "create", "--quiet", f"--version={version}", str(made), *what,
        repository=upstream.path)  # fmt: skip
    made.rename(file)


def read(file: Path) -> bytes:
    return file.read_bytes()


def put(file: Path, content: bytes) -> None:
    file.write_bytes(content)


async def contents(source: GitSource, snapshot: Snapshot) -> dict[str, str]:
    bodies = await source.read(snapshot.files)
    return {file.path: bodies[file.blob_id].decode() for file in snapshot.files}


def refused(snapshot: Snapshot, *parts: str) -> None:
    assert isinstance(snapshot.error, FetchError), snapshot
    for part in parts:
        assert part in str(snapshot.error)


@pytest.mark.parametrize("version", [2, 3])
async def test_a_bundle_is_read_as_the_repository_it_was_made_from(
    local: Remote, file: Path, source: Source, version: int
) -> None:
    for number in range(30):
        files = {f"deploy/{n}.yaml": f"{n}: {number}\n" * 50 for n in range(20)}
        commit = local.upstream.commit(files)
    bundle(local.upstream, file, "main", version=version)
    tracked = source()
    snapshot = await tracked.poll()
    assert snapshot.error is None
    assert snapshot.trust is Trust.NEW
    assert snapshot.revision is not None
    assert (snapshot.revision.commit, snapshot.revision.reference) == (commit, "refs/heads/main")
    assert await contents(tracked, snapshot) == files
    for later in (tracked, source()):
        assert (await later.poll()).trust is Trust.UNCHANGED


@pytest.mark.parametrize(
    ("bundled", "reference", "shown", "body"),
    [
        pytest.param(["main", "v1"], "v1", "refs/tags/v1", "1", id="tag"),
        pytest.param(["main", "v2"], "v2", "refs/tags/v2", "2", id="annotated-tag"),
        pytest.param(["HEAD", "main", "side"], "", "refs/heads/main", "3", id="HEAD"),
        pytest.param(["side"], "", "refs/heads/side", "side", id="the-only-branch"),
        pytest.param(["main", "side"], "refs/heads/side", "refs/heads/side", "side", id="ref-name"),
    ],
)
async def test_each_reference_is_resolved_as_on_a_server(
    local: Remote, file: Path, source: Source, bundled: list[str], reference: str, shown: str,
    body: str,
) -> None:  # fmt: skip
    upstream = local.upstream
    upstream.tag("v1", upstream.commit({"deploy/a.yaml": "1"}))
    upstream.tag("v2", upstream.commit({"deploy/a.yaml": "2"}), annotated=True)
    upstream.set_branch("side", upstream.commit({"deploy/a.yaml": "3"}))
    upstream.commit({"deploy/a.yaml": "side"}, branch="side")
    bundle(upstream, file, *bundled)
    tracked = source(reference=reference)
    snapshot = await tracked.poll()
    assert snapshot.revision is not None, snapshot.error
    assert snapshot.revision.reference == shown
    assert await contents(tracked, snapshot) == {"deploy/a.yaml": body}
    for later in (tracked, source(reference=reference), tracked):
        assert (await later.poll()).trust is Trust.UNCHANGED


async def test_a_full_commit_id_is_found_among_the_refs(
    local: Remote, file: Path, source: Source
) -> None:
    first = local.upstream.commit({"deploy/a.yaml": "1"})
    second = local.upstream.commit({"deploy/a.yaml": "2"})
    bundle(local.upstream, file, "main")
    tracked = source(reference=second)
    assert await contents(tracked, await tracked.poll()) == {"deploy/a.yaml": "2"}
    refused(await source(reference="1" * 40).poll(), "has no 1111")
    assert first != second


async def test_a_reference_the_bundle_has_not_is_said(
    local: Remote, file: Path, source: Source
) -> None:
    local.upstream.commit({"deploy/a.yaml": "1"})
    bundle(local.upstream, file, "main")
    snapshot = await source(reference="v9").poll()
    assert isinstance(snapshot.error, ReferenceNotFound)
    assert "'v9'" in str(snapshot.error)


async def test_a_new_bundle_is_followed_and_an_older_one_put_back_too(
    local: Remote, file: Path, source: Source
) -> None:
    upstream = local.upstream
    upstream.tag("v", upstream.commit({"deploy/a.yaml": "1"}), annotated=True)
    bundle(upstream, file, "v")
    older = read(file)
    tracked = source(reference="v")
    assert await contents(tracked, await tracked.poll()) == {"deploy/a.yaml": "1"}
    upstream.tag("v", upstream.commit({"deploy/a.yaml": "2"}), annotated=True)
    bundle(upstream, file, "v")
    assert await contents(tracked, await tracked.poll()) == {"deploy/a.yaml": "2"}
    put(file, older)
    assert await contents(tracked, await tracked.poll()) == {"deploy/a.yaml": "1"}


async def test_an_increment_builds_on_the_bundle_before_it(
    local: Remote, file: Path, source: Source
) -> None:
    upstream = local.upstream
    files = {f"deploy/{n}.yaml": f"line {n}\n" * 100 for n in range(30)}
    first = upstream.commit(files)
    bundle(upstream, file, "main")
    tracked = source()
    await tracked.poll()
    files["deploy/3.yaml"] += "one more line\n"
    second = upstream.commit(files)
    bundle(upstream, file, f"{first}..main")
    snapshot = await tracked.poll()
    assert snapshot.trust is Trust.NEW, snapshot.error
    assert await contents(tracked, snapshot) == files
    # One that was skipped is missed, and named; what was good stays.
    third = upstream.commit({"deploy/3.yaml": "3"})
    upstream.commit({"deploy/3.yaml": "4"})
    bundle(upstream, file, f"{third}..main")
    stale = await tracked.poll()
    refused(stale, f"builds on commit {third}, which is not here", "bring the bundle before it")
    assert stale.revision is not None
    assert stale.revision.commit == second
    assert await contents(tracked, stale) == files


async def test_an_increment_alone_is_refused(local: Remote, file: Path, source: Source) -> None:
    first = local.upstream.commit({"deploy/a.yaml": "1"})
    local.upstream.commit({"deploy/a.yaml": "2"})
    bundle(local.upstream, file, f"{first}..main")
    snapshot = await source().poll()
    assert snapshot.trust is Trust.UNREADABLE
    refused(snapshot, f"builds on commit {first}")


async def test_what_the_mirror_has_already_does_not_confuse_the_fetch(
    local: Remote, file: Path, source: Source
) -> None:
    """libgit2 names what it has in portions, and waits for an answer to each."""
    for number in range(100):
        local.upstream.commit({"deploy/a.yaml": str(number)})
    bundle(local.upstream, file, "main")
    tracked = source()
    await tracked.poll()
    local.upstream.commit({"deploy/a.yaml": "new"}, orphan=True)
    bundle(local.upstream, file, "main")
    assert await contents(tracked, await tracked.poll()) == {"deploy/a.yaml": "new"}


def cut_pack(content: bytes) -> bytes:
    return content[:-200]


def cut_trailer(content: bytes) -> bytes:
    return content[:-1]


def cut_header(content: bytes) -> bytes:
    return content[:40]


def cut_everything(content: bytes) -> bytes:
    return content[: content.index(b"\n\n") + 2]


def flip(content: bytes) -> bytes:
    middle = (content.index(b"PACK") + len(content)) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


def flip_trailer(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 0xFF])


def other_id(content: bytes) -> bytes:
    start = content.index(b"\n") + 1
    return content[:start] + b"1" * 40 + content[start + 40 :]


def filtered(content: bytes) -> bytes:
    return content.replace(b"# v2 git bundle\n", b"# v3 git bundle\n@filter=blob:none\n")


def sha256(content: bytes) -> bytes:
    return content.replace(b"# v2 git bundle\n", b"# v3 git bundle\n@object-format=sha256\n")


def future(content: bytes) -> bytes:
    return content.replace(b"# v2", b"# v4")


def emptied(content: bytes) -> bytes:
    return content[:0]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cut_pack, "damaged or cut off"),
        (cut_trailer, "damaged or cut off"),
        (cut_header, "header is damaged or cut off"),
        (cut_everything, "damaged or cut off"),
        (flip, "damaged or cut off"),
        (flip_trailer, "damaged or cut off"),
        (other_id, "damaged or cut off"),
        (filtered, "'filter=blob:none'"),
        (sha256, "'object-format=sha256'"),
        (future, "version 4"),
        (emptied, "no git bundle"),
    ],
)
async def test_a_broken_bundle_is_said_and_the_last_good_revision_stays(
    local: Remote, file: Path, source: Source, damage: Callable[[bytes], bytes], said: str
) -> None:
    local.upstream.commit({"deploy/a.yaml": "1"})
    bundle(local.upstream, file, "main")
    tracked = source()
    await tracked.poll()
    noise = "".join(f"{number * 7919}\n" for number in range(500))
    local.upstream.commit({"deploy/a.yaml": noise})
    bundle(local.upstream, file, "main")
    whole = read(file)
    put(file, damage(whole))
    broken = await tracked.poll()
    assert broken.trust is Trust.STALE
    refused(broken, str(file), said)
    for later in (tracked, source()):
        assert await contents(later, await later.poll()) == {"deploy/a.yaml": "1"}
    put(file, whole)
    assert await contents(tracked, await tracked.poll()) == {"deploy/a.yaml": noise}


async def test_a_stick_that_was_pulled_out_is_stale_and_one_put_back_current(
    local: Remote, file: Path, source: Source
) -> None:
    local.upstream.commit({"deploy/a.yaml": "1"})
    bundle(local.upstream, file, "main")
    tracked = source()
    await tracked.poll()
    file.parent.rename(file.parent.with_name("away"))
    assert (await tracked.poll()).trust is Trust.STALE
    file.parent.with_name("away").rename(file.parent)
    assert (await tracked.poll()).trust is Trust.UNCHANGED


async def test_nobody_else_on_the_machine_is_served_the_pack(tmp_path: Path) -> None:
    """Whoever finds the port but not the path gets nothing, and ends nothing."""

    def ask(port: int, path: str) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            request = f"git-upload-pack {path}\0".encode()
            client.sendall(b"%04x%s" % (len(request) + 4, request))
            return client.recv(100)

    with _served(BytesIO(b"PACK"), {"HEAD": "1" * 40}, 5) as url:
        host, _, path = url.removeprefix("git://").partition("/")
        port = int(host.rpartition(":")[2])
        assert ask(port, "/wrong") == b""
        assert ask(port, f"/{path}")[4:].startswith(b"1" * 40 + b" HEAD\0")
