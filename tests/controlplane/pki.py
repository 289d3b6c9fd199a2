"""Certificates of one control plane, made with the openssl command line.

One authority signs the server's certificate and those of users. Keys are EC (P-256): an RSA key
takes longer to make than the API server needs to start. Nothing here is fit for production.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.controlplane.process import run

_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
_SERVER_NAMES = "IP:127.0.0.1,IP:::1,DNS:localhost,DNS:kubernetes.default.svc"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, both PEM files."""

    certificate: Path
    key: Path


class Authority:
    """A certificate authority in a folder of its own, created empty and used once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True)
        # Without a configuration of ours, openssl makes every certificate an authority.
        (folder / "openssl.cnf").write_text("[req]\ndistinguished_name = empty\n[empty]\n")
        self.ca = self._pair("ca")
        self._request(
            self.ca,
            "/CN=lightkeeper-tests",
            "basicConstraints=critical,CA:TRUE",
            "keyUsage=critical,keyCertSign",
        )
        self.server = self._issue(
            "server",
            "/CN=kube-apiserver",
            "extendedKeyUsage=serverAuth",
            f"subjectAltName={_SERVER_NAMES}",
        )
        self.service_accounts = self._issue("service-accounts", "/CN=service-accounts")

    def client(self, user: str, groups: tuple[str, ...]) -> KeyPair:
        """Certify a user as Kubernetes reads certificates: CN is the name, each O is a group."""
        subject = "".join(f"/O={_escaped(group)}" for group in groups) + f"/CN={_escaped(user)}"
        name = f"user-{len(list(self._folder.glob('user-*.key')))}"
        return self._issue(name, subject, "extendedKeyUsage=clientAuth")

    def _pair(self, name: str) -> KeyPair:
        return KeyPair(self._folder / f"{name}.crt", self._folder / f"{name}.key")

    def _issue(self, name: str, subject: str, *extensions: str) -> KeyPair:
        pair = self._pair(name)
        signer = ("-CA", self.ca.certificate, "-CAkey", self.ca.key)
        extensions = (*extensions, "authorityKeyIdentifier=keyid:always")
        self._request(pair, subject, *extensions, signer=signer)
        return pair

    def _request(
        self, pair: KeyPair, subject: str, *extensions: str, signer: tuple[str | Path, ...] = ()
    ) -> None:
        extensions = ("subjectKeyIdentifier=hash", *extensions)
        run(
            *("openssl", "req", "-x509", "-config", self._folder / "openssl.cnf", *_NEW_KEY),
            *("-days", "3650", "-utf8", "-subj", subject, *signer),
            *(argument for extension in extensions for argument in ("-addext", extension)),
            *("-keyout", pair.key, "-out", pair.certificate),
        )


def _escaped(value: str) -> str:
    """A value in openssl's ``/type=value`` notation, where slash and backslash are special."""
    return value.replace("\\", "\\\\").replace("/", "\\/")
