"""TLS towards git servers: authorities and a client's certificate, from bytes.

Nothing secret touches a disk: OpenSSL reads a key from files only, so it is given a file in memory.
"""

from __future__ import annotations

import os
import ssl

from agent.authorities import locations
from agent.source.errors import CredentialsError


def client_context(*, ca: bytes, certificate: bytes, key: bytes) -> ssl.SSLContext:
    """Return a context that verifies chain and name; raise CredentialsError for what is no PEM.

    ``ca`` replaces the machine's authorities when it is not empty; as with curl, any certificate
    in it is trusted, an intermediate one or a server's own too. ``certificate`` is the client's,
    with its chain; ``key`` its unencrypted key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if ca:
        _trust(context, ca)
    else:
        context.load_verify_locations(**locations())
    if certificate or key:
        _present(context, certificate, key)
    return context


def _trust(context: ssl.SSLContext, ca: bytes) -> None:
    try:
        # Bundles carry comments in any language; a certificate is ASCII.
        context.load_verify_locations(cadata=ca.decode("ascii", errors="ignore"))
    except (ssl.SSLError, ValueError) as error:
        raise CredentialsError(
            f"the certificate authorities are not in PEM form: {_reason(error)}"
        ) from None
    if not context.cert_store_stats()["x509"]:
        raise CredentialsError("the certificate authorities name no certificate")


def _present(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    if not certificate or not key:
        missing = "key" if certificate else "certificate"
        raise CredentialsError(f"the client's {missing} is missing: both are needed")

    def no_password() -> str:
        raise CredentialsError("the client's key is encrypted; give it without a passphrase")

    with os.fdopen(os.memfd_create("client"), "wb") as memory:
        memory.write(certificate.rstrip() + b"\n" + key)
        memory.flush()
        try:
            context.load_cert_chain(f"/proc/self/fd/{memory.fileno()}", password=no_password)
        except (ssl.SSLError, ValueError) as error:
            raise CredentialsError(
                "the client's certificate and key are not in PEM form, or do not belong together: "
                f"{_reason(error)}"
            ) from None


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return str(error)
