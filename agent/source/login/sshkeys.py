"""Private keys for ssh: which forms are understood, and why one is not.

libssh2 reads every kind of key in OpenSSH's own form; PEM and PKCS#8 are put into it, in memory
only. Its errors do not tell a wrong passphrase from rubbish, so keys are looked at before it gets
them. May take a tenth of a second for an encrypted key: not for the event loop.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import replace
from typing import Final

from agent.source.errors import CredentialsError
from agent.source.login.credentials import Credentials

_OPENSSH: Final = b"-----BEGIN OPENSSH PRIVATE KEY-----"
_OPENSSH_END: Final = b"-----END OPENSSH PRIVATE KEY-----"
_OPENSSH_MAGIC: Final = b"openssh-key-v1\0"
_PUBLIC: Final = re.compile(
    rb"(ssh-(rsa|dss|ed25519)|ecdsa-sha2-|sk-)|-----BEGIN (RSA )?PUBLIC KEY|---- BEGIN SSH2 PUBLIC"
)
_PEM_PRIVATE: Final = re.compile(rb"-----BEGIN ([A-Z]+ )*PRIVATE KEY-----")

_LOCKED: Final = (
    "the SSH private key is encrypted and there is no passphrase for it: "
    "add passphrase = { … } to deploy-key (password in a Secret that is read whole)"
)
NOT_OPENED: Final = "the passphrase does not open the SSH private key"
_NOT_A_KEY: Final = "not a private key in PEM or OpenSSH form"
_DAMAGED: Final = f"{_NOT_A_KEY}: it is cut off or damaged"
_UNSUPPORTED: Final = "this kind of SSH key is not supported: use Ed25519"


def prepared(credentials: Credentials) -> Credentials:
    """Return credentials of kind SSH_KEY whose key libssh2 can read; raise CredentialsError.

    A key that could be opened here is passed on without its passphrase.
    """
    text = _normalised(credentials.secret)
    _refuse_what_is_no_private_key(text)
    if text.startswith(_OPENSSH):
        return _openssh(credentials, text)
    return replace(credentials, secret=_converted(text, credentials.passphrase), passphrase="")


def is_passphrase_wrong(shown: Credentials, reason: str) -> bool:
    """Whether libssh2 could not open a prepared key: its words are those for rubbish."""
    return bool(shown.passphrase) and "private key file" in reason


def _normalised(secret: bytes) -> bytes:
    """Forgive what editors, Windows and YAML do to a key: CRLF, indentation, no last newline."""
    lines = [line.strip() for line in secret.removeprefix(b"\xef\xbb\xbf").strip().splitlines()]
    return b"\n".join(lines) + b"\n"


def _refuse_what_is_no_private_key(text: bytes) -> None:
    if text.startswith(b"PuTTY-User-Key-File-"):
        raise CredentialsError(
            "the SSH private key is in PuTTY's form: convert it with "
            "`puttygen KEY -O private-openssh -o NEW`"
        )
    if _PUBLIC.match(text):
        raise CredentialsError(
            "this is a public key: deploy-key needs the private half, the file without .pub"
        )
    if not _PEM_PRIVATE.match(text):
        raise CredentialsError(_NOT_A_KEY)


def _openssh(credentials: Credentials, text: bytes) -> Credentials:
    if _cipher(text) == b"none":
        _check_openssh(text)
        return replace(credentials, secret=text, passphrase="")
    if not credentials.passphrase:
        raise CredentialsError(_LOCKED)
    return replace(credentials, secret=text)


def _cipher(text: bytes) -> bytes:
    """Return what an OpenSSH key is encrypted with, ``none`` if it is not (PROTOCOL.key)."""
    body = text.removeprefix(_OPENSSH).partition(_OPENSSH_END)[0]
    try:
        blob = base64.b64decode(body.replace(b"\n", b""), validate=True)
    except binascii.Error:
        raise CredentialsError(_DAMAGED) from None
    if not blob.startswith(_OPENSSH_MAGIC) or _OPENSSH_END not in text:
        raise CredentialsError(_DAMAGED)
    rest = blob.removeprefix(_OPENSSH_MAGIC)
    return rest[4 : 4 + int.from_bytes(rest[:4], "big")]


def _check_openssh(text: bytes) -> None:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_ssh_private_key

    try:
        load_ssh_private_key(text, password=None)
    except UnsupportedAlgorithm:
        raise CredentialsError(_UNSUPPORTED) from None
    except (ValueError, TypeError):
        raise CredentialsError(_DAMAGED) from None


def _converted(text: bytes, passphrase: str) -> bytes:
    """Return a PEM or PKCS#8 key in OpenSSH's form, not encrypted."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    encrypted = b"ENCRYPTED" in text
    if encrypted and not passphrase:
        raise CredentialsError(_LOCKED)
    try:
        password = passphrase.encode() if encrypted else None
        key = serialization.load_pem_private_key(text, password)
        return key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
    except UnsupportedAlgorithm:
        raise CredentialsError(_UNSUPPORTED) from None
    except (ValueError, TypeError):
        reason = NOT_OPENED if encrypted else _DAMAGED
        raise CredentialsError(reason) from None
