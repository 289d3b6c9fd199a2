"""Every kind of private key, in every form there is of it, against a real sshd; and known_hosts."""

from __future__ import annotations

import base64
import hashlib
import hmac
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from secrets import token_bytes

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_ssh_private_key,
)

from agent.source.errors import AuthError
from tests.gitservers.sshd import SshServer, generate_key
from tests.integration.source.conftest import Remote, Track

pytestmark = [pytest.mark.integration, pytest.mark.asyncio]

PASSPHRASE = "swordfish"
KINDS = {
    "rsa-3072": ("-t", "rsa", "-b", "3072"),
    "ecdsa-256": ("-t", "ecdsa", "-b", "256"),
    "ecdsa-384": ("-t", "ecdsa", "-b", "384"),
    "ecdsa-521": ("-t", "ecdsa", "-b", "521"),
    "ed25519": ("-t", "ed25519"),
}
FORMS = ("OpenSSH", "PEM", "PKCS8")
# Ed25519 is younger than the traditional PEM form.
MATRIX = [(k, f) for k in KINDS for f in FORMS if (k, f) != ("ed25519", "PEM")]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A key of each kind, in OpenSSH's form, not encrypted."""
    folder = tmp_path_factory.mktemp("keys")
    for name, kind in KINDS.items():
        command = ["ssh-keygen", "-q", *kind, "-N", "", "-f", str(folder / name)]
        subprocess.run(command, check=True, capture_output=True)
    return {name: folder / name for name in KINDS}


@pytest.fixture
def restored(ssh_server: SshServer) -> Iterator[SshServer]:
    """The server, which lets in its own client key again after the test."""
    yield ssh_server
    ssh_server.authorize(ssh_server.client_key)


def in_form(key: Path, form: str, passphrase: str) -> bytes:
    """Return a private key as the tools of the field write it: ssh-keygen, or openssl for it."""
    if key.name == "ed25519" and form == "PKCS8":  # which ssh-keygen cannot write
        lock = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
        loaded = load_ssh_private_key(key.read_bytes(), None)
        return loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)
    copy = key.with_suffix(".copy")
    copy.write_bytes(key.read_bytes())
    copy.chmod(0o600)
    flags = ["-m", {"OpenSSH": "RFC4716"}.get(form, form)]
    command = ["ssh-keygen", "-q", "-p", "-N", passphrase, "-P", "", *flags, "-f", str(copy)]
    subprocess.run(command, check=True, capture_output=True)
    return copy.read_bytes()


@pytest.mark.parametrize("passphrase", ["", PASSPHRASE], ids=["plain", "encrypted"])
@pytest.mark.parametrize(("kind", "form"), MATRIX, ids=str)
async def test_a_key_of_every_kind_and_form_is_let_in(
    ssh: Remote,
    restored: SshServer,
    track: Track,
    keys: dict[str, Path],
    kind: str,
    form: str,
    passphrase: str,
) -> None:
    ssh.upstream.commit({"deploy/a.yaml": "1"})
    restored.authorize(keys[kind])
    secret = in_form(keys[kind], form, passphrase)
    credentials = replace(ssh.credentials, secret=secret, passphrase=passphrase)
    assert (await track(replace(ssh, credentials=credentials)).poll()).error is None


@pytest.mark.parametrize(("kind", "form"), MATRIX, ids=str)
async def test_a_passphrase_that_is_missing_or_wrong_is_said(
    ssh: Remote, track: Track, keys: dict[str, Path], kind: str, form: str
) -> None:
    secret = in_form(keys[kind], form, PASSPHRASE)
    for passphrase, reason in (
        ("", "add passphrase = { … } to deploy-key"),
        ("tuna-f1sh", "the passphrase does not open the SSH private key"),
    ):
        credentials = replace(ssh.credentials, secret=secret, passphrase=passphrase)
        error = (await track(replace(ssh, credentials=credentials)).poll()).error
        assert isinstance(error, AuthError)
        assert reason in str(error)
        assert "tuna" not in str(error)


@pytest.mark.parametrize("ending", ["\r\n", "\n"], ids=["crlf", "no-last-newline"])
async def test_a_key_that_an_editor_has_touched_is_let_in(
    ssh: Remote, track: Track, ending: str
) -> None:
    ssh.upstream.commit({"deploy/a.yaml": "1"})
    header, rest = b"-----BEGIN OPENSSH PRIVATE KEY-----", b"-----END OPENSSH PRIVATE KEY-----"
    body = ssh.credentials.secret.partition(header)[2].partition(rest)[0].split()
    secret = ending.encode().join([header, *body, rest])
    credentials = replace(ssh.credentials, secret=secret)
    assert (await track(replace(ssh, credentials=credentials)).poll()).error is None


def hashed(line: str) -> str:
    """Return a line of known_hosts as ``ssh-keygen -H`` writes it."""
    host, rest = line.split(" ", 1)
    salt = token_bytes(20)
    digest = hmac.digest(salt, host.encode(), hashlib.sha1)
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()} {rest}"


@pytest.mark.parametrize("form", ["plain", "hashed", "several", "comments", "crlf", "no-newline"])
async def test_known_hosts_in_any_form_lets_the_server_be_known(
    ssh: Remote, ssh_server: SshServer, track: Track, tmp_path: Path, form: str
) -> None:
    ssh.upstream.commit({"deploy/a.yaml": "1"})
    line = ssh_server.known_hosts
    other = generate_key(tmp_path / "other", kind="ecdsa").with_name("other.pub").read_text()
    text = {
        "plain": line,
        "hashed": hashed(line),
        "several": f"elsewhere.example.org {other}{hashed(f'[10.0.0.1]:22 {other}')}{line}",
        "comments": f"# our server\n\n{line}",
        "crlf": line.replace("\n", "\r\n"),
        "no-newline": line.rstrip(),
    }[form]
    credentials = replace(ssh.credentials, known_hosts=text)
    assert (await track(replace(ssh, credentials=credentials)).poll()).error is None


@pytest.mark.parametrize("form", ["plain", "hashed"])
async def test_a_server_with_another_key_is_not_believed_however_its_name_is_written(
    ssh: Remote, ssh_server: SshServer, track: Track, tmp_path: Path, form: str
) -> None:
    line = ssh_server.known_hosts_with(generate_key(tmp_path / "impostor"))
    text = hashed(line) if form == "hashed" else line
    credentials = replace(ssh.credentials, known_hosts=text)
    error = (await track(replace(ssh, credentials=credentials)).poll()).error
    assert isinstance(error, AuthError)
    assert "is not the one in known_hosts" in str(error)


async def test_the_key_of_another_port_of_the_host_is_not_believed(
    ssh: Remote, ssh_server: SshServer, track: Track
) -> None:
    text = ssh_server.known_hosts.replace(f":{ssh_server.port}", f":{ssh_server.port + 1}")
    credentials = replace(ssh.credentials, known_hosts=text)
    error = (await track(replace(ssh, credentials=credentials)).poll()).error
    assert isinstance(error, AuthError)
    assert f"[127.0.0.1]:{ssh_server.port} is not in known_hosts" in str(error)
