"""SSH signatures: the format SSHSIG, and the arithmetic of each kind of key.

Pure. The format is OpenSSH's PROTOCOL.sshsig, the keys' and signatures' encodings are those of
RFC 4253, 5656, 8332, 8709 and OpenSSH's PROTOCOL.u2f. Says whether a signature is the key's that it
names; whether that key is trusted is for the keyring. What SHA-1 made is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from agent.source.errors import SignatureError

NAMESPACE: Final = b"git"
"""What git signs for; a signature of a file or a mail must not count as one of a commit."""

TOUCHED: Final = 0x01
"""Flag of a security key's signature: somebody was present and touched it."""

PIN_GIVEN: Final = 0x04
"""Flag of a security key's signature: it knew who that was, by PIN or fingerprint."""

SHORTEST_RSA: Final = 2048
"""Bits below which an RSA key is refused."""

_MAGIC: Final = b"SSHSIG"
_BEGIN: Final = b"-----BEGIN SSH SIGNATURE-----\n"
_END: Final = b"\n-----END SSH SIGNATURE-----"
_ALGORITHMS: Final = {
    b"ssh-ed25519": (b"ssh-ed25519",),
    b"ssh-rsa": (b"rsa-sha2-512", b"rsa-sha2-256"),
    b"ecdsa-sha2-nistp256": (b"ecdsa-sha2-nistp256",),
    b"ecdsa-sha2-nistp384": (b"ecdsa-sha2-nistp384",),
    b"ecdsa-sha2-nistp521": (b"ecdsa-sha2-nistp521",),
    b"sk-ssh-ed25519@openssh.com": (b"sk-ssh-ed25519@openssh.com",),
    b"sk-ecdsa-sha2-nistp256@openssh.com": (b"sk-ecdsa-sha2-nistp256@openssh.com",),
}
_DIGESTS: Final = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}
_CURVE_HASHES: Final = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}

KEY_TYPES: Final = frozenset(kind.decode() for kind in _ALGORITHMS)
"""The types of keys that can be checked."""

PublicKey = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey


@dataclass(frozen=True, slots=True)
class SshSignature:
    """A signature as it came.

    ``key`` is the encoding of the public key that it names, ``digest`` the algorithm that the
    payload went through, ``blob`` what the key made of that.
    """

    key: bytes
    digest: bytes
    reserved: bytes
    blob: bytes


def parse(armored: bytes) -> SshSignature:
    """Read a signature in its armor; raise SignatureError when it is malformed or not git's."""
    text = armored.strip()
    if not (text.startswith(_BEGIN) and text.endswith(_END)):
        raise _malformed("its armor is broken")
    try:
        body = text.removeprefix(_BEGIN).removesuffix(_END)
        data = base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error:
        raise _malformed("it is not base64") from None
    if not data.startswith(_MAGIC + b"\0\0\0\1"):
        raise _malformed("it is no SSHSIG of version 1")
    key, data = _string(data[len(_MAGIC) + 4 :])
    namespace, data = _string(data)
    reserved, data = _string(data)
    digest, data = _string(data)
    blob, data = _string(data)
    if data:
        raise _malformed("something follows it")
    if namespace != NAMESPACE:
        shown = namespace[:40].decode(errors="backslashreplace")
        raise SignatureError(f"its SSH signature is for the namespace {shown!r}, not for 'git'")
    if digest not in _DIGESTS:
        raise _malformed("its digest is neither sha256 nor sha512")
    return SshSignature(key, digest, reserved, blob)


def key_type(key: bytes) -> str:
    """Return the type that a public key's encoding starts with; raise SignatureError."""
    return _string(key)[0].decode(errors="backslashreplace")


def load_key(key: bytes) -> PublicKey:
    """Decode a public key; raise SignatureError when it is malformed, weak or of another kind."""
    kind = key_type(key)
    if kind not in KEY_TYPES:
        raise SignatureError(f"SSH keys of type {kind[:60]!r} are not supported")
    try:
        loaded = load_ssh_public_key(kind.encode() + b" " + base64.b64encode(key))
    except (ValueError, UnsupportedAlgorithm, NotImplementedError):  # a compressed point
        raise SignatureError(f"a malformed SSH key of type {kind}") from None
    if not isinstance(loaded, PublicKey):
        raise SignatureError(f"SSH keys of type {kind} are not supported")
    if isinstance(loaded, rsa.RSAPublicKey) and loaded.key_size < SHORTEST_RSA:
        raise SignatureError(
            f"an RSA key of {loaded.key_size} bits is too short, {SHORTEST_RSA} is the least"
        )
    return loaded


def check(signature: SshSignature, payload: bytes) -> int | None:
    """Raise SignatureError unless the key that the signature names has signed ``payload``.

    Returns the flags of a security key (TOUCHED, PIN_GIVEN), None for any other key.
    """
    kind = key_type(signature.key).encode()
    key = load_key(signature.key)
    algorithm, rest = _string(signature.blob)
    if algorithm not in _ALGORITHMS[kind]:
        shown = algorithm[:40].decode(errors="backslashreplace")
        weak = ", which is SHA-1," if algorithm == b"ssh-rsa" else ""
        raise SignatureError(f"its SSH signature uses {shown!r}{weak} and is refused for that")
    value, rest = _string(rest)
    signed = _signed_data(signature, payload)
    flags = None
    if kind.startswith(b"sk-"):
        # A security key signs digests and its own account of the moment (PROTOCOL.u2f).
        if len(rest) != 5:
            raise _malformed("its security key's flags and counter are missing")
        flags = rest[0]
        application = _last_string(signature.key)
        signed = hashlib.sha256(application).digest() + rest + hashlib.sha256(signed).digest()
    elif rest:
        raise _malformed("something follows it")
    try:
        _check(key, algorithm, value, signed)
    except InvalidSignature:
        raise SignatureError(
            "its SSH signature does not fit: it was changed after it was signed"
        ) from None
    return flags


def _signed_data(signature: SshSignature, payload: bytes) -> bytes:
    digest = _DIGESTS[signature.digest](payload).digest()
    parts = (NAMESPACE, signature.reserved, signature.digest, digest)
    return _MAGIC + b"".join(len(part).to_bytes(4) + part for part in parts)


def _check(key: PublicKey, algorithm: bytes, value: bytes, signed: bytes) -> None:
    if isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(value, signed)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(_ecdsa(value), signed, ec.ECDSA(_CURVE_HASHES[key.curve.key_size]))
    else:
        # OpenSSH may leave out zeros in front.
        value = value.rjust((key.key_size + 7) // 8, b"\0")
        digest = hashes.SHA512() if algorithm == b"rsa-sha2-512" else hashes.SHA256()
        key.verify(value, signed, padding.PKCS1v15(), digest)


def _ecdsa(value: bytes) -> bytes:
    """Turn ECDSA's two numbers from SSH's encoding into ASN.1's."""
    first, rest = _string(value)
    second, rest = _string(rest)
    if rest:
        raise _malformed("something follows it")
    return encode_dss_signature(int.from_bytes(first), int.from_bytes(second))


def _string(data: bytes) -> tuple[bytes, bytes]:
    """Split an SSH string (RFC 4251 section 5) off the front."""
    end = 4 + int.from_bytes(data[:4])
    if len(data) < 4 or len(data) < end:
        raise _malformed("it is cut off")
    return data[4:end], data[end:]


def _last_string(data: bytes) -> bytes:
    found = b""
    while data:
        found, data = _string(data)
    return found


def _malformed(why: str) -> SignatureError:
    return SignatureError(f"its SSH signature or key is malformed: {why}")
