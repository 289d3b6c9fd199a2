"""What every test may ask for: a cluster, a namespace of its own, and kubectl.

The cluster is a control plane of our own. With ``LIGHTKEEPER_TEST_KUBECONFIG`` set (to anything)
it is the one that ``KUBECONFIG`` names, and tests that must kill a server or read its audit log
are skipped. ``KUBECONFIG`` alone is not enough: tests write, and it may be somebody's production.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import pytest

from tests.controlplane.kubectl import Kubectl
from tests.controlplane.newer import find_newer_assets
from tests.controlplane.process import ServerError
from tests.controlplane.server import ControlPlane, find_assets

_ASSETS = pytest.StashKey[Path]()
_NEWER = pytest.StashKey[Path]()


@dataclass(frozen=True, slots=True)
class Cluster:
    """The cluster under the tests: kubectl for it, and its control plane if it is our own."""

    kubectl: Kubectl
    control_plane: ControlPlane | None


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the servers before the first test that needs them, where no test's timeout runs."""
    config = session.config
    if config.option.collectonly or _foreign_kubeconfig():
        return
    needed = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    capture = config.pluginmanager.getplugin("capturemanager")
    try:
        with capture.global_and_fixture_disabled():
            if "cluster" in needed:
                config.stash[_ASSETS] = find_assets()
            if "newer_assets" in needed:
                config.stash[_NEWER] = find_newer_assets()
    except ServerError as error:
        pytest.exit(str(error), returncode=pytest.ExitCode.INTERNAL_ERROR)


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """The cluster of this session, whoever it belongs to."""
    foreign = _foreign_kubeconfig()
    if foreign:
        with tempfile.TemporaryDirectory() as cache:
            yield Cluster(Kubectl(Path(foreign), cache=Path(cache)), control_plane=None)
    else:
        with ControlPlane(request.config.stash[_ASSETS]) as own:
            yield Cluster(own.kubectl, control_plane=own)


@pytest.fixture(scope="session")
def control_plane(cluster: Cluster) -> ControlPlane:
    """The session's own control plane, which a test may audit, kill and restart."""
    if cluster.control_plane is None:
        pytest.skip("needs a control plane of its own; unset LIGHTKEEPER_TEST_KUBECONFIG")
    return cluster.control_plane


@pytest.fixture(scope="session")
def assets(request: pytest.FixtureRequest, control_plane: ControlPlane) -> Path:
    """The programs of the session's own control plane."""
    return request.config.stash[_ASSETS]


@pytest.fixture(scope="session")
def newer_assets(request: pytest.FixtureRequest, control_plane: ControlPlane) -> Path:
    """The programs of an API server of today, to be run beside a control plane of our own."""
    return request.config.stash[_NEWER]


@pytest.fixture(scope="session")
def kubeconfig(cluster: Cluster) -> Path:
    """The administrator's kubeconfig."""
    return cluster.kubectl.kubeconfig


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """The name of a namespace that exists for this test only, with all that is put into it."""
    name = f"test-{token_hex(4)}"
    own = cluster.control_plane
    if own is None:
        cluster.kubectl("create", "namespace", name)
        yield name
        cluster.kubectl("delete", "namespace", name, "--wait=false")
    else:
        if not own.running:  # a test that killed it failed before it started it again
            own.restart_apiserver()
        own.create_namespace(name)
        yield name
        own.remove_namespace(name)


@pytest.fixture
def kubectl(cluster: Cluster, namespace: str) -> Kubectl:
    """The administrator's kubectl, in the test's own namespace unless told otherwise."""
    return cluster.kubectl.within(namespace)


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Leave the process's logging as it was: commands set it up for a process of their own."""
    root, ours = logging.getLogger(), logging.getLogger("agent")
    handlers, levels = list(root.handlers), (root.level, ours.level)
    disabled = root.manager.disable
    yield
    for handler in [h for h in root.handlers if h not in handlers]:
        root.removeHandler(handler)
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
    logging.disable(disabled)


def _foreign_kubeconfig() -> str:
    """The kubeconfig of somebody else's cluster the tests may use, or an empty string."""
    if not os.environ.get("LIGHTKEEPER_TEST_KUBECONFIG"):
        return ""
    path = os.environ.get("KUBECONFIG", "")
    if not Path(path).is_file():
        raise pytest.UsageError(
            "LIGHTKEEPER_TEST_KUBECONFIG is set, but KUBECONFIG does not name a file"
            f" ({path!r}): set it, or unset both to use a control plane of our own"
        )
    return path
