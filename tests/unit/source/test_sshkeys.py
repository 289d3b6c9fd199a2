"""Private keys for ssh: which forms are understood, what is forgiven, and why one is refused."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from agent.source.errors import CredentialsError
from agent.source.login import sshkeys
from agent.source.login.credentials import ssh_key

_ED25519 = ed25519.Ed25519PrivateKey.generate()
_RSA = rsa.generate_private_key(65537, 2048)
_EC = ec.generate_private_key(ec.SECP256R1())

_PLAIN = {
    "OpenSSH": _ED25519.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()),
    "PKCS#8": _ED25519.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    "RSA in PEM": _RSA.private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
    ),
    "EC in PEM": _EC.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
}
_LOCK = BestAvailableEncryption(b"swordfish")
_LOCKED = {
    "PKCS#8": _ED25519.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, _LOCK),
    "RSA in PEM": _RSA.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, _LOCK),
}
_OPENSSH = _PLAIN["OpenSSH"]
_PUBLIC = _ED25519.public_key()


def prepare(secret: bytes, passphrase: str = "") -> bytes:
    made = sshkeys.prepared(ssh_key(secret, passphrase))
    assert made.passphrase == ""
    return made.secret


def refusal(secret: bytes, passphrase: str = "") -> str:
    with pytest.raises(CredentialsError) as caught:
        prepare(secret, passphrase)
    return str(caught.value)


def locked_openssh() -> bytes:
    """The envelope of an encrypted OpenSSH key; what is in it is never looked at here."""
    blob = b"openssh-key-v1\0" + (10).to_bytes(4, "big") + b"aes256-ctr" + b"\0" * 60
    body = base64.b64encode(blob).decode()
    kind = "OPENSSH PRIVATE KEY"
    return f"-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\n".encode()


@pytest.mark.parametrize("secret", _PLAIN.values(), ids=_PLAIN)
def test_every_form_becomes_the_one_that_libssh2_reads(secret: bytes) -> None:
    assert load_ssh_private_key(prepare(secret), None)


@pytest.mark.parametrize("secret", _LOCKED.values(), ids=_LOCKED)
def test_an_encrypted_pem_key_is_opened_in_memory(secret: bytes) -> None:
    assert load_ssh_private_key(prepare(secret, "swordfish"), None)


def test_an_encrypted_openssh_key_is_left_to_libssh2_with_its_passphrase() -> None:
    made = sshkeys.prepared(ssh_key(locked_openssh(), "swordfish"))
    assert (made.secret, made.passphrase) == (locked_openssh(), "swordfish")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda key: key.replace(b"\n", b"\r\n"), id="crlf"),
        pytest.param(lambda key: key.rstrip(), id="no-last-newline"),
        pytest.param(lambda key: b"\n\n" + key + b"\n \n", id="blank-lines-around"),
        pytest.param(lambda key: b"  " + key.replace(b"\n", b"\n  "), id="indented"),
        pytest.param(lambda key: b"\xef\xbb\xbf" + key, id="byte-order-mark"),
    ],
)
@pytest.mark.parametrize("name", _PLAIN)
def test_what_editors_do_to_a_key_is_forgiven(name: str, change: Callable[[bytes], bytes]) -> None:
    public = load_ssh_private_key(prepare(_PLAIN[name]), None).public_key()
    again = load_ssh_private_key(prepare(change(_PLAIN[name])), None).public_key()
    assert again == public


@pytest.mark.parametrize("secret", [*_LOCKED.values(), locked_openssh()], ids=[*_LOCKED, "OpenSSH"])
def test_an_encrypted_key_without_passphrase_says_which_key_to_add(secret: bytes) -> None:
    assert "is encrypted" in refusal(secret)
    assert "passphrase = {" in refusal(secret)


@pytest.mark.parametrize("secret", _LOCKED.values(), ids=_LOCKED)
def test_a_wrong_passphrase_is_said_and_not_quoted(secret: bytes) -> None:
    said = refusal(secret, "tuna-f1sh")
    assert said == "the passphrase does not open the SSH private key"


_REFUSED = {
    "public key": (
        _PUBLIC.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        "this is a public key",
    ),
    "public PEM": (
        _PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "this is a public key",
    ),
    "RFC 4716": (b"---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n", "this is a public key"),
    "PuTTY": (b"PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n", "puttygen"),
    "rubbish": (b"hunter2", "not a private key in PEM or OpenSSH form"),
    "binary": (bytes(range(256)), "not a private key in PEM or OpenSSH form"),
    "certificate": (b"-----BEGIN CERTIFICATE-----\nAA==\n", "not a private key"),
    "damaged": (_OPENSSH.replace(b"b3BlbnNza", b"hunter2!!"), "damaged"),
    "cut off": (_OPENSSH[: len(_OPENSSH) // 2], "cut off or damaged"),
    "no footer": (_OPENSSH.partition(b"-----END")[0], "cut off or damaged"),
    "cut PEM": (_PLAIN["RSA in PEM"][:300], "cut off or damaged"),
    "envelope only": (
        b"-----BEGIN OPENSSH PRIVATE KEY-----\n"
        + base64.b64encode(b"openssh-key-v1\0\0\0\0\4none")
        + b"\n-----END OPENSSH PRIVATE KEY-----\n",
        "cut off or damaged",
    ),
}


@pytest.mark.parametrize(("secret", "reason"), _REFUSED.values(), ids=_REFUSED)
def test_what_is_no_private_key_is_refused_with_the_reason(secret: bytes, reason: str) -> None:
    said = refusal(secret)
    assert reason in said
    assert "hunter2" not in said
    assert not re.search(r"[A-Za-z0-9+/]{40}", said)
