"""SSHSIG, taken apart and checked: each kind of key, each part changed, and anything at all."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.source.errors import SignatureError
from agent.source.signatures import sshsig

PAYLOAD = b"tree 1\n\nmessage\n"

Sign = Callable[[bytes], bytes]
"""From the signed data to the signature's blob."""


def packed(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(4) + part for part in parts)


def mpint(number: int) -> bytes:
    return number.to_bytes(number.bit_length() // 8 + 1)


def public(
    key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
) -> bytes:
    line = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return base64.b64decode(line.split()[1])


def numbers(der: bytes) -> bytes:
    return packed(*map(mpint, decode_dss_signature(der)))


ED25519 = ed25519.Ed25519PrivateKey.generate()
P256, P384, P521 = (
    ec.generate_private_key(c()) for c in (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
)
RSA = rsa.generate_private_key(65537, 2048)
SHORT_RSA = rsa.generate_private_key(65537, 1024)
TOUCH = 1


def signs_ed25519(data: bytes) -> bytes:
    return packed(b"ssh-ed25519", ED25519.sign(data))


def signs_ecdsa(key: ec.EllipticCurvePrivateKey, digest: hashes.HashAlgorithm) -> Sign:
    name = f"ecdsa-sha2-nistp{key.curve.key_size}".encode()
    return lambda data: packed(name, numbers(key.sign(data, ec.ECDSA(digest))))


def signs_rsa(key: rsa.RSAPrivateKey, name: bytes, digest: hashes.HashAlgorithm) -> Sign:
    return lambda data: packed(name, key.sign(data, padding.PKCS1v15(), digest))


def touched(data: bytes, flags: int = TOUCH) -> bytes:
    moment = bytes([flags]) + (7).to_bytes(4)
    return hashlib.sha256(b"ssh:").digest() + moment + hashlib.sha256(data).digest()


def signs_sk_ed25519(data: bytes) -> bytes:
    name = b"sk-ssh-ed25519@openssh.com"
    return packed(name, ED25519.sign(touched(data))) + bytes([TOUCH]) + (7).to_bytes(4)


def signs_sk_ecdsa(data: bytes) -> bytes:
    name = b"sk-ecdsa-sha2-nistp256@openssh.com"
    value = numbers(P256.sign(touched(data), ec.ECDSA(hashes.SHA256())))
    return packed(name, value) + bytes([TOUCH]) + (7).to_bytes(4)


def sk_ed25519(application: bytes = b"ssh:") -> bytes:
    point = ED25519.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return packed(b"sk-ssh-ed25519@openssh.com", point, application)


def sk_ecdsa(application: bytes = b"ssh:") -> bytes:
    point = P256.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return packed(b"sk-ecdsa-sha2-nistp256@openssh.com", b"nistp256", point, application)


KINDS: dict[str, tuple[bytes, Sign]] = {
    "ed25519": (public(ED25519), signs_ed25519),
    "ecdsa-256": (public(P256), signs_ecdsa(P256, hashes.SHA256())),
    "ecdsa-384": (public(P384), signs_ecdsa(P384, hashes.SHA384())),
    "ecdsa-521": (public(P521), signs_ecdsa(P521, hashes.SHA512())),
    "rsa-256": (public(RSA), signs_rsa(RSA, b"rsa-sha2-256", hashes.SHA256())),
    "rsa-512": (public(RSA), signs_rsa(RSA, b"rsa-sha2-512", hashes.SHA512())),
    "sk-ed25519": (sk_ed25519(), signs_sk_ed25519),
    "sk-ecdsa": (sk_ecdsa(), signs_sk_ecdsa),
}


def blob(
    key: bytes,
    sign: Sign,
    *,
    namespace: bytes = b"git",
    digest: str = "sha512",
    version: int = 1,
    payload: bytes = PAYLOAD,
) -> bytes:
    """An SSHSIG as ssh-keygen makes it; hashlib does not know digests that do not exist."""
    hashed = hashlib.new(digest if digest != "sha0" else "sha256", payload).digest()
    signed = b"SSHSIG" + packed(namespace, b"", digest.encode(), hashed)
    rest = packed(key, namespace, b"", digest.encode(), sign(signed))
    return b"SSHSIG" + version.to_bytes(4) + rest


def armored(data: bytes) -> bytes:
    body = base64.encodebytes(data)
    return b"-----BEGIN SSH SIGNATURE-----\n" + body + b"-----END SSH SIGNATURE-----\n"


def check(data: bytes, payload: bytes = PAYLOAD) -> int | None:
    return sshsig.check(sshsig.parse(armored(data)), payload)


@pytest.mark.parametrize("digest", ["sha256", "sha512"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_signature_by_each_kind_of_key_holds(kind: str, digest: str) -> None:
    key, sign = KINDS[kind]
    assert check(blob(key, sign, digest=digest)) == (TOUCH if kind.startswith("sk-") else None)


@pytest.mark.parametrize("kind", KINDS)
def test_it_does_not_hold_for_other_data(kind: str) -> None:
    with pytest.raises(SignatureError, match="does not fit"):
        check(blob(*KINDS[kind]), PAYLOAD + b" ")


@pytest.mark.parametrize("kind", KINDS)
def test_it_does_not_hold_by_another_key_of_its_kind(kind: str) -> None:
    other_ec = {k.curve.key_size: ec.generate_private_key(k.curve) for k in (P256, P384, P521)}
    keys = {
        "ed25519": public(ed25519.Ed25519PrivateKey.generate()),
        **{f"ecdsa-{size}": public(key) for size, key in other_ec.items()},
        **dict.fromkeys(("rsa-256", "rsa-512"), public(rsa.generate_private_key(65537, 2048))),
        "sk-ed25519": sk_ed25519(b"ssh:other"),
        "sk-ecdsa": sk_ecdsa(b"ssh:other"),
    }
    with pytest.raises(SignatureError, match="does not fit"):
        check(blob(keys[kind], KINDS[kind][1]))


REFUSED = {
    "another namespace": (blob(*KINDS["ed25519"], namespace=b"file"), "namespace 'file'"),
    "no namespace": (blob(*KINDS["ed25519"], namespace=b""), "namespace ''"),
    "another version": (blob(*KINDS["ed25519"], version=2), "no SSHSIG of version 1"),
    "sha1 as digest": (blob(*KINDS["ed25519"], digest="sha1"), "neither sha256 nor sha512"),
    "no such digest": (blob(*KINDS["ed25519"], digest="sha0"), "neither sha256 nor sha512"),
    "cut off": (blob(*KINDS["ed25519"])[:-1], "cut off"),
    "something after it": (blob(*KINDS["ed25519"]) + b"x", "something follows"),
    "RSA with SHA-1": (
        blob(public(RSA), signs_rsa(RSA, b"ssh-rsa", hashes.SHA256())),
        "SHA-1",
    ),
    "a short RSA key": (
        blob(public(SHORT_RSA), signs_rsa(SHORT_RSA, b"rsa-sha2-512", hashes.SHA512())),
        "1024 bits is too short",
    ),
    "algorithm of another key": (
        blob(public(ED25519), signs_ecdsa(P256, hashes.SHA256())),
        "uses 'ecdsa-sha2-nistp256'",
    ),
    "DSA": (blob(packed(b"ssh-dss", b"\1"), signs_ed25519), "'ssh-dss' are not supported"),
    "a certificate": (
        blob(packed(b"ssh-ed25519-cert-v01@openssh.com", b"\1"), signs_ed25519),
        "cert-v01@openssh.com' are not supported",
    ),
    "a point off the curve": (
        blob(packed(b"ecdsa-sha2-nistp256", b"nistp256", b"\4" + b"\1" * 64), signs_ed25519),
        "malformed SSH key",
    ),
    "a compressed point": (
        blob(packed(b"ecdsa-sha2-nistp256", b"nistp256", b"\2" + b"\1" * 32), signs_ed25519),
        "malformed SSH key",
    ),
    "a key with a tail": (blob(public(ED25519) + b"\0", signs_ed25519), "malformed SSH key"),
    "something after the signature": (
        blob(public(ED25519), lambda data: signs_ed25519(data) + b"x"),
        "something follows",
    ),
    "a security key that counts not": (
        blob(sk_ed25519(), lambda data: signs_sk_ed25519(data)[:-1]),
        "flags and counter are missing",
    ),
    "other flags than those signed": (
        blob(sk_ed25519(), lambda data: signs_sk_ed25519(data)[:-5] + b"\5\0\0\0\7"),
        "does not fit",
    ),
}


@pytest.mark.parametrize(("data", "reason"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(SignatureError, match="(?s).*" + reason.replace("(", r"\(")):
        check(data)


ARMORS = {
    "none": b"",
    "no end": armored(b"x").replace(b"END", b"FIN"),
    "two": armored(blob(*KINDS["ed25519"])) * 2,
    "something before it": b"x\n" + armored(blob(*KINDS["ed25519"])),
    "something after it": armored(blob(*KINDS["ed25519"])) + b"x\n",
    "not base64": armored(b"SSHSIG").replace(b"U", b"=", 1),
    "OpenPGP": b"-----BEGIN PGP SIGNATURE-----\n\nAA==\n-----END PGP SIGNATURE-----\n",
}


@pytest.mark.parametrize("armor", ARMORS.values(), ids=ARMORS)
def test_a_broken_armor_is_refused(armor: bytes) -> None:
    with pytest.raises(SignatureError, match="malformed"):
        sshsig.parse(armor)


@settings(deadline=None)
@given(st.binary())
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    for text in (data, armored(data), armored(b"SSHSIG\0\0\0\1" + data)):
        with pytest.raises(SignatureError):
            sshsig.check(sshsig.parse(text), PAYLOAD)


GOOD = {kind: blob(key, sign) for kind, (key, sign) in KINDS.items()}


@settings(deadline=None)
@given(st.sampled_from(sorted(GOOD)), st.data())
def test_a_signature_with_one_byte_changed_does_not_hold(kind: str, data: st.DataObject) -> None:
    good = GOOD[kind]
    place = data.draw(st.integers(0, len(good) - 1))
    other = data.draw(st.integers(1, 255))
    bad = good[:place] + bytes([good[place] ^ other]) + good[place + 1 :]
    with pytest.raises(SignatureError):
        check(bad)


def test_a_huge_signature_of_nothing_costs_no_time() -> None:
    with pytest.raises(SignatureError):
        sshsig.parse(armored(b"")[:30] + b" \n" * (1 << 20) + b"x")
