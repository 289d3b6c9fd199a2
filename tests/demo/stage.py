"""Where the demo plays: a cluster, a git repository made of the example fleet, and the agent.

Everything that is set up is taken down by the ExitStack it is put on, in the reverse order.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory

from agent.manifest.keys import JSONObject
from tests.controlplane.kubectl import BINARY, Kubectl
from tests.controlplane.server import ControlPlane, find_assets
from tests.demo.agent import AgentProcess
from tests.demo.failure import DemoError
from tests.demo.repository import Repository
from tests.demo.watch import Watch

FLEET = Path(__file__).parents[2] / "examples" / "fleet"
TRACK = "fleet"

# As YAML and as JSON write it.
_NAMESPACE = re.compile(r'(\bnamespace"?: "?)fleet(?![\w-])')


@dataclass(frozen=True, slots=True)
class Stage:
    """A set stage; the agent does not run yet.

    ``kubectl`` works in the namespace of the applications. ``control_plane`` is None on a cluster
    that is somebody else's.
    """

    kubectl: Kubectl
    state_namespace: str
    agent_name: str
    repository: Repository
    agent: AgentProcess
    control_plane: ControlPlane | None

    @property
    def description(self) -> str:
        """Where this is, in one line."""
        version = json.loads(self.kubectl("version", "--output=json").stdout)
        kubernetes = f"Kubernetes {version['serverVersion']['gitVersion']}"
        if self.control_plane:
            return f"{kubernetes}, a control plane of its own"
        return f"{kubernetes}, namespace {self.kubectl.namespace} on the cluster of KUBECONFIG"

    def watch(self, kind: str, name: str, path: str) -> Watch:
        """A watch of one value of an object of the applications."""
        return Watch(self.kubectl, kind, name, path, alive=self.agent.check)

    def status_watch(self) -> Watch:
        """A watch of what the agent says of its track."""
        kubectl = self.kubectl.within(self.state_namespace)
        name = f"{self.agent_name}.{TRACK}"
        return Watch(kubectl, "configmaps", name, "{.data.status}", alive=self.agent.check)

    def live_objects(self) -> list[JSONObject]:
        """All objects that the repository's files name; raises KubectlError if one is missing."""
        listed = self.kubectl("get", "-R", "-f", str(self.repository.path), "--output=json")
        objects: list[JSONObject] = json.loads(listed.stdout)["items"]
        return objects

    def value(self, target: str, path: str) -> str:
        """One value of an object (``deployment/api``), "" when it or the object is not there."""
        found = self.kubectl("get", target, "--ignore-not-found", f"--output=jsonpath={path}")
        return found.stdout


def set_stage(kubeconfig: str, cleanup: ExitStack) -> Stage:
    """Set the stage on the cluster of ``kubeconfig``, or on one of our own if that is "".

    Raises ServerError, KubectlError or DemoError; what was set up until then is on ``cleanup``.
    """
    folder = Path(cleanup.enter_context(TemporaryDirectory(prefix="lightkeeper-demo-")))
    if kubeconfig:
        return _foreign_stage(kubeconfig, folder, cleanup)
    return _own_stage(folder, cleanup)


def _own_stage(folder: Path, cleanup: ExitStack) -> Stage:
    """The whole fleet on a control plane that is thrown away afterwards."""
    control_plane = cleanup.enter_context(ControlPlane(find_assets()))
    control_plane.create_namespace("lightkeeper")
    repository = Repository(folder / "repository", *_subfolders(FLEET))
    agent = _agent(
        folder,
        {
            "name": "lightkeeper",
            "state-namespace": "lightkeeper",
            "kubeconfig": str(control_plane.kubeconfig),
        },
        {"repository": repository.url},
        cleanup,
    )
    return Stage(
        kubectl=control_plane.kubectl.within("fleet"),
        state_namespace="lightkeeper",
        agent_name="lightkeeper",
        repository=repository,
        agent=agent,
        control_plane=control_plane,
    )


def _foreign_stage(kubeconfig: str, folder: Path, cleanup: ExitStack) -> Stage:
    """The fleet's applications, in one new namespace of somebody else's cluster."""
    own = f"lightkeeper-demo-{token_hex(4)}"
    kubectl = _pinned(kubeconfig, folder).within(own)
    # Before it exists: an interrupt may come in between.
    cleanup.callback(_delete_namespace, kubectl, own)
    kubectl("create", "namespace", own)
    repository = Repository(folder / "repository", FLEET / "apps")
    _move_to(own, repository)
    agent = _agent(
        folder,
        {
            "name": own,
            "namespace": own,
            "state-namespace": own,
            "kubeconfig": str(kubectl.kubeconfig),
        },
        {"repository": repository.url, "scope": own},
        cleanup,
    )
    return Stage(
        kubectl=kubectl,
        state_namespace=own,
        agent_name=own,
        repository=repository,
        agent=agent,
        control_plane=None,
    )


def _subfolders(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.iterdir()) if path.is_dir())


def _pinned(kubeconfig: str, folder: Path) -> Kubectl:
    """kubectl for the context that is current now, whatever happens to the person's files.

    ``kubeconfig`` may be several files, as in $KUBECONFIG.
    """
    done = subprocess.run(
        [BINARY, "config", "view", "--raw", "--flatten", "--minify"],
        env=os.environ | {"KUBECONFIG": kubeconfig},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DemoError(f"KUBECONFIG={kubeconfig} cannot be used: {done.stderr.strip()}")
    copy = folder / "kubeconfig"
    copy.touch(mode=0o600)
    copy.write_text(done.stdout)
    return Kubectl(copy, cache=folder / "kubectl-cache")


def _move_to(namespace: str, repository: Repository) -> None:
    """Put every object of the repository into another namespace."""
    for path in repository.path.rglob("*.*"):
        if path.suffix in (".yaml", ".json"):
            path.write_text(_NAMESPACE.sub(rf"\g<1>{namespace}", path.read_text()))


def _agent(
    folder: Path, settings: dict[str, str], track: dict[str, str], cleanup: ExitStack
) -> AgentProcess:
    """The agent with a configuration of its own; stopped by ``cleanup``."""
    no_ports = {"metrics-bind-address": "0", "health-bind-address": "0"}
    settings = {**settings, **no_ports, "state-dir": str(folder / "state")}
    track = {"name": TRACK, **track, "interval": "1s"}
    config = folder / "lightkeeper.toml"
    config.write_text(f"[agent]\n{_toml(settings)}\n[[track]]\n{_toml(track)}")
    agent = AgentProcess(config, log=folder / "agent.log")
    cleanup.callback(agent.stop)
    return agent


def _toml(table: dict[str, str]) -> str:
    """Lines of TOML. A JSON string is a TOML string."""
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())


def _delete_namespace(kubectl: Kubectl, name: str) -> None:
    """Ask for the deletion of our namespace; the cluster finishes it by itself."""
    done = kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false", check=False)
    if done.returncode:
        print(
            f"namespace {name} is still there: {done.stderr.strip()}\n"
            f"Remove it with: kubectl delete namespace {name}",
            file=sys.stderr,
        )
