"""One control plane: etcd and kube-apiserver on loopback, with everything needed to get in."""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.controlplane import access, rest
from tests.controlplane.apiserver import ApiServer
from tests.controlplane.audit import AuditLog, Request
from tests.controlplane.etcd import Etcd
from tests.controlplane.kubectl import Kubectl
from tests.controlplane.pki import Authority
from tests.controlplane.process import ServerError

_BUILD = Path(__file__).with_name("build.sh")


def find_assets() -> Path:
    """Return the folder that holds etcd and kube-apiserver, built first if there is none.

    ``build.sh`` shows its progress on stderr, and says there why it failed when this raises
    :class:`ServerError`.
    """
    environment = os.environ | {"PYTHON": sys.executable}
    done = subprocess.run([_BUILD], stdout=subprocess.PIPE, text=True, env=environment, check=False)
    if done.returncode:
        raise ServerError(f"no control plane: {_BUILD.name} ended with {done.returncode}")
    return Path(done.stdout.strip())


class ControlPlane:
    """etcd and kube-apiserver, from :meth:`start` to :meth:`stop`, in a temporary folder.

    Use it as a context manager. All methods block; from a coroutine, call them in a thread.
    """

    def __init__(self, assets: Path, *, ready_timeout: float = 60.0) -> None:
        """``assets`` holds the two programs; ``ready_timeout`` is in seconds, for each start."""
        self.folder = Path(tempfile.mkdtemp(prefix="lightkeeper-controlplane-"))
        self.admin_token = secrets.token_urlsafe(24)
        self._ready_timeout = ready_timeout
        self.authority = Authority(self.folder / "pki")
        self._etcd = Etcd(assets / "etcd", self.folder / "etcd")
        self._apiserver = ApiServer(
            assets / "kube-apiserver",
            self.folder,
            authority=self.authority,
            tokens=access.write_token_file(self.folder / "tokens.csv", self.admin_token),
        )
        self._audit = AuditLog(self._apiserver.audit_log, hidden_agent=rest.USER_AGENT)
        self.url = self._apiserver.url
        self.ca = self.authority.ca.certificate
        self.client = rest.RestClient(self.url, self.ca, self.admin_token)
        self.kubeconfig = self._kubeconfig("admin", access.token_user(self.admin_token))
        self.kubectl = Kubectl(self.kubeconfig, cache=self.folder / "kubectl-cache")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    # --- life ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Start both servers and wait until they serve; raise ServerError with the log's end."""
        atexit.register(self.stop)
        try:
            self._etcd.start()
            # Both at once: the API server retries until etcd answers.
            self._apiserver.start(self._etcd.url)
            self._etcd.wait_ready(self._ready_timeout)
            self.wait_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End both servers and remove their data. Harmless when called again."""
        atexit.unregister(self.stop)
        self._apiserver.kill()
        self._etcd.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def wait_ready(self, timeout: float | None = None) -> None:
        """Wait until the API server serves; raise ServerError with its log's end after a while."""
        self._apiserver.wait_ready(self.client, self._ready_timeout if timeout is None else timeout)

    def kill_apiserver(self) -> None:
        """End the API server as a crash would: connections break, new ones are refused."""
        self._apiserver.kill()
        self._audit.server_killed()

    @property
    def running(self) -> bool:
        """Whether there is an API server: true from :meth:`start`, false once it was killed."""
        return self._apiserver.running

    def restart_apiserver(self) -> None:
        """Start the API server again on the same port and data, killing it first if it runs."""
        self.kill_apiserver()
        self._apiserver.start(self._etcd.url)
        self.wait_ready()

    # --- users ---------------------------------------------------------------------------------

    def user(self, name: str, *, groups: tuple[str, ...] = ()) -> Path:
        """Make a user with a client certificate; return a kubeconfig. RBAC decides what it may."""
        pair = self.authority.client(name, groups)
        return self._kubeconfig(pair.key.stem, access.certificate_user(pair))

    def service_account_token(self, namespace: str, name: str, *, seconds: int = 3600) -> str:
        """Create a service account if there is none; return a token for it.

        The server grants ``seconds`` from 600 up.
        """
        accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        try:
            self.client.json("POST", accounts, {"metadata": {"name": name}})
        except rest.RequestError as error:
            if error.code != 409:
                raise
        wanted = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": seconds},
        }
        granted = self.client.json("POST", f"{accounts}/{name}/token", wanted)
        return str(granted["status"]["token"])

    def token_kubeconfig(self, token: str) -> Path:
        """Write a kubeconfig for a bearer token."""
        return self._kubeconfig(f"token-{secrets.token_hex(4)}", access.token_user(token))

    def _kubeconfig(self, name: str, user: dict[str, str]) -> Path:
        path = self.folder / f"{name}.kubeconfig"
        return access.write_kubeconfig(path, url=self.url, ca=self.ca, user=user)

    # --- what the absent controllers would do ---------------------------------------------------

    def create_namespace(self, name: str, **metadata: Any) -> None:
        """Create a namespace and, as the controller would, its default service account.

        The account mounts no token: without controllers there is none, and pods would be refused.
        """
        self.client.json("POST", "/api/v1/namespaces", {"metadata": {**metadata, "name": name}})
        account = {"metadata": {"name": "default"}, "automountServiceAccountToken": False}
        self.client.json("POST", f"/api/v1/namespaces/{name}/serviceaccounts", account)

    def remove_namespace(self, name: str) -> None:
        """Remove a namespace and everything in it at once, finalizers or not.

        Done in etcd: deleting through the API would leave a namespace in Terminating for ever.
        Watchers see ordinary deletions; the audit log does not show them.
        """
        inside = [key for key in self._etcd.keys("/registry/") if key.split("/")[-2] == name]
        for key in (*inside, f"/registry/namespaces/{name}"):
            self._etcd.delete(key)

    def stored(self, key: str) -> bytes:
        """What etcd holds of an object, such as ``/registry/secrets/NAMESPACE/NAME``."""
        return self._etcd.get(key)

    def everything_stored(self) -> dict[str, bytes]:
        """What etcd holds of all objects, by key."""
        return self._etcd.dump("/registry/")

    # --- what clients asked ----------------------------------------------------------------------

    def mark(self) -> int:
        """A place in the audit log, for :meth:`audit`."""
        return self._audit.mark()

    def audit(self, since: int = 0, *, user_agent: str = "") -> list[Request]:
        """Requests since a mark by clients whose user agent starts so, oldest first.

        Waits for their answers; this object's own requests and the server's are left out.
        """
        requests = self._audit.requests(since)
        return [request for request in requests if request.user_agent.startswith(user_agent)]
