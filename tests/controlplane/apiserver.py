"""kube-apiserver on one port, which may be killed and started again on the same data.

The flags are those that Kubernetes 1.20 has and the newest release still has.
"""

from __future__ import annotations

import json
from pathlib import Path

from tests.controlplane import audit
from tests.controlplane.pki import Authority
from tests.controlplane.ports import free_port
from tests.controlplane.process import Deadline, ServerProcess
from tests.controlplane.rest import RequestError, RestClient

_ISSUER = "https://kubernetes.default.svc"


class ApiServer:
    """kube-apiserver with TLS, RBAC, the default admission plugins and an audit log."""

    def __init__(self, binary: Path, folder: Path, *, authority: Authority, tokens: Path) -> None:
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.audit_log = folder / "audit.log"
        self._binary = binary
        self._folder = folder
        self._authority = authority
        self._tokens = tokens
        self._process: ServerProcess | None = None

    @property
    def running(self) -> bool:
        """Whether the server was started and not killed since."""
        return self._process is not None

    @property
    def process(self) -> ServerProcess:
        """The running server; RuntimeError when there is none."""
        if self._process is None:
            raise RuntimeError("kube-apiserver is not running; start it first")
        return self._process

    def start(self, etcd_url: str) -> None:
        """Start the server; it serves once :meth:`wait_ready` returns."""
        policy = self._folder / "audit-policy.json"
        policy.write_text(json.dumps(audit.POLICY))
        flags = {
            "etcd-servers": etcd_url,
            "audit-policy-file": policy,
            **self._address(),
            **self._identity(),
            **self._audit(),
        }
        command = [str(self._binary), *(f"--{flag}={value}" for flag, value in flags.items())]
        self._process = ServerProcess(
            "kube-apiserver", command, self._folder / "kube-apiserver.log"
        )

    def kill(self) -> None:
        """End the server as a crash would. Harmless when it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def wait_ready(self, client: RestClient, timeout: float) -> None:
        """Return when the server serves; raise ServerError with its log when it does not."""
        deadline = Deadline(timeout)
        missing = "no answer yet"
        while missing := self._missing(client):
            self.process.check()
            if not deadline.wait_a_moment():
                raise self.process.error(f"was not ready after {timeout} s: {missing}")

    def _missing(self, client: RestClient) -> str:
        """What keeps the server from being ready, or an empty string."""
        # The default namespace is made in the background, and may come after readiness.
        for path in ("/readyz", "/api/v1/namespaces/default"):
            try:
                client.text("GET", path)
            except (RequestError, OSError) as error:
                return f"{path}: {error}"
        return ""

    def _address(self) -> dict[str, object]:
        server = self._authority.server
        return {
            "bind-address": "127.0.0.1",
            "advertise-address": "127.0.0.1",
            "secure-port": self.port,
            "tls-cert-file": server.certificate,
            "tls-private-key-file": server.key,
            "service-cluster-ip-range": "10.96.0.0/16",
            # A loopback address is refused in an Endpoints object, and nobody needs one.
            "endpoint-reconciler-type": "none",
        }

    def _identity(self) -> dict[str, object]:
        signer = self._authority.service_accounts
        return {
            "authorization-mode": "RBAC",
            "client-ca-file": self._authority.ca.certificate,
            "token-auth-file": self._tokens,
            "service-account-issuer": _ISSUER,
            "service-account-signing-key-file": signer.key,
            # 1.20 reads a public key out of a certificate, but not out of a PKCS#8 private key.
            "service-account-key-file": signer.certificate,
            "allow-privileged": "true",
        }

    def _audit(self) -> dict[str, object]:
        return {
            "audit-log-path": self.audit_log,
            # A line is in the file before its client has an answer; see tests.controlplane.audit.
            "audit-log-mode": "blocking",
            # Never rotate: marks are places in this one file. In MB.
            "audit-log-maxsize": 100_000,
        }
