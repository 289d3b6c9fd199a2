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
    """A public key with its subkeys; fingerprints are upper-case hex, as gpg prints them.

    ``name`` is the first user id. ``fault`` says why nothing signed by it counts, "" for nothing.
    """

    cert: Cert
    keys: tuple[Key, ...]
    name: str
    fault: str

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the primary key."""
        return self.keys[0].fingerprint


def parse_certificates(data: bytes, *, source: str) -> tuple[Certificate, ...]:
    """Read a keyring, armored or not; raise SignatureError when it is none or has secrets."""
    try:
        certificates = tuple(_certificate(cert) for cert in Cert.split_bytes(data))
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
    return certificates


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
    """Read a signature, the first one where there are more."""
    text = armored.strip()
    if text.count(_END) != 1 or not text.endswith(_END):
        raise SignatureError("its OpenPGP signature is malformed: its armor has no end, or two")
    try:
        return Sig.from_bytes(text)
    except RuntimeError as error:
        raise SignatureError(f"its OpenPGP signature is malformed: {_first_line(error)}") from None


def _objection(certificate: Certificate, key: Key, now: float) -> str:
    whose = f"it is signed by the OpenPGP key 0x{key.fingerprint} of {certificate.name or '?'}"
    if certificate.fault:
        return f"{whose}, which {certificate.fault}"
    if key.revoked:
        return f"{whose}, which is revoked"
    until = min(certificate.keys[0].until, key.until)
    if now >= until:
        return f"{whose}, which expired at {_shown(until)}"
    return ""


def _holds(signature: Sig, payload: bytes, certificate: Certificate, key: Key) -> bool:
    try:
        verified = verify(bytes=payload, store=lambda _ids: [certificate.cert], signature=signature)
    except RuntimeError:
        return False
    return any(valid.signing_key.upper() == key.fingerprint for valid in verified.valid_sigs)


def _certificate(cert: Cert) -> Certificate:
    try:
        until = cert.expiration.timestamp() if cert.expiration else math.inf
        name = next(map(str, cert.user_ids), "")
        fault = "is revoked" if cert.is_revoked else ""
    except RuntimeError as error:  # e.g. its own signatures are SHA-1; other keys are not to suffer
        until, name, fault = math.inf, "", f"cannot be used: {_first_line(error)}"
    return Certificate(cert, tuple(_keys(cert, until)), name, fault)


def _keys(cert: Cert, until: float) -> Iterator[Key]:
    """List primary key, which expires at ``until``, and subkeys.

    What the library checks of them with each signature is not repeated here.
    """
    packets = list(PacketPile.from_bytes(bytes(cert)))
    places = [i for i, p in enumerate(packets) if p.tag in (Tag.PublicKey, Tag.PublicSubkey)]
    for place, end in zip(places, [*places[1:], len(packets)], strict=True):
        key = packets[place]
        signatures = [p for p in packets[place:end] if p.tag == Tag.Signature]
        bindings = [s for s in signatures if s.signature_type == SignatureType.SubkeyBinding]
        newest = max(bindings, key=lambda s: s.signature_created or _EPOCH, default=None)
        lasts = newest.key_validity_period if newest is not None else None
        ends = (key.key_created + lasts).timestamp() if lasts else math.inf
        yield Key(
            fingerprint=(key.fingerprint or "").upper(),
            key_id=(key.key_id or "").upper(),
            until=until if key.tag == Tag.PublicKey else ends,
            revoked=any(s.signature_type == SignatureType.SubkeyRevocation for s in signatures),
        )


_EPOCH: Final = datetime.fromtimestamp(0, UTC)


def _first_line(error: Exception) -> str:
    """Leave out the library's stack trace."""
    return str(error).partition("\n")[0].strip() or type(error).__name__


def _shown(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
