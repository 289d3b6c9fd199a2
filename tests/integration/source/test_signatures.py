"""Signed revisions over real git: who is believed, who is not, and what then is served instead."""

from __future__ import annotations

import logging
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent.config.model import VerifyMode
from agent.source.errors import FetchError, VerificationError
from agent.source.git import GitSource
from agent.source.signatures import verifier as verifier_module
from agent.source.signatures.material import KeyFiles, KeyVariable
from agent.source.signatures.verifier import Verifier
from agent.source.snapshot import Snapshot, Trust
from tests.gitservers.signing import (
    Gpg,
    GpgKey,
    Key,
    SshKey,
    raw,
    sign_commit,
    sign_tag,
    write_object,
)
from tests.gitservers.upstream import Upstream, git
from tests.integration.source.conftest import Remote, Track

pytestmark = [pytest.mark.integration, pytest.mark.asyncio]

SSH_TYPES = {
    "ssh-ed25519": ("-t", "ed25519"),
    "ssh-ecdsa-256": ("-t", "ecdsa", "-b", "256"),
    "ssh-ecdsa-384": ("-t", "ecdsa", "-b", "384"),
    "ssh-ecdsa-521": ("-t", "ecdsa", "-b", "521"),
    "ssh-rsa-3072": ("-t", "rsa", "-b", "3072"),
}
GPG_TYPES = {"gpg-ed25519": "ed25519", "gpg-rsa-3072": "rsa3072", "gpg-ecdsa-256": "nistp256"}


@pytest.fixture(scope="session")
def gpg() -> Iterator[Gpg]:
    home = Gpg()
    yield home
    home.close()


@pytest.fixture(scope="session")
def ada(tmp_path_factory: pytest.TempPathFactory) -> SshKey:
    return SshKey.make(tmp_path_factory.mktemp("keys") / "ada")


@pytest.fixture(scope="session")
def eve(tmp_path_factory: pytest.TempPathFactory) -> SshKey:
    """A key that nobody trusts unless a test says so."""
    return SshKey.make(tmp_path_factory.mktemp("keys") / "eve")


@pytest.fixture
def keys(tmp_path: Path, ada: SshKey) -> Path:
    """The file of keys that tracks verify by; ada's at first."""
    path = tmp_path / "signers"
    path.write_text(f"{ada.line}\n")
    return path


def verifier(*paths: Path, mode: VerifyMode = VerifyMode.HEAD) -> Verifier:
    return Verifier(keys=KeyFiles(paths), mode=mode)


def signed(upstream: Upstream, key: Key, text: str, *, branch: str = "main") -> str:
    upstream.commit({"deploy/a.yaml": text}, branch=branch)
    return sign_commit(upstream, key, branch=branch)


def write(path: Path, content: str | bytes) -> None:
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def public(key: SshKey | GpgKey) -> bytes:
    return key.line.encode() if isinstance(key, SshKey) else key.public()


def commit_of(snapshot: Snapshot) -> str | None:
    return snapshot.revision.commit if snapshot.revision else None


def accepted(snapshot: Snapshot, commit: str) -> None:
    assert snapshot.error is None
    assert snapshot.may_prune
    assert commit_of(snapshot) == commit
    assert snapshot.verified


def refused(snapshot: Snapshot, *reasons: str, good: str | None = None) -> None:
    assert isinstance(snapshot.error, VerificationError), snapshot.error
    for reason in reasons:
        assert reason in str(snapshot.error)
    assert snapshot.trust is (Trust.STALE if good else Trust.UNREADABLE)
    assert commit_of(snapshot) == good
    assert bool(snapshot.files) == bool(good)


@pytest.fixture(params=[*SSH_TYPES, *GPG_TYPES])
def any_key(request: pytest.FixtureRequest, tmp_path: Path, gpg: Gpg) -> SshKey | GpgKey:
    kind = request.param
    if kind in SSH_TYPES:
        return SshKey.make(tmp_path / kind, *SSH_TYPES[kind])
    return gpg.make(kind, GPG_TYPES[kind])


async def test_a_commit_signed_by_each_kind_of_key_is_used_and_its_signer_named(
    local: Remote, track: Track, keys: Path, any_key: SshKey | GpgKey
) -> None:
    write(keys, public(any_key))
    commit = signed(local.upstream, any_key, "1")
    snapshot = await track(local, verifier=verifier(keys)).poll()
    accepted(snapshot, commit)
    named = any_key.fingerprint
    kind = "SSH " if isinstance(any_key, SshKey) else "OpenPGP 0x"
    assert snapshot.verified.startswith(f"{kind}{named} by ")
    assert "example.org" in snapshot.verified


async def test_git_itself_agrees(local: Remote, gpg: Gpg, keys: Path, ada: SshKey) -> None:
    """What the tests call signed is what git calls signed."""
    signers = keys.with_name("allowed")
    signers.write_text(f"* {ada.line}\n")
    trusting = ["-c", f"gpg.ssh.allowedSignersFile={signers}"]
    program = ["-c", f"gpg.program={gpg.program('')}"]
    for key, options in ((ada, trusting), (gpg.make("judge", "ed25519"), program)):
        commit = signed(local.upstream, key, key.fingerprint)
        git(*options, "verify-commit", commit, repository=local.upstream.path)


@pytest.mark.parametrize("transport", ["https", "ssh"])
async def test_a_refused_revision_is_fetched_once_and_the_good_one_stays(
    request: pytest.FixtureRequest, transport: str, track: Track, keys: Path, ada: SshKey
) -> None:
    remote: Remote = request.getfixturevalue(transport)
    good = signed(remote.upstream, ada, "1")
    source = track(remote, verifier=verifier(keys))
    accepted(await source.poll(), good)
    bad = remote.upstream.commit({"deploy/a.yaml": "2"})
    refused(await source.poll(), f"commit {bad[:12]} is refused: it is not signed", good=good)
    fetches = remote.fetches()
    refused(await source.poll(), "git commit -S", good=good)
    assert remote.fetches() == fetches
    better = signed(remote.upstream, ada, "3")
    accepted(await source.poll(), better)


async def test_without_a_last_good_revision_nothing_is_served(
    local: Remote, track: Track, keys: Path
) -> None:
    local.upstream.commit({"deploy/a.yaml": "1"})
    refused(await track(local, verifier=verifier(keys)).poll(), "it is not signed")


def forged(upstream: Upstream, change: Callable[[bytes], bytes]) -> None:
    """Replace the newest commit by what ``change`` makes of it."""
    content = change(raw(upstream, upstream.head()))
    upstream.set_branch("main", write_object(upstream, "commit", content))


def gpgsig(commit: bytes) -> bytes:
    start = commit.index(b"gpgsig ")
    return commit[start : commit.index(b"\n\n", start) + 1]


def for_files(key: SshKey, payload: bytes) -> bytes:
    """A header with a signature that is good, but not one for git."""
    done = subprocess.run(
        ["ssh-keygen", "-Y", "sign", "-q", "-n", "file", "-f", str(key.path)],
        input=payload,
        capture_output=True,
        check=True,
    )
    return b"gpgsig " + done.stdout.strip().replace(b"\n", b"\n ") + b"\n"


async def test_a_changed_commit_is_refused(
    local: Remote, track: Track, keys: Path, ada: SshKey
) -> None:
    signed(local.upstream, ada, "1")
    forged(local.upstream, lambda commit: commit + b"more\n")
    refused(await track(local, verifier=verifier(keys)).poll(), "does not fit")


@pytest.mark.parametrize("kind", ["ssh", "gpg"])
async def test_a_signature_of_another_commit_is_refused(
    local: Remote, track: Track, keys: Path, ada: SshKey, gpg: Gpg, kind: str
) -> None:
    key: SshKey | GpgKey = ada if kind == "ssh" else gpg.make("transplant", "ed25519")
    write(keys, public(key))
    other = gpgsig(raw(local.upstream, signed(local.upstream, key, "1")))
    local.upstream.commit({"deploy/a.yaml": "2"})
    forged(local.upstream, lambda commit: commit.replace(b"\n\n", b"\n" + other + b"\n", 1))
    refused(await track(local, verifier=verifier(keys)).poll(), "does not ")


async def test_a_signature_for_another_namespace_is_refused(
    local: Remote, track: Track, keys: Path, ada: SshKey
) -> None:
    local.upstream.commit({"deploy/a.yaml": "1"})
    forged(
        local.upstream,
        lambda c: c.replace(b"\n\n", b"\n" + for_files(ada, c) + b"\n", 1),
    )
    refused(await track(local, verifier=verifier(keys)).poll(), "namespace 'file'")


async def test_a_commit_signed_twice_is_refused(
    local: Remote, track: Track, keys: Path, ada: SshKey
) -> None:
    signed(local.upstream, ada, "1")
    forged(local.upstream, lambda c: c.replace(b"\n\n", b"\n" + gpgsig(c) + b"\n", 1))
    refused(await track(local, verifier=verifier(keys)).poll(), "two gpgsig headers")


@pytest.mark.parametrize("kind", ["ssh", "gpg"])
async def test_an_unknown_key_is_refused_and_named(
    local: Remote, track: Track, keys: Path, eve: SshKey, gpg: Gpg, kind: str
) -> None:
    key: SshKey | GpgKey = eve if kind == "ssh" else gpg.make("unknown", "ed25519")
    signed(local.upstream, key, "1")
    snapshot = await track(local, verifier=verifier(keys)).poll()
    refused(snapshot, key.fingerprint, "not among the given ones", "verify.keys")


async def test_an_expired_key_is_refused_even_for_what_it_signed_before(
    local: Remote, track: Track, keys: Path, gpg: Gpg
) -> None:
    key = gpg.make("expired", "ed25519", until="20210101T000000", at="20200101T000000")
    write(keys, key.public())
    signed(local.upstream, key, "1")
    snapshot = await track(local, verifier=verifier(keys)).poll()
    refused(snapshot, key.fingerprint, "expired at 2021-01-01T00:00:00Z")


async def test_a_revoked_key_is_refused_as_soon_as_its_revocation_is_in_the_keyring(
    local: Remote, track: Track, keys: Path, gpg: Gpg
) -> None:
    key = gpg.make("revoked", "ed25519")
    write(keys, key.public())
    commit = signed(local.upstream, key, "1")
    source = track(local, verifier=verifier(keys))
    accepted(await source.poll(), commit)
    gpg.revoke(key)
    write(keys, key.public())
    refused(await source.poll(), key.fingerprint, "which is revoked")


async def test_a_subkey_signs_for_its_owner_until_it_is_revoked(
    local: Remote, track: Track, keys: Path, gpg: Gpg
) -> None:
    owner = gpg.make("owner", "rsa3072")
    subkey = gpg.add_subkey(owner, "ed25519")
    write(keys, owner.public())
    commit = signed(local.upstream, subkey, "1")
    source = track(local, verifier=verifier(keys))
    snapshot = await source.poll()
    accepted(snapshot, commit)
    assert owner.fingerprint in snapshot.verified
    gpg.revoke_subkey(owner)
    write(keys, owner.public())
    refused(await source.poll(), subkey.fingerprint, "which is revoked")


async def test_an_expired_subkey_is_refused_though_its_owner_is_valid(
    local: Remote, track: Track, keys: Path, gpg: Gpg
) -> None:
    owner = gpg.make("lasting", "ed25519", at="20200101T000000")
    subkey = gpg.add_subkey(owner, "ed25519", until="20210101T000000")
    write(keys, owner.public())
    signed(local.upstream, subkey, "1")
    refused(await track(local, verifier=verifier(keys)).poll(), "expired at 2021-01-01T00:00:00Z")


async def test_a_key_that_is_too_weak_is_refused_and_no_other_suffers(
    local: Remote, track: Track, keys: Path, gpg: Gpg
) -> None:
    gpg.run("--cert-digest-algo=SHA1", "--quick-gen-key", "weak@example.org", "rsa3072", "sign")
    weak, good = gpg.key("weak@example.org"), gpg.make("strong", "ed25519")
    write(keys, weak.public(armored=False) + good.public(armored=False))
    commit = signed(local.upstream, good, "1")
    source = track(local, verifier=verifier(keys))
    accepted(await source.poll(), commit)
    signed(local.upstream, weak, "2")
    refused(await source.poll(), weak.fingerprint, "which cannot be used: ", good=commit)


async def test_a_key_ends_while_the_agent_runs(
    local: Remote, track: Track, keys: Path, ada: SshKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(keys, f'ada valid-before="20990101Z" {ada.line}')
    source = track(local, verifier=verifier(keys))
    commit = signed(local.upstream, ada, "1")
    accepted(await source.poll(), commit)
    late = SimpleNamespace(time=lambda: time.time() + 100 * 366 * 86_400)
    monkeypatch.setattr(verifier_module, "time", late)
    refused(await source.poll(), "is not valid from 2099-01-01T00:00:00Z on")


async def test_a_key_that_is_taken_away_is_distrusted_at_the_next_poll(
    local: Remote, track: Track, keys: Path, ada: SshKey, eve: SshKey
) -> None:
    commit = signed(local.upstream, ada, "1")
    source = track(local, verifier=verifier(keys))
    accepted(await source.poll(), commit)
    write(keys, eve.line)
    refused(await source.poll(), "not among the given ones")
    write(keys, f"{eve.line}\n{ada.line}\n")
    accepted(await source.poll(), commit)


async def test_a_good_revision_by_a_key_taken_away_is_not_served_when_a_newer_one_is_refused(
    local: Remote, track: Track, keys: Path, ada: SshKey, eve: SshKey
) -> None:
    signed(local.upstream, ada, "1")
    source = track(local, verifier=verifier(keys))
    assert (await source.poll()).verified
    local.upstream.commit({"deploy/a.yaml": "2"})
    write(keys, eve.line)
    refused(await source.poll(), "it is not signed")


async def test_an_unchanged_poll_reads_nothing_of_the_mirror_unless_the_keys_change(
    local: Remote, track: Track, keys: Path, ada: SshKey, eve: SshKey, state_dir: Path
) -> None:
    commit = signed(local.upstream, ada, "1")
    source = track(local, verifier=verifier(keys))
    accepted(await source.poll(), commit)
    [mirror] = (state_dir / "repositories").iterdir()
    shutil.rmtree(mirror)
    accepted(await source.poll(), commit)
    assert not mirror.exists()
    write(keys, f"{ada.line}\n{eve.line}\n")
    accepted(await source.poll(), commit)
    assert mirror.exists()


# --- tags --------------------------------------------------------------------------------------


@pytest.fixture(params=["local", "https"])
def remote(request: pytest.FixtureRequest) -> Remote:
    chosen: Remote = request.getfixturevalue(request.param)
    return chosen


def tagged(track: Track, remote: Remote, keys: Path, mode: VerifyMode, ref: str) -> GitSource:
    return track(remote, reference=ref, verifier=verifier(keys, mode=mode))


async def test_a_signed_tag_vouches_for_an_unsigned_commit(
    remote: Remote, track: Track, keys: Path, ada: SshKey
) -> None:
    commit = remote.upstream.commit({"deploy/a.yaml": "1"})
    sign_tag(remote.upstream, ada, "v1", commit)
    snapshot = await tagged(track, remote, keys, VerifyMode.TAG, "v1").poll()
    accepted(snapshot, commit)
    assert ada.fingerprint in snapshot.verified


async def test_a_tag_signed_by_gpg_vouches_too(
    local: Remote, track: Track, keys: Path, gpg: Gpg
) -> None:
    key = gpg.make("tagger", "rsa3072")
    write(keys, key.public(armored=False))
    commit = local.upstream.commit({"deploy/a.yaml": "1"})
    sign_tag(local.upstream, key, "releases/v1", commit)
    accepted(await tagged(track, local, keys, VerifyMode.TAG, "releases/v1").poll(), commit)


async def test_both_signatures_are_needed_where_both_are_asked_for(
    local: Remote, track: Track, keys: Path, ada: SshKey, eve: SshKey
) -> None:
    source = tagged(track, local, keys, VerifyMode.TAG_AND_HEAD, "v1")
    unsigned = local.upstream.commit({"deploy/a.yaml": "1"})
    sign_tag(local.upstream, ada, "v1", unsigned)
    refused(await source.poll(), f"commit {unsigned[:12]} is refused: it is not signed")
    commit = signed(local.upstream, ada, "2")
    local.upstream.tag("v1", commit, annotated=True)
    refused(await source.poll(), "tag v1 is refused: it is not signed")
    sign_tag(local.upstream, ada, "v1", commit)
    snapshot = await source.poll()
    accepted(snapshot, commit)
    assert snapshot.verified.count(ada.fingerprint) == 1
    write(keys, f"{ada.line}\n{eve.line}\n")
    sign_tag(local.upstream, eve, "v1", commit)
    verified = (await source.poll()).verified
    assert verified.startswith(f"tag: SSH {eve.fingerprint} by ")
    assert f"; commit: SSH {ada.fingerprint} by " in verified


async def test_what_is_no_annotated_tag_cannot_be_a_signed_one(
    local: Remote, track: Track, keys: Path, ada: SshKey
) -> None:
    commit = signed(local.upstream, ada, "1")
    local.upstream.tag("light", commit)
    for reference in ("light", "main", "refs/heads/main", ""):
        source = tagged(track, local, keys, VerifyMode.TAG, reference)
        refused(await source.poll(), "is no annotated tag", "git tag -s")


async def test_an_old_signed_tag_under_a_new_name_is_refused(
    local: Remote, track: Track, keys: Path, ada: SshKey
) -> None:
    old = sign_tag(local.upstream, ada, "v1", local.upstream.commit({"deploy/a.yaml": "1"}))
    git("update-ref", "refs/tags/v2", old, repository=local.upstream.path)
    refused(
        await tagged(track, local, keys, VerifyMode.TAG, "v2").poll(),
        "tag v2 is really the tag 'v1' under another name",
    )


async def test_a_tag_made_anew_at_the_same_commit_is_fetched_and_checked_anew(
    remote: Remote,
    track: Track,
    keys: Path,
    ada: SshKey,
    eve: SshKey,
    caplog: pytest.LogCaptureFixture,
) -> None:
    commit = remote.upstream.commit({"deploy/a.yaml": "1"})
    sign_tag(remote.upstream, ada, "v1", commit)
    source = tagged(track, remote, keys, VerifyMode.TAG, "v1")
    accepted(await source.poll(), commit)
    sign_tag(remote.upstream, eve, "v1", commit)
    refused(await source.poll(), eve.fingerprint, "not among the given ones", good=commit)
    assert "rebuilding the mirror" not in caplog.text


async def test_a_signed_tag_survives_restart_and_repacking_without_the_remote(
    local: Remote, track: Track, keys: Path, ada: SshKey
) -> None:
    commit = local.upstream.commit({"deploy/a.yaml": "1"})
    tag = sign_tag(local.upstream, ada, "v1", commit)
    inner = sign_tag(local.upstream, ada, "outer", tag)
    for reference in ("v1", "outer"):
        source = tagged(track, local, keys, VerifyMode.TAG, reference)
        accepted(await source.poll(), commit)
    assert inner != tag
    await source._mirror.repack(more_than=0)
    local.upstream.path.rename(local.upstream.path.with_suffix(".away"))
    for reference in ("v1", "outer"):
        snapshot = await tagged(track, local, keys, VerifyMode.TAG, reference).poll()
        assert snapshot.trust is Trust.STALE
        assert isinstance(snapshot.error, FetchError)
        assert ada.fingerprint in snapshot.verified


# --- what is on disk ---------------------------------------------------------------------------


@pytest.mark.parametrize("is_signed", [True, False], ids=["signed", "unsigned"])
async def test_what_was_recorded_before_verify_was_set_is_verified_before_it_is_used(
    local: Remote, track: Track, keys: Path, ada: SshKey, is_signed: bool
) -> None:
    commit = local.upstream.commit({"deploy/a.yaml": "1"})
    if is_signed:
        commit = sign_commit(local.upstream, ada)
    assert commit_of(await track(local).poll()) == commit
    local.upstream.path.rename(local.upstream.path.with_suffix(".away"))
    snapshot = await track(local, verifier=verifier(keys)).poll()
    assert isinstance(snapshot.error, FetchError)
    assert snapshot.trust is (Trust.STALE if is_signed else Trust.UNREADABLE)
    assert bool(snapshot.verified) == is_signed


async def test_a_track_that_verifies_nothing_vouches_for_nothing(
    local: Remote, track: Track, keys: Path, ada: SshKey
) -> None:
    good = signed(local.upstream, ada, "1")
    careful = track(local, verifier=verifier(keys))
    accepted(await careful.poll(), good)
    bad = local.upstream.commit({"deploy/a.yaml": "2"})
    assert commit_of(await track(local).poll()) == bad
    refused(await careful.poll(), "it is not signed", good=good)
    refused(await track(local, verifier=verifier(keys)).poll(), "it is not signed", good=good)
    local.upstream.path.rename(local.upstream.path.with_suffix(".away"))
    assert commit_of(await track(local, verifier=verifier(keys)).poll()) == good
    assert commit_of(await track(local).poll()) == bad


async def test_tracks_with_other_keys_have_a_last_good_revision_each(
    local: Remote, track: Track, keys: Path, ada: SshKey, eve: SshKey, tmp_path: Path
) -> None:
    others = tmp_path / "others"
    others.write_text(eve.line)
    first = signed(local.upstream, ada, "1")
    accepted(await track(local, verifier=verifier(keys)).poll(), first)
    second = signed(local.upstream, eve, "2")
    accepted(await track(local, verifier=verifier(others)).poll(), second)
    refused(await track(local, verifier=verifier(keys)).poll(), eve.fingerprint, good=first)


# --- keys --------------------------------------------------------------------------------------


async def test_a_folder_of_keys_of_both_kinds_is_read_as_the_kubelet_mounts_it(
    local: Remote, track: Track, tmp_path: Path, ada: SshKey, gpg: Gpg
) -> None:
    gpg_key = gpg.make("mounted", "ed25519")
    folder = tmp_path / "mounted"
    (folder / "..v1").mkdir(parents=True)
    (folder / "..v1" / "ada.sshpub").write_text(ada.line)
    (folder / "..v1" / "mounted.asc").write_bytes(gpg_key.public())
    (folder / "..data").symlink_to("..v1")
    for name in ("ada.sshpub", "mounted.asc"):
        (folder / name).symlink_to(f"..data/{name}")
    source = track(local, verifier=verifier(folder))
    for key in (ada, gpg_key):
        commit = signed(local.upstream, key, key.fingerprint)
        accepted(await source.poll(), commit)


async def test_keys_come_from_a_variable(local: Remote, track: Track, ada: SshKey) -> None:
    material = KeyVariable("SIGNERS", {"SIGNERS": ada.line})
    commit = signed(local.upstream, ada, "1")
    source = track(local, verifier=Verifier(keys=material, mode=VerifyMode.HEAD))
    accepted(await source.poll(), commit)


async def test_keys_may_come_from_memory_only_for_the_revision_in_use(
    local: Remote, track: Track, ada: SshKey
) -> None:
    asked: list[bool] = []

    class Recorder:
        identity = "recorder"

        async def read(self, *, fresh: bool) -> Mapping[str, bytes]:
            asked.append(fresh)
            return {"keys": ada.line.encode()}

    source = track(local, verifier=Verifier(keys=Recorder(), mode=VerifyMode.HEAD))
    for text in ("1", "2"):
        commit = signed(local.upstream, ada, text)
        accepted(await source.poll(), commit)
        accepted(await source.poll(), commit)
    assert asked == [True, False, True, False]


NO_KEYS: dict[str, tuple[bytes | None, str]] = {
    "missing": (None, "cannot read "),
    "empty": (b"# nobody\n", "there is no key in "),
    "rubbish": (b"c4nary rubbish", ":1: not a public SSH key"),
    "binary rubbish": (b"\xff\xfec4nary", "not an OpenPGP keyring"),
    "broken armor": (b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nc4nary", "not an OpenPGP keyring"),
    "text in Latin-1": (b"# J\xf6rg c4nary", "neither an OpenPGP keyring nor lines of SSH keys"),
    "keybox": (b"\0\0\0\x20\1\1\0\2KBXfc4nary", "is a keybox of GnuPG"),
    "private key": (
        b"-----BEGIN OPENSSH PRIVATE KEY-----\nc4nary",
        "holds a private key, which does not belong here",
    ),
    "a certificate authority": (b"* cert-authority ssh-ed25519 AAAA", ":1: "),
}


@pytest.mark.parametrize(("content", "reason"), NO_KEYS.values(), ids=NO_KEYS)
async def test_without_keys_nothing_is_used_and_the_file_is_named_but_not_quoted(
    local: Remote,
    track: Track,
    tmp_path: Path,
    ada: SshKey,
    content: bytes | None,
    reason: str,
) -> None:
    path = tmp_path / "none"
    if content is not None:
        path.write_bytes(content)
    signed(local.upstream, ada, "1")
    snapshot = await track(local, verifier=verifier(path)).poll()
    refused(snapshot, "signatures cannot be checked, for want of keys: ", str(path), reason)
    assert "c4nary" not in str(snapshot.error)


async def test_a_secret_openpgp_key_is_refused(
    local: Remote, track: Track, tmp_path: Path, ada: SshKey, gpg: Gpg
) -> None:
    path = tmp_path / "secret"
    key = gpg.make("secret", "ed25519")
    exported = ["--export-secret-keys", key.fingerprint]
    path.write_text(gpg.run("--armor", *exported))
    signed(local.upstream, ada, "1")
    snapshot = await track(local, verifier=verifier(path)).poll()
    refused(snapshot, f"{path}: holds a private key")
    gpg.run("--output", str(tmp_path / "binary"), *exported)
    snapshot = await track(local, verifier=verifier(tmp_path / "binary")).poll()
    refused(snapshot, f"{tmp_path / 'binary'}: holds a secret key")


async def test_a_variable_that_is_not_set_is_named(local: Remote, track: Track) -> None:
    local.upstream.commit({"deploy/a.yaml": "1"})
    source = track(local, verifier=Verifier(keys=KeyVariable("SIGNERS", {}), mode=VerifyMode.HEAD))
    refused(await source.poll(), "environment variable SIGNERS is not set")


async def test_a_new_revision_is_logged_with_its_signer_once(
    local: Remote, track: Track, keys: Path, ada: SshKey, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="agent")
    commit = signed(local.upstream, ada, "1")
    source = track(local, verifier=verifier(keys))
    accepted(await source.poll(), commit)
    accepted(await source.poll(), commit)
    accepted(await track(local, verifier=verifier(keys)).poll(), commit)
    [record] = [r for r in caplog.records if r.message == "revision verified"]
    fields = record.__dict__["fields"]
    assert fields["commit"] == commit
    assert fields["signer"] == f"SSH {ada.fingerprint} by ada@example.org"


# --- folders and bundles -----------------------------------------------------------------------


def bundle(upstream: Upstream, file: Path, *references: str) -> None:
    """Put a bundle of these references in place."""
    made = file.with_name("new")
    git("bundle", "create", "--quiet", str(made), *references, repository=upstream.path)
    made.rename(file)


async def test_a_signed_commit_in_a_bundle_is_used_and_an_unsigned_one_refused(
    local: Remote, track: Track, tmp_path: Path, keys: Path, ada: SshKey
) -> None:
    file = tmp_path / "app.bundle"
    commit = signed(local.upstream, ada, "1")
    bundle(local.upstream, file, "main")
    source = track(local, url=str(file), verifier=verifier(keys))
    for _ in range(2):
        accepted(await source.poll(), commit)
    unsigned = local.upstream.commit({"deploy/a.yaml": "2"})
    bundle(local.upstream, file, "main")
    refused(await source.poll(), unsigned[:12], "it is not signed", good=commit)


@pytest.mark.parametrize("outer", [False, True], ids=["a tag", "a tag of a tag"])
async def test_a_signed_tag_in_a_bundle_is_used_and_fetched_once(
    local: Remote, track: Track, tmp_path: Path, keys: Path, ada: SshKey, outer: bool
) -> None:
    file = tmp_path / "app.bundle"
    commit = local.upstream.commit({"deploy/a.yaml": "1"})
    tag = sign_tag(local.upstream, ada, "v1", commit)
    if outer:
        tag = sign_tag(local.upstream, ada, "v1-outer", tag)
    name = "v1-outer" if outer else "v1"
    bundle(local.upstream, file, "main", name)
    check = verifier(keys, mode=VerifyMode.TAG)
    source = track(local, url=str(file), reference=name, verifier=check)
    snapshot = await source.poll()
    accepted(snapshot, commit)
    assert snapshot.revision is not None
    assert snapshot.revision.tag == tag
    packs = len(list(source._mirror.path.rglob("*.pack")))
    again = await source.poll()
    assert (again.trust, again.revision) == (Trust.UNCHANGED, snapshot.revision)
    assert len(list(source._mirror.path.rglob("*.pack"))) == packs
    shutil.rmtree(source._mirror.path)
    source._last = None
    accepted(await source.poll(), commit)


async def test_a_plain_folder_cannot_be_signed_and_a_work_tree_with_a_reference_can(
    local: Remote, track: Track, tmp_path: Path, keys: Path, ada: SshKey
) -> None:
    commit = signed(local.upstream, ada, "1")
    folder = tmp_path / "clone"
    git("worktree", "add", "--quiet", str(folder), repository=local.upstream.path)
    plain = track(local, url=str(folder), reference="", verifier=verifier(keys))
    refused(await plain.poll(), "a plain folder cannot be signed", "a git repository or a bundle")
    assert not plain._mirror.path.exists()
    accepted(await track(local, url=str(folder), verifier=verifier(keys)).poll(), commit)


async def test_a_folder_that_was_good_before_verify_was_set_is_not_used_any_more(
    local: Remote, track: Track, tmp_path: Path, keys: Path
) -> None:
    folder = tmp_path / "folder"
    (folder / "deploy").mkdir(parents=True)
    (folder / "deploy" / "a.yaml").write_text("1")
    assert (await track(local, url=str(folder), reference="").poll()).may_prune
    source = track(local, url=str(folder), reference="", verifier=verifier(keys))
    refused(await source.poll(), "a plain folder cannot be signed")


# --- a damaged mirror --------------------------------------------------------------------------


@pytest.mark.parametrize("is_good_left", [False, True], ids=["all is lost", "good one is whole"])
async def test_a_refused_revision_in_a_rebuilt_mirror_is_not_fetched_again(
    https: Remote, track: Track, keys: Path, ada: SshKey, is_good_left: bool
) -> None:
    good = signed(https.upstream, ada, "1")
    source = track(https, verifier=verifier(keys))
    accepted(await source.poll(), good)
    https.upstream.commit({"deploy/a.yaml": "2"})
    if is_good_left:
        (source._mirror.path / "refs/lightkeeper/incoming/0123456789abcdef").write_text("damaged")
    else:
        (source._mirror.path / "HEAD").unlink()
    left = good if is_good_left else None
    refused(await source.poll(), "it is not signed", good=left)
    fetches = https.fetches()
    for _ in range(3):
        snapshot = await source.poll()
        refused(snapshot, "it is not signed", good=left)
    assert https.fetches() == fetches
    assert [*(await source.read(snapshot.files)).values()] == ([b"1"] if left else [])


async def test_a_rebuild_for_one_track_keeps_the_signed_tag_of_another(
    local: Remote, track: Track, keys: Path, ada: SshKey, tmp_path: Path
) -> None:
    commit = local.upstream.commit({"deploy/a.yaml": "1", "other/o.yaml": "o"})
    inner = sign_tag(local.upstream, ada, "v1", commit)
    sign_tag(local.upstream, ada, "outer", inner)
    source = tagged(track, local, keys, VerifyMode.TAG, "outer")
    accepted(await source.poll(), commit)
    other = track(local, sub_path="other")
    assert (await other.poll()).may_prune
    other.record_files[0].write_text("{")
    local.upstream.commit({"other/o.yaml": "newer"})
    assert (await other.poll()).may_prune
    await source._mirror.repack(more_than=0)
    local.upstream.path.rename(tmp_path / "away.git")
    kept = await tagged(track, local, keys, VerifyMode.TAG, "outer").poll()
    assert kept.trust is Trust.STALE
    assert ada.fingerprint in kept.verified
    assert await source._mirror.is_sound()


async def test_a_repack_keeps_the_signed_tag_that_only_a_record_names(
    local: Remote, track: Track, keys: Path, ada: SshKey, tmp_path: Path
) -> None:
    """As after a crash between a ref and its record."""
    commit = local.upstream.commit({"deploy/a.yaml": "1"})
    inner = sign_tag(local.upstream, ada, "v1", commit)
    sign_tag(local.upstream, ada, "outer", inner)
    source = tagged(track, local, keys, VerifyMode.TAG, "outer")
    accepted(await source.poll(), commit)
    for kind in ("good", "incoming"):
        (source._mirror.path / "refs" / "lightkeeper" / kind / source._track).unlink()
    await source._mirror.repack(more_than=0)
    local.upstream.path.rename(tmp_path / "away.git")
    kept = await tagged(track, local, keys, VerifyMode.TAG, "outer").poll()
    assert kept.trust is Trust.STALE
    assert ada.fingerprint in kept.verified
