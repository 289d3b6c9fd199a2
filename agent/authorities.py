"""The certificate authorities this machine trusts, for programs that bring their own OpenSSL.

Such an OpenSSL, the binary's own too, looks where its build machine kept them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_CA_FILES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # RHEL, Fedora
    "/etc/pki/tls/certs/ca-bundle.crt",  # older RHEL
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # Alpine without ca-certificates, macOS
)


def ca_file() -> str:
    """Return the bundle of certificate authorities to trust.

    ``SSL_CERT_FILE`` if readable, else the distribution's, else certifi's.
    """
    for candidate in (os.environ.get("SSL_CERT_FILE", ""), *_CA_FILES):
        if candidate and os.access(candidate, os.R_OK) and Path(candidate).stat().st_size:
            return candidate
    import certifi

    return certifi.where()


def locations() -> dict[str, str | None]:
    """Return where an ssl context finds them: arguments of ``load_verify_locations``.

    ``SSL_CERT_DIR`` comes beside the bundle: hashed files, read when one is looked for.
    """
    return {"cafile": ca_file(), "capath": os.environ.get("SSL_CERT_DIR") or None}
