"""Who trusts whom: host keys, certificates, passwords and keys, and that none of them gets out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agent.source.errors import AuthError, CredentialsError
from agent.source.login.credentials import Credentials, basic_auth, ssh_key
from agent.source.login.places import File
from agent.source.login.providers import PlacedCredentials, PlacedKey, StaticCredentials
from agent.source.snapshot import Snapshot, Trust
from tests.gitservers.https import HttpsServer
from tests.gitservers.sshd import SshServer, generate_key
from tests.integration.source.conftest import PASSWORD, Remote, Track

pytestmark = [pytest.mark.integration, pytest.mark.asyncio]


def _refused(snapshot: Snapshot, *parts: str) -> None:
    assert snapshot.trust is Trust.UNREADABLE
    assert isinstance(snapshot.error, AuthError), snapshot.error
    for part in parts:
        assert part in str(snapshot.error)


def _everything_below(folder: Path) -> bytes:
    names = " ".join(map(str, folder.rglob("*"))).encode()
    return names + b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


def _with(remote: Remote, credentials: Credentials) -> Remote:
    return replace(remote, credentials=credentials)


async def test_a_wrong_host_key_is_refused(
    ssh: Remote, ssh_server: SshServer, track: Track, tmp_path: Path
) -> None:
    ssh.upstream.commit({"deploy/a.yaml": "1"})
    impostor = ssh_server.known_hosts_with(generate_key(tmp_path / "other"))
    source = track(_with(ssh, replace(ssh.credentials, known_hosts=impostor)))
    _refused(await source.poll(), "is not the one in known_hosts", "ssh-keyscan -p")


async def test_an_unknown_host_is_refused(ssh: Remote, track: Track, tmp_path: Path) -> None:
    public = generate_key(tmp_path / "other").with_name("other.pub").read_text()
    source = track(_with(ssh, replace(ssh.credentials, known_hosts=f"elsewhere.org {public}")))
    _refused(await source.poll(), "is not in known_hosts", "ssh-keyscan -p")


async def test_without_any_known_hosts_nothing_is_asked_and_the_remedy_is_said(
    ssh: Remote,
    ssh_server: SshServer,
    track: Track,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSH_KNOWN_HOSTS", str(tmp_path / "none"))
    sessions = len(ssh_server.commands())
    source = track(_with(ssh, replace(ssh.credentials, known_hosts="")))
    _refused(await source.poll(), "there is no known_hosts", "ssh-keyscan -p")
    assert len(ssh_server.commands()) == sessions


async def test_the_machines_known_hosts_are_used_when_none_are_given(
    ssh: Remote,
    ssh_server: SshServer,
    track: Track,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ssh.upstream.commit({"deploy/a.yaml": "1"})
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "known_hosts").write_text(ssh_server.known_hosts)
    monkeypatch.setenv("HOME", str(tmp_path))
    source = track(_with(ssh, replace(ssh.credentials, known_hosts="")))
    assert (await source.poll()).trust is Trust.NEW


async def test_ssh_without_a_key_is_refused(ssh: Remote, track: Track) -> None:
    _refused(await track(_with(ssh, Credentials())).poll(), "a private key is required")


async def test_a_key_the_server_does_not_know_is_refused(
    ssh: Remote, track: Track, tmp_path: Path
) -> None:
    stranger = generate_key(tmp_path / "stranger").read_bytes()
    source = track(_with(ssh, replace(ssh.credentials, secret=stranger)))
    _refused(await source.poll(), "refused the SSH key", "deploy-key")


@pytest.mark.parametrize(
    ("kind", "passphrase"), [("ed25519", "swordfish"), ("rsa", ""), ("ecdsa", "")]
)
async def test_keys_of_every_kind_are_let_in(
    ssh: Remote, ssh_server: SshServer, track: Track, tmp_path: Path, kind: str, passphrase: str
) -> None:
    ssh.upstream.commit({"deploy/a.yaml": "1"})
    key = generate_key(tmp_path / "key", kind=kind, passphrase=passphrase)
    ssh_server.authorize(key)
    try:
        credentials = replace(ssh.credentials, secret=key.read_bytes(), passphrase=passphrase)
        assert (await track(_with(ssh, credentials)).poll()).error is None
    finally:
        ssh_server.authorize(ssh_server.client_key)


async def test_a_wrong_passphrase_is_an_error_about_the_key(
    ssh: Remote, track: Track, tmp_path: Path
) -> None:
    key = generate_key(tmp_path / "key", passphrase="swordfish").read_bytes()
    source = track(_with(ssh, replace(ssh.credentials, secret=key, passphrase="tuna-f1sh")))
    snapshot = await source.poll()
    _refused(snapshot, "private key")
    assert "tuna-f1sh" not in str(snapshot.error)


async def test_a_wrong_password_is_refused_clearly(https: Remote, track: Track) -> None:
    wrong = replace(https.credentials, secret=b"wr0ng")
    snapshot = await track(_with(https, wrong)).poll()
    _refused(snapshot, "refused the user name or password", "deploy-key")
    assert "wr0ng" not in str(snapshot.error)


async def test_a_server_that_wants_credentials_and_gets_none_is_said(
    https: Remote, track: Track
) -> None:
    anonymous = Credentials(ca=https.credentials.ca)
    _refused(await track(_with(https, anonymous)).poll(), "none are configured")


async def test_a_certificate_of_an_unknown_authority_is_refused(
    https: Remote, track: Track
) -> None:
    source = track(_with(https, replace(https.credentials, ca=b"")))
    _refused(await source.poll(), "certificate of 127.0.0.1 is not trusted", "track's ca")


async def test_one_tracks_authority_is_not_believed_for_another(
    https: Remote, track: Track
) -> None:
    https.upstream.commit({"deploy/a.yaml": "1"})
    assert (await track(https).poll()).error is None
    other = track(_with(https, replace(https.credentials, ca=b"")), reference="other")
    _refused(await other.poll(), "is not trusted")


async def test_credentials_that_were_put_right_work_at_the_next_poll(
    https: Remote, https_server: HttpsServer, track: Track, tmp_path: Path
) -> None:
    https.upstream.commit({"deploy/a.yaml": "1"})
    secret = tmp_path / "secret"
    secret.write_text("ada:wrong\n")
    source = track(
        https,
        credentials=PlacedCredentials(
            PlacedKey(File(secret), basic_auth), ca=File(https_server.authority.ca)
        ),
    )
    _refused(await source.poll())
    secret.write_text(f"ada:{PASSWORD}\n")
    assert (await source.poll()).trust is Trust.NEW


async def test_a_secret_that_cannot_be_read_is_an_error_of_the_track(
    https: Remote, track: Track, tmp_path: Path
) -> None:
    source = track(
        https, credentials=PlacedCredentials(PlacedKey(File(tmp_path / "none"), ssh_key))
    )
    _refused(await source.poll(), "unable to retrieve git credentials", "none: No such file")


async def test_what_a_provider_raises_is_an_error_of_the_track(https: Remote, track: Track) -> None:
    class Failing(StaticCredentials):
        async def get(self, *, fresh: bool) -> Credentials:
            raise CredentialsError("Secret shop/key does not exist")

    source = track(https, credentials=Failing())
    _refused(await source.poll(), "Secret shop/key does not exist")


async def test_no_secret_is_ever_on_disk_or_in_a_snapshot(
    https: Remote, ssh: Remote, track: Track, state_dir: Path
) -> None:
    https.upstream.commit({"deploy/a.yaml": "1"})
    in_url = https.url.replace("https://", "https://ada:c4nary%3Ap4ssw0rd@")
    shown = ""
    for remote, changes in (
        (https, {}),
        (https, {"url": in_url, "credentials": StaticCredentials()}),
        (https, {"reference": "none"}),
        (ssh, {}),
        (ssh, {"url": ssh.url.replace("@", ":p4ssw0rd@")}),
    ):
        source = track(remote, **changes)
        for _ in range(2):
            shown += repr(await source.poll())
        shown += source.url + repr(source.__dict__["_url"])
    on_disk = _everything_below(state_dir)
    assert "deploy/a.yaml" in shown
    key = ssh.credentials.secret.decode().splitlines()[1]
    for canary in (PASSWORD, "p4ssw0rd", "c4nary%3A", key):
        assert canary not in shown
        assert canary.encode() not in on_disk
