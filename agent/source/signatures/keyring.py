"""Keyring: the keys that may sign, of both kinds, told apart by what they look like. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from agent.source.errors import SignatureError
from agent.source.signatures import openpgp, sshkeys, sshsig
from agent.source.signatures.openpgp import Certificate
from agent.source.signatures.signed import Signed
from agent.source.signatures.signer import Signer
from agent.source.signatures.sshkeys import TrustedKey

_OPENPGP: Final = b"-----BEGIN PGP SIGNATURE-----"
_SSH: Final = b"-----BEGIN SSH SIGNATURE-----"
_X509: Final = b"-----BEGIN SIGNED MESSAGE-----"
_HIGH_BIT: Final = 0x80  # set in the first byte of every OpenPGP packet (RFC 9580 section 4.2)
_KEYBOX: Final = b"KBXf"


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys of one track; at least one."""

    certificates: tuple[Certificate, ...]
    ssh_keys: tuple[TrustedKey, ...]

    @classmethod
    def parse(cls, material: Mapping[str, bytes]) -> Keyring:
        """Read all of it, each part named as errors shall name it; raise SignatureError.

        A part is an OpenPGP keyring, armored or not, or lines of SSH keys.
        """
        certificates: list[Certificate] = []
        ssh_keys: list[TrustedKey] = []
        for source, data in material.items():
            if _is_openpgp(data, source=source):
                certificates += openpgp.parse_certificates(data, source=source)
            else:
                ssh_keys += sshkeys.parse_lines(_text(data, source=source), source=source)
        if not certificates and not ssh_keys:
            raise SignatureError(
                f"there is no key in {', '.join(material) or 'verify.keys'}",
                hint="put public keys there: gpg --armor --export, or lines of ssh-ed25519 AAAA…",
            )
        return cls(tuple(certificates), tuple(ssh_keys))

    def check(self, signed: Signed, *, now: float) -> Signer:
        """Return who signed; raise SignatureError when it is nobody of these. ``now`` is Unix."""
        signature = signed.signature.lstrip()
        if signature.startswith(_OPENPGP):
            return openpgp.check(signed.signature, signed.payload, self.certificates, now=now)
        if signature.startswith(_SSH):
            return self._check_ssh(signed, now=now)
        if signature.startswith(_X509):
            raise SignatureError(
                "it is signed by X.509 (S/MIME), which is not supported", hint="use OpenPGP or SSH"
            )
        raise SignatureError("its signature is of no known kind")

    def _check_ssh(self, signed: Signed, *, now: float) -> Signer:
        signature = sshsig.parse(signed.signature)
        named = TrustedKey(signature.key)
        found = [key for key in self.ssh_keys if key.blob == signature.key]
        if not found:
            kind = sshsig.key_type(signature.key)
            raise SignatureError(
                f"it is signed by the SSH key {named.fingerprint} ({kind[:60]!r}), which is not "
                "among the given ones",
                hint="if you trust it, add its public key to verify.keys",
            )
        flags = sshsig.check(signature, signed.payload)
        refused = ""
        for key in found:
            refused = key.objection(at=signed.at, now=now, flags=flags)
            if not refused:
                return Signer("SSH", key.fingerprint, key.name, key.valid_before)
        whose = f" of {found[-1].name}" if found[-1].name else ""
        raise SignatureError(
            f"it is signed by the SSH key {named.fingerprint}{whose}, which {refused}"
        )


def _is_openpgp(data: bytes, *, source: str) -> bool:
    if b"PRIVATE KEY" in data:
        raise SignatureError(
            f"{source}: holds a private key, which does not belong here",
            hint="give the public one",
        )
    if data[8:12] == _KEYBOX:
        raise SignatureError(
            f"{source}: is a keybox of GnuPG", hint="write a keyring with gpg --armor --export"
        )
    return b"-----BEGIN PGP" in data or (bool(data) and data[0] & _HIGH_BIT != 0)


def _text(data: bytes, *, source: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise SignatureError(
            f"{source}: neither an OpenPGP keyring nor lines of SSH keys"
        ) from None
