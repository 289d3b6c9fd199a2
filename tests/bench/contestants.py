"""Who is measured: the floor, Lightkeeper and kubectl, each as a command of its own process."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import measure
from tests.bench.fleet import Fleet
from tests.bench.measure import Cost
from tests.controlplane.kubectl import BINARY
from tests.controlplane.ports import free_port
from tests.controlplane.server import ControlPlane
from tests.gitservers.https import HttpsServer
from tests.gitservers.upstream import Upstream

NAMES = ("floor", "lightkeeper", "kubectl")


@dataclass(frozen=True, slots=True)
class Course:
    """One fleet in front of one fresh control plane.

    ``git`` serves the fleet's repository; ``health_port`` is where the agent says whether it is
    ready. ``binary`` is the agent to run, None for the one in this checkout.
    """

    fleet: Fleet
    plane: ControlPlane
    folder: Path
    git: HttpsServer
    binary: Path | None = None
    health_port: int = field(default_factory=free_port)

    @property
    def manifests(self) -> Path:
        """The folder kubectl applies."""
        return self.folder / "manifests"

    @property
    def upstream(self) -> Path:
        """The repository the agent tracks."""
        return self.folder / "fleet.git"

    def prepare(self) -> None:
        """Write the manifests, and commit them."""
        self.fleet.write(self.manifests)
        Upstream(self.upstream).commit(
            {path: (self.manifests / path).read_text() for path in self.fleet.files}
        )

    def create_namespaces(self) -> None:
        """Create the namespaces, for tracks of which none has them."""
        self.plane.kubectl("apply", "--filename", str(self.manifests / "namespaces.yaml"))

    def configuration(
        self, *, sub_paths: Sequence[str] = ("",), interval: str = "1m", https: bool = True
    ) -> Path:
        """Write the agent's configuration, with a track for each sub-path of the repository."""
        path = self.folder / "lightkeeper.toml"
        url = self.git.url(self.upstream, "anonymous") if https else f"file://{self.upstream}"
        lines = ["[agent]", f'state-dir = "{self.folder / "state"}"', 'state-namespace = "default"']
        lines.append(f'kubeconfig = "{self.plane.kubeconfig}"')
        lines.append('metrics-bind-address = "0"')
        lines.append(f'health-bind-address = "127.0.0.1:{self.health_port}"')
        for number, sub_path in enumerate(sub_paths):
            lines += ["[[track]]", f'name = "fleet-{number}"', f'interval = "{interval}"']
            lines += [f'repository = "{url}"', 'reference = "main"', f'sub-path = "{sub_path}"']
            if https:
                lines.append(f'ca = {{ file = "{self.git.authority.ca}" }}')
        path.write_text("\n".join(lines) + "\n")
        return path


def apply(name: str, course: Course) -> Cost:
    """Bring the cluster to the fleet once, with one contestant."""
    return measure.timed(_command(name, course), environment=environment(course))


def agent_command(course: Course, configuration: Path, *arguments: str) -> list[str]:
    """Return the agent's command line."""
    program = [str(course.binary)] if course.binary else [sys.executable, "-m", "agent"]
    return [*program, "run", "-c", str(configuration), *arguments]


def _command(name: str, course: Course) -> list[str]:
    if name == "lightkeeper":
        return agent_command(course, course.configuration(), "--once")
    if name == "kubectl":
        return [str(BINARY), "apply", "--recursive", "--filename", str(course.manifests)]
    plane = course.plane
    floor = [sys.executable, "-m", "tests.bench.floor", plane.url, str(plane.ca)]
    return [*floor, plane.admin_token, str(course.fleet.apps)]


def environment(course: Course) -> dict[str, str]:
    """Return what a contestant finds: nothing of the agent's, and byte code may be kept."""
    unwanted = ("LIGHTKEEPER_", "PYTHONDONTWRITEBYTECODE")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(unwanted)}
    cache = str(course.folder / "kubectl-cache")
    return kept | {"KUBECONFIG": str(course.plane.kubeconfig), "KUBECACHEDIR": cache}
