"""OpenPGP signatures, checked by Sequoia (RFC 9580) under its standard policy.

Pure. A certificate counts only if it is neither expired nor revoked now, whatever time the
signature claims: somebody with an old key can write any date. Weak algorithms (SHA-1, short RSA
keys) are refused by the policy.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pysequoia import Cert, Sig, verify
from pysequoia.packet import PacketPile, SignatureType, Tag

from agent.source.errors import SignatureError
from agent.source.signatures.signer import Signer

_END: Final = b"-----END PGP SIGNATURE-----"


@dataclass(frozen=True, slots=True)
class Key:
    """The primary key of a certificate or one of its subkeys.

    ``until`` is when it expires, Unix seconds; ``revoked`` whether its owner says not to use it.
    """

    fingerprint: str
    key_id: str
    until: float
    revoked: bool


@dataclass(frozen=True, slots=True)
class Certificate:
    """A public key with its subkeys; fingerprints are upper-case hex, as gpg prints them."""

    cert: Cert
    keys: tuple[Key, ...]

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the primary key."""
        return self.keys[0].fingerprint

    @property
    def name(self) -> str:
        """The first user id, "" without one."""
        ids = self.cert.user_ids
        return str(ids[0]) if ids else ""


def parse_certificates(data: bytes, *, source: str) -> tuple[Certificate, ...]:
    """Read a keyring, armored or not; raise SignatureError when it is none or has secrets."""
    try:
        certs = Cert.split_bytes(data)
        secret = any(
            p.tag in (Tag.SecretKey, Tag.SecretSubkey) for p in PacketPile.from_bytes(data)
        )
    except RuntimeError as error:
        raise SignatureError(
            f"{source}: not an OpenPGP keyring: {_first_line(error)}",
            hint="make one with gpg --armor --export",
        ) from None
    if secret:
        raise SignatureError(
            f"{source}: holds a secret key, which does not belong here",
            hint="give the public one, from gpg --armor --export",
        )
    return tuple(Certificate(cert, tuple(_keys(cert))) for cert in certs)


def check(
    armored: bytes, payload: bytes, certificates: Iterable[Certificate], *, now: float
) -> Signer:
    """Return who signed ``payload``; raise SignatureError when none of the certificates did.

    ``now`` is Unix seconds.
    """
    signature = _parse(armored)
    issuer = (signature.issuer_fingerprint or signature.issuer_key_id or "").upper()
    found = [(c, k) for c in certificates for k in c.keys if issuer in (k.fingerprint, k.key_id)]
    if not issuer or not found:
        raise SignatureError(
            f"it is signed by the OpenPGP key 0x{issuer or '?'}, which is not among the given ones",
            hint="if you trust it, add its public key to verify.keys",
        )
    refused = ""
    for certificate, key in found:
        refused = _objection(certificate, key, now)
        if not refused and _holds(signature, payload, certificate, key):
            ends = signature.expiration.timestamp() if signature.expiration else math.inf
            until = min(certificate.keys[0].until, key.until, ends)
            return Signer("OpenPGP", f"0x{certificate.fingerprint}", certificate.name, until)
    raise SignatureError(
        refused
        or f"its signature by the OpenPGP key 0x{issuer} does not hold: it was changed after it "
        "was signed, or the key was not valid then, not for signing, or is too weak"
    )


def _parse(armored: bytes) -> Sig:
    """Read exactly one signature: of two, one might hold and the other be meant."""
    text = armored.strip()
    try:
        packets = list(PacketPile.from_bytes(text))
        if len(packets) != 1 or text.count(_END) != 1 or not text.endswith(_END):
            raise SignatureError("it has more than one OpenPGP signature, or something beside it")
        return Sig.from_bytes(text)
    except RuntimeError as error:
        raise SignatureError(f"its OpenPGP signature is malformed: {_first_line(error)}") from None


def _objection(certificate: Certificate, key: Key, now: float) -> str:
    primary = certificate.keys[0]
    whose = f"it is signed by the OpenPGP key 0x{key.fingerprint} of {certificate.name or '?'}"
    if certificate.cert.is_revoked or key.revoked:
        return f"{whose}, which is revoked"
    until = min(primary.until, key.until)
    if now >= until:
        return f"{whose}, which expired at {_shown(until)}"
    return ""


def _holds(signature: Sig, payload: bytes, certificate: Certificate, key: Key) -> bool:
    try:
        verified = verify(bytes=payload, store=lambda _ids: [certificate.cert], signature=signature)
    except RuntimeError:
        return False
    return any(valid.signing_key.upper() == key.fingerprint for valid in verified.valid_sigs)


def _keys(cert: Cert) -> Iterator[Key]:
    """List primary key and subkeys; what the library checks of them is not repeated here."""
    packets = list(PacketPile.from_bytes(bytes(cert)))
    places = [i for i, p in enumerate(packets) if p.tag in (Tag.PublicKey, Tag.PublicSubkey)]
    for place, end in zip(places, [*places[1:], len(packets)], strict=True):
        key = packets[place]
        signatures = [p for p in packets[place:end] if p.tag == Tag.Signature]
        bindings = [s for s in signatures if s.signature_type == SignatureType.SubkeyBinding]
        newest = max(bindings, key=lambda s: s.signature_created or _EPOCH, default=None)
        until = math.inf
        if key.tag == Tag.PublicKey:
            until = cert.expiration.timestamp() if cert.expiration else math.inf
        elif newest is not None and newest.key_validity_period and key.key_created:
            until = (key.key_created + newest.key_validity_period).timestamp()
        yield Key(
            fingerprint=(key.fingerprint or "").upper(),
            key_id=(key.key_id or "").upper(),
            until=until,
            revoked=any(s.signature_type == SignatureType.SubkeyRevocation for s in signatures),
        )


_EPOCH: Final = datetime.fromtimestamp(0, UTC)


def _first_line(error: Exception) -> str:
    """Leave out the library's stack trace."""
    return str(error).partition("\n")[0].strip() or type(error).__name__


def _shown(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
