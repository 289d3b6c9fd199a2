"""An API server of today beside a control plane, for what kube-apiserver 1.20 does not have.

``newer.sh`` finds or builds it: Kubernetes' own apiextensions-apiserver, which serves custom
resources as any kube-apiserver does. It asks the control plane who somebody is and what they may.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.controlplane import access
from tests.controlplane.etcd import Etcd
from tests.controlplane.ports import free_port
from tests.controlplane.process import Deadline, ServerError, ServerProcess
from tests.controlplane.rest import RequestError, RestClient
from tests.controlplane.server import ControlPlane

_BUILD = Path(__file__).with_name("newer.sh")


def find_newer_assets() -> Path:
    """Return the folder that holds the server and its etcd, built first if there is none.

    ``newer.sh`` shows its progress on stderr, and says there why it failed when this raises
    :class:`ServerError`.
    """
    done = subprocess.run([_BUILD], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise ServerError(f"no API server of today: {_BUILD.name} ended with {done.returncode}")
    return Path(done.stdout.strip())


class NewerServer:
    """apiextensions-apiserver and an etcd of its own; use it as a context manager.

    ``etcd`` is another program than the one that came with it; ``feature_gates`` is as its flag.
    """

    def __init__(
        self,
        assets: Path,
        control_plane: ControlPlane,
        *,
        etcd: Path | None = None,
        feature_gates: str = "",
    ) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="lightkeeper-newer-")
        self._folder = Path(self._temporary.name)
        self._binary = assets / "apiextensions-apiserver"
        self._control_plane = control_plane
        self._feature_gates = feature_gates
        self._etcd = Etcd(etcd or assets / "etcd", self._folder / "etcd")
        self._process: ServerProcess | None = None
        self._port = free_port()
        self.url = f"https://127.0.0.1:{self._port}"
        self.client = RestClient(self.url, control_plane.ca, control_plane.admin_token)
        self.kubeconfig = access.write_kubeconfig(
            self._folder / "admin.kubeconfig",
            url=self.url,
            ca=control_plane.ca,
            user=access.token_user(control_plane.admin_token),
        )

    def __enter__(self) -> Self:
        try:
            self._etcd.start()
            self._etcd.wait_ready(60)
            self._process = ServerProcess(
                self._binary.name, self._command(), self._folder / "server.log"
            )
            self._wait_ready(self._process, Deadline(60))
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
        self._etcd.stop()
        self._temporary.cleanup()

    def _wait_ready(self, process: ServerProcess, deadline: Deadline) -> None:
        while True:
            process.check()
            try:
                self.client.text("GET", "/readyz")
            except (RequestError, OSError) as error:
                if not deadline.wait_a_moment():
                    raise process.error(f"was not ready in {deadline.seconds} s: {error}") from None
            else:
                return

    def _command(self) -> list[str]:
        core = self._control_plane.kubeconfig
        certificate = self._control_plane.authority.server
        flags = {
            "etcd-servers": self._etcd.url,
            "bind-address": "127.0.0.1",
            "secure-port": self._port,
            "tls-cert-file": certificate.certificate,
            "tls-private-key-file": certificate.key,
            "client-ca-file": self._control_plane.ca,
            "kubeconfig": core,
            "authentication-kubeconfig": core,
            "authentication-skip-lookup": "true",
            "authorization-kubeconfig": core,
            # What it would look up at the control plane for these, 1.20 does not have yet.
            "disable-admission-plugins": "ValidatingAdmissionPolicy,MutatingAdmissionPolicy",
            "enable-priority-and-fairness": "false",
        }
        if self._feature_gates:
            flags["feature-gates"] = self._feature_gates
        return [str(self._binary), *(f"--{flag}={value}" for flag, value in flags.items())]
