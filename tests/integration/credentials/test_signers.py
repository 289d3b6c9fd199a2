"""Public keys out of a Kubernetes Secret: when it is asked for, and that a new one works."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.source.errors import VerificationError
from agent.source.git import GitSource
from agent.source.snapshot import Trust
from tests.controlplane.server import ControlPlane
from tests.gitservers.signing import Gpg, SshKey, sign_commit
from tests.gitservers.upstream import Upstream
from tests.integration.credentials.conftest import MakeSource
from tests.integration.credentials.kinds import PutSecret
from tests.integration.credentials.test_rotation import looks

pytestmark = pytest.mark.asyncio

VERIFY = 'verify = { keys = { secret-name = "signers" } }'


@pytest.fixture
def ada(tmp_path: Path) -> SshKey:
    return SshKey.make(tmp_path / "ada")


@pytest.fixture
def bob(tmp_path: Path) -> SshKey:
    return SshKey.make(tmp_path / "bob")


@pytest.fixture
def source(make_source: MakeSource, upstream: Upstream) -> GitSource:
    """A track that trusts the keys in the Secret ``signers``."""
    return make_source(f'repository = "file://{upstream.path}"', VERIFY)


def signed(upstream: Upstream, key: SshKey, text: str) -> str:
    upstream.commit({"a.yaml": text})
    return sign_commit(upstream, key)


async def test_a_key_new_in_the_secret_is_trusted_with_the_revision_it_signed(
    source: GitSource,
    upstream: Upstream,
    put_secret: PutSecret,
    control_plane: ControlPlane,
    ada: SshKey,
    bob: SshKey,
) -> None:
    put_secret("signers", {"ada.sshpub": ada.line.encode()})
    signed(upstream, ada, "1")
    mark = control_plane.mark()
    assert (await source.poll()).verified == f"SSH {ada.fingerprint} by ada@example.org"
    for _ in range(3):
        assert (await source.poll()).trust is Trust.UNCHANGED
    assert len(looks(control_plane, mark)) == 1, "an idle poll asks for no Secret"

    put_secret("signers", {"bob.sshpub": bob.line.encode()})
    commit = signed(upstream, bob, "2")
    snapshot = await source.poll()
    assert snapshot.trust is Trust.NEW, snapshot.error
    assert snapshot.revision is not None
    assert snapshot.revision.commit == commit
    assert snapshot.verified.startswith(f"SSH {bob.fingerprint}")
    assert len(looks(control_plane, mark)) == 2


async def test_a_key_taken_out_of_the_secret_is_distrusted_at_a_resync_and_trusted_when_back(
    source: GitSource, upstream: Upstream, put_secret: PutSecret, ada: SshKey, bob: SshKey
) -> None:
    put_secret("signers", {"ada": ada.line.encode()})
    signed(upstream, ada, "1")
    assert (await source.poll()).trust is Trust.NEW
    put_secret("signers", {"bob": bob.line.encode()})
    snapshot = await source.poll(fresh=True)
    assert isinstance(snapshot.error, VerificationError)
    assert not snapshot.files
    put_secret("signers", {"bob": bob.line.encode(), "ada": ada.line.encode()})
    assert (await source.poll()).trust is Trust.UNCHANGED, "refused, it is looked at anew"


async def test_every_entry_counts_and_its_content_says_what_it_is(
    source: GitSource, upstream: Upstream, put_secret: PutSecret, ada: SshKey
) -> None:
    gpg = Gpg()
    try:
        grace = gpg.make("grace", "ed25519")
        entries = {"ada.asc": ada.line.encode(), "team": grace.public()}
        put_secret("signers", entries | {"raw": grace.public(armored=False)})
        signed(upstream, ada, "1")
        assert (await source.poll()).verified.startswith("SSH ")
        upstream.commit({"a.yaml": "2"})
        sign_commit(upstream, grace)
        assert (await source.poll()).verified.startswith("OpenPGP ")
    finally:
        gpg.close()


REFUSED = {
    "no such Secret": (
        {},
        'failed to look up secret NS/signers: secrets "signers" not found (404',
    ),
    "no key": ({"ada": b"\n"}, "there is no key in Secret NS/signers, key ada"),
    "a private key": (
        {"ada": b"-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2"},
        "Secret NS/signers, key ada: holds a private key, which does not belong here",
    ),
    "something else": ({"password": b"hunter2 hunter2"}, "Secret NS/signers, key password"),
}


@pytest.mark.parametrize(("values", "reason"), REFUSED.values(), ids=REFUSED)
async def test_a_secret_without_keys_is_said_and_never_quoted(
    source: GitSource,
    upstream: Upstream,
    put_secret: PutSecret,
    namespace: str,
    ada: SshKey,
    values: dict[str, bytes],
    reason: str,
) -> None:
    if values:
        put_secret("signers", values)
    signed(upstream, ada, "1")
    snapshot = await source.poll()
    assert isinstance(snapshot.error, VerificationError)
    expected = f"signatures cannot be checked, for want of keys: {reason}"
    assert expected.replace("NS", namespace) in str(snapshot.error)
    assert "hunter2" not in str(snapshot.error)
    assert not snapshot.files
