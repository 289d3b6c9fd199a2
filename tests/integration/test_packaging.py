"""The files of packaging: what other programs think of them, and that they are what we print."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent.plan.install.settle import Mode
from agent.plan.install.unit import PROGRAM
from tests.unit.plan.install.printing import PLAIN, objects, pod, printed

AWKWARD = f"""
[agent]
state-dir = "/data"
{PLAIN}
deploy-key = {{ env = "TOKEN", type = "BearerToken" }}
ca = {{ file = "ca.pem" }}
"""


def analyzed(tmp_path: Path, *arguments: str, toml: str = AWKWARD, **flags: str) -> str:
    """Ask systemd-analyze about the unit, with a program that is there; return what it says."""
    unit = tmp_path / "lightkeeper.service"
    unit.write_text(printed(tmp_path, toml, Mode.SYSTEMD, **flags).replace(PROGRAM, "/bin/true"))
    command = shutil.which("systemd-analyze")
    assert command, "install systemd: make system"
    done = subprocess.run(
        [command, *arguments, str(unit)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_systemd_finds_nothing_wrong_with_it(tmp_path: Path) -> None:
    assert analyzed(tmp_path, "verify", "--man=no", "--recursive-errors=no") == ""


def test_systemd_calls_its_exposure_ok(tmp_path: Path) -> None:
    # From 0, safe, to 10; what is left is the network, which it is for.
    said = analyzed(tmp_path, "security", "--offline=true", "--threshold=15")
    assert re.search(r"Overall exposure level for lightkeeper.service: [01]\.[0-9] OK", said), said


@pytest.mark.parametrize("argument", ["/k/100%", "/k/$HOME", "/k/a b", '/k/a"b'])
def test_systemd_finds_nothing_wrong_with_odd_arguments(tmp_path: Path, argument: str) -> None:
    analyzed(tmp_path, "verify", "--man=no", toml=PLAIN, kubeconfig=argument)


def test_the_rights_of_the_daemonset_s_init_container_are_enough_to_give_a_folder_away(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o755)  # as kubelet makes it
    [root] = [
        c
        for c in pod(objects(tmp_path, PLAIN, Mode.DAEMONSET))["initContainers"]
        if c["name"] == "state-dir"
    ]
    [added] = root["securityContext"]["capabilities"]["add"]
    given = [arg.replace("/var/lib/lightkeeper", str(folder)) for arg in root["args"]]
    limits = [f"--bounding-set=-all,+{added.lower()}", "--inh-caps=-all", "--no-new-privs"]
    for _ in range(2):  # and when it is there already
        command = ["setpriv", *limits, sys.executable, "-m", "agent", *given]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        found = folder.stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (65532, 65532, 0o700)
