"""Authorities and client certificates from bytes: what is no good is said, and quotes nothing."""

from __future__ import annotations

import datetime
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.source.errors import CredentialsError
from agent.source.wire.tls import client_context


def _key_pem(key: ec.EllipticCurvePrivateKey, passphrase: bytes = b"") -> bytes:
    protection: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        protection = serialization.BestAvailableEncryption(passphrase)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection
    )


def _certificate(key: ec.EllipticCurvePrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime(2026, 1, 1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


_KEY, _OTHER = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
_CERTIFICATE = _certificate(_KEY)


def test_given_authorities_replace_the_machines() -> None:
    commented = "# Zertifikat für Prüfungen\n".encode() + _CERTIFICATE
    context = client_context(ca=commented, certificate=b"", key=b"")
    assert context.cert_store_stats()["x509"] == 1
    assert client_context(ca=b"", certificate=b"", key=b"").cert_store_stats()["x509"] > 1
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_a_certificate_and_its_key_are_taken() -> None:
    client_context(ca=b"", certificate=_CERTIFICATE.rstrip(), key=_key_pem(_KEY))


@pytest.mark.parametrize(
    ("ca", "certificate", "key", "told"),
    [
        pytest.param(b"nonsense", b"", b"", "authorities are not in PEM form", id="ca"),
        pytest.param(_key_pem(_KEY), b"", b"", "authorities are not in PEM form", id="ca-is-key"),
        pytest.param(b"", _CERTIFICATE, b"", "key is missing", id="no-key"),
        pytest.param(b"", b"", _key_pem(_KEY), "certificate is missing", id="no-certificate"),
        pytest.param(b"", _CERTIFICATE, _key_pem(_OTHER), "do not belong together", id="others"),
        pytest.param(b"", _CERTIFICATE, b"s3cret", "not in PEM form", id="no-pem"),
        pytest.param(b"", _CERTIFICATE, _key_pem(_KEY, b"x"), "is encrypted", id="encrypted"),
    ],
)
def test_what_is_no_good_is_said(ca: bytes, certificate: bytes, key: bytes, told: str) -> None:
    with pytest.raises(CredentialsError, match=told) as caught:
        client_context(ca=ca, certificate=certificate, key=key)
    assert "s3cret" not in str(caught.value)
