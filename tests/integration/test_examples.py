"""The example fleet is what its README says, and the demo leaves no trace on a foreign cluster."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from agent.config.load import load
from agent.manifest.collection import Collected, collect
from agent.manifest.keys import JSONObject
from agent.manifest.load import load_file
from agent.manifest.model import Manifest
from tests.controlplane.audit import Request
from tests.controlplane.kubectl import Kubectl
from tests.controlplane.server import ControlPlane

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = REPOSITORY / "examples"
FLEET = EXAMPLES / "fleet"
OWN_KIND = "Team"
WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})

Objects = list[JSONObject]


@cache
def fleet() -> Collected:
    files = sorted(path for path in FLEET.rglob("*") if path.is_file())
    return collect(load_file(path.read_bytes(), file=_name(path)) for path in files)


def of(kind: str) -> Objects:
    return [m.object() for m in fleet().manifests if m.key.kind == kind]


def below(folder: str) -> list[Manifest]:
    return [m for m in fleet().manifests if m.origin.file.startswith(folder)]


def _name(path: Path) -> str:
    return path.relative_to(FLEET).as_posix()


# --- what is in it ----------------------------------------------------------------------------


def test_every_file_of_the_fleet_is_read_without_error_or_warning() -> None:
    assert (fleet().errors, fleet().warnings) == ((), ())


def test_the_fleet_is_as_large_as_its_readme_says() -> None:
    kinds = {m.key.group_kind for m in fleet().manifests}
    assert f"{len(fleet().manifests)} objects of {len(kinds)} kinds" in (
        (EXAMPLES / "README.md").read_text()
    )
    assert len(fleet().manifests) >= 55
    assert len(kinds) >= 15


@pytest.mark.parametrize(
    "kind",
    [
        *("ClusterRole", "ClusterRoleBinding", "ConfigMap", "CustomResourceDefinition"),
        *("DaemonSet", "Deployment", "HorizontalPodAutoscaler", "Ingress", "Job", "LimitRange"),
        *("Namespace", "NetworkPolicy", "PersistentVolumeClaim", "PriorityClass"),
        *("ResourceQuota", "Role", "RoleBinding", "Secret", "Service", "ServiceAccount"),
        *("StatefulSet", OWN_KIND),
    ],
)
def test_the_fleet_has_the_kind(kind: str) -> None:
    assert of(kind)


@pytest.mark.parametrize("kind", ["CronJob", "PodDisruptionBudget"])
def test_the_fleet_lacks_the_kinds_no_version_of_which_every_release_has(kind: str) -> None:
    assert not of(kind)


def scaled_by_autoscaler(deployments: Objects) -> bool:
    targets = {hpa["spec"]["scaleTargetRef"]["name"] for hpa in of("HorizontalPodAutoscaler")}
    found = [d["spec"] for d in deployments if d["metadata"]["name"] in targets]
    return bool(found) and all("replicas" not in spec for spec in found)


def dns_over_both_protocols(services: Objects) -> bool:
    ports = [{(p["port"], p.get("protocol")) for p in s["spec"]["ports"]} for s in services]
    return any({(53, "UDP"), (53, "TCP")} <= found for found in ports)


@pytest.mark.parametrize(
    ("kind", "there"),
    [
        pytest.param("Deployment", scaled_by_autoscaler, id="no replicas beside an autoscaler"),
        pytest.param("Service", dns_over_both_protocols, id="one port number, two protocols"),
        pytest.param(
            "Service",
            lambda found: any(s["spec"].get("clusterIP") == "None" for s in found),
            id="a headless service",
        ),
        pytest.param(
            "Secret",
            lambda found: any("stringData" in s and s["type"] == "Opaque" for s in found),
            id="an opaque secret in clear text",
        ),
        pytest.param(
            "ConfigMap",
            lambda found: any("\n" in v for c in found for v in c["data"].values()),
            id="a config map of many lines",
        ),
        pytest.param(OWN_KIND, lambda found: len(found) >= 2, id="two objects of an own kind"),
    ],
)
def test_the_fleet_shows(kind: str, there: Callable[[Objects], bool]) -> None:
    assert there(of(kind))


def test_the_fleet_has_a_json_file_a_list_and_a_file_of_many_documents() -> None:
    files = {m.origin.file for m in fleet().manifests}
    assert any(file.endswith(".json") for file in files)
    assert any("kind: List" in (FLEET / file).read_text() for file in files)
    assert any(m.origin.document > 1 for m in fleet().manifests)


def test_cluster_holds_only_cluster_scoped_objects() -> None:
    assert {m.key.namespace for m in below("cluster/")} == {""}


def test_apps_holds_only_objects_of_built_in_kinds_in_its_one_namespace() -> None:
    assert {m.key.namespace for m in below("apps/")} == {"fleet"}
    assert OWN_KIND not in {m.key.kind for m in below("apps/")}


def test_no_secret_looks_real() -> None:
    values = [value for secret in of("Secret") for value in secret["stringData"].values()]
    assert all(value.startswith("not-a-real-") or value == "mailer" for value in values)


def test_the_configuration_tracks_the_two_folders_of_the_fleet() -> None:
    config = load(EXAMPLES / "lightkeeper.toml", environment={}, flags={})
    scopes = {track.sub_path: track.scope for track in config.tracks}
    assert scopes == {"cluster": "cluster-only", "apps": "fleet"}


# --- what servers say -------------------------------------------------------------------------


@pytest.mark.parametrize("release", ["1.25", kubernetes_validate.latest_version()])
def test_the_schemas_of_current_releases_know_every_field(release: str) -> None:
    for manifest in fleet().manifests:
        if manifest.key.kind != OWN_KIND:
            kubernetes_validate.validate(manifest.object(), release, strict=True)


@pytest.fixture
def cleared(control_plane: ControlPlane) -> Iterator[Kubectl]:
    """kubectl; the fleet is taken away again afterwards."""
    yield control_plane.kubectl
    cluster = str(FLEET / "cluster")
    control_plane.kubectl("delete", "-R", "-f", cluster, "--ignore-not-found", "--wait=false")
    for namespace in of("Namespace"):
        control_plane.remove_namespace(namespace["metadata"]["name"])


def test_kubectl_applies_the_fleet_as_the_readme_says(cleared: Kubectl) -> None:
    for command in _commands(EXAMPLES / "README.md"):
        done = cleared(*(word.replace("examples/", f"{EXAMPLES}/") for word in command))
        assert "Warning" not in done.stderr
    applied = cleared("get", "-R", "-f", str(FLEET), "--output=name").stdout.split()
    assert len(applied) == len(fleet().manifests)


def _commands(readme: Path) -> Iterable[list[str]]:
    lines = (line.split() for line in readme.read_text().splitlines() if line.startswith("    "))
    return [words for _, *words in lines]


# --- the demo on somebody else's cluster --------------------------------------------------------


@pytest.fixture
def demo(control_plane: ControlPlane) -> Iterator[dict[str, Any]]:
    """How to start the demo on this cluster; the namespaces it leaves Terminating are removed."""
    yield {
        "args": [sys.executable, "-m", "tests.demo"],
        "cwd": REPOSITORY,
        "env": os.environ | {"KUBECONFIG": str(control_plane.kubeconfig)},
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "text": True,
    }
    for name in _demo_namespaces(control_plane):
        control_plane.remove_namespace(name)


def test_the_demo_writes_nothing_outside_of_its_namespace_and_deletes_that(
    control_plane: ControlPlane, demo: dict[str, Any]
) -> None:
    mark = control_plane.mark()
    done = subprocess.run(**demo, timeout=100, check=False)
    assert done.returncode == 0, done.stdout
    writes = _writes(control_plane, mark)
    (own,) = {request.name for request in writes if request.resource == "namespaces"}
    assert {request.namespace or request.name for request in writes} == {own}
    assert _demo_namespaces(control_plane) == {own: "Terminating"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_deletes_its_namespace(
    control_plane: ControlPlane, demo: dict[str, Any], number: signal.Signals
) -> None:
    with subprocess.Popen(**demo) as running:
        assert any("The stage is set" in line for line in running.stdout or ())
        running.send_signal(number)
        said, _ = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert set(_demo_namespaces(control_plane).values()) == {"Terminating"}


def _writes(control_plane: ControlPlane, mark: int) -> list[Request]:
    return [request for request in control_plane.audit(mark) if request.verb in WRITES]


def _demo_namespaces(control_plane: ControlPlane) -> dict[str, str]:
    """The demo's namespaces and their phases."""
    every = control_plane.client.json("GET", "/api/v1/namespaces")["items"]
    return {
        namespace["metadata"]["name"]: namespace["status"]["phase"]
        for namespace in every
        if namespace["metadata"]["name"].startswith("lightkeeper-demo-")
    }
