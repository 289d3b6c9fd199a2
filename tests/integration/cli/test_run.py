"""``lightkeeper run`` as a person starts it: exit codes, messages, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.controlplane.kubectl import Kubectl
from tests.controlplane.server import ControlPlane
from tests.gitservers.upstream import Upstream


@dataclass(frozen=True)
class Program:
    """The program with a configuration of its own."""

    config: Path
    namespace: str
    kubeconfig: Path
    git: Upstream

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "agent", *arguments, "-c", str(self.config)]

    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "KUBECONFIG": str(self.kubeconfig)}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @contextmanager
    def started(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        with subprocess.Popen(
            self.command("run", *arguments),
            env=self.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def commit(self, count: int) -> None:
        self.git.commit(
            {
                f"{number}.yaml": "apiVersion: v1\nkind: ConfigMap\n"
                f"metadata: {{name: c{number}, namespace: {self.namespace}}}\n"
                for number in range(count)
            }
        )


@pytest.fixture
def program(tmp_path: Path, namespace: str, kubeconfig: Path) -> Program:
    git = Upstream(tmp_path / "upstream.git")
    config = tmp_path / "lightkeeper.toml"
    config.write_text(
        f'[agent]\nname = "a{namespace}"\nstate-dir = "{tmp_path / "state"}"\n'
        f'state-namespace = "{namespace}"\n'
        'metrics-bind-address = "0"\nhealth-bind-address = "0"\n'
        f'[[track]]\nname = "shop"\nrepository = "file://{git.path}"\ninterval = "1s"\n'
    )
    return Program(config, namespace, kubeconfig, git)


def test_once_ends_with_0_when_all_is_in_sync_and_prints_a_table(program: Program) -> None:
    program.commit(3)
    done = program.run("run", "--once")
    assert done.returncode == 0, done.stderr
    header, row = done.stdout.splitlines()
    assert header.split() == ["TRACK", "REVISION", "DISCOVERED", "APPLIED", "IGNORED", "IN", "SYNC",
                              "READY"]  # fmt: skip
    assert row.split() == ["shop", f"main@{program.git.head()[:12]}", "3", "3", "0", "3", "True"]
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["msg"] for line in lines] == ["object created"] * 3


def test_once_ends_with_1_and_a_line_a_problem_when_not(program: Program) -> None:
    program.git.commit({"a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n"})
    done = program.run("run", "--once", "--log-level", "error", "--log-format", "text")
    assert done.returncode == 1
    assert any(line.startswith("shop: a.yaml: ") for line in done.stderr.splitlines())


def test_once_speaks_json(program: Program) -> None:
    program.commit(1)
    done = program.run("run", "--once", "-o", "json")
    [status] = json.loads(done.stdout)
    assert (status["track"], status["discovered"], status["inSync"]) == ("shop", 1, 1)
    assert [condition["status"] for condition in status["conditions"]] == ["True"] * 4


def test_a_broken_configuration_ends_with_2_before_anything_is_touched(program: Program) -> None:
    program.config.write_text("[agent]\nnmae = 1\n")
    done = program.run("run")
    assert done.returncode == 2
    assert f"{program.config}:2: agent.nmae: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--wait",), "--wait goes with --once"),
        (("--once", "--timeout", "1s"), "--timeout goes with --once --wait"),
        (("--once", "--wait", "--timeout", "5"), '--timeout: a duration needs a unit, write "5s"'),
    ],
)
def test_flags_of_waiting_that_make_no_sense_are_refused(
    program: Program, arguments: tuple[str, ...], said: str
) -> None:
    done = program.run("run", *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_once_with_wait_ends_with_1_and_what_is_wrong_when_the_time_is_over(
    program: Program,
) -> None:
    program.git.commit({"a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n"})
    done = program.run("run", "--once", "--wait", "--timeout", "3s", "--log-level", "error")
    assert done.returncode == 1
    assert any(line.startswith("shop: a.yaml: ") for line in done.stderr.splitlines())


def test_once_with_wait_goes_on_until_what_was_wrong_is_mended(
    program: Program, kubectl: Kubectl
) -> None:
    program.git.commit({"a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n"})
    with program.started("--once", "--wait") as process:
        _until(process, "a.yaml")
        program.git.commit({}, remove=("a.yaml",))
        program.commit(2)
        assert process.wait(60) == 0
    assert kubectl("get", "configmap", "c0", "c1", "-o", "name").stdout.split()


def test_once_with_wait_waits_for_the_repository_to_be_there(
    program: Program, kubectl: Kubectl
) -> None:
    program.commit(1)
    away = program.git.path.rename(program.git.path.with_name("away"))
    with program.started("--once", "--wait") as process:
        _until(process, "fetch failed")
        away.rename(program.git.path)
        assert process.wait(60) == 0
    assert kubectl("get", "configmap", "c0", "-o", "name").stdout


def test_once_with_wait_waits_for_the_way_to_the_cluster_to_be_there(
    program: Program, kubectl: Kubectl
) -> None:
    program.commit(1)
    kubeconfig = program.config.with_name("kubeconfig")
    with program.started("--once", "--wait", "--kubeconfig", str(kubeconfig)) as process:
        _until(process, "cannot start, trying again")
        written = kubeconfig.with_suffix(".new")
        written.write_text(program.kubeconfig.read_text())
        written.rename(kubeconfig)
        assert process.wait(60) == 0
    assert kubectl("get", "configmap", "c0", "-o", "name").stdout


def test_once_with_wait_waits_for_the_api_server_to_come_up(
    program: Program, kubectl: Kubectl, control_plane: ControlPlane
) -> None:
    program.commit(1)
    control_plane.kill_apiserver()
    with program.started("--once", "--wait") as process:
        _until(process, "pass stopped")
        control_plane.restart_apiserver()
        assert process.wait(60) == 0
    assert kubectl("get", "configmap", "c0", "-o", "name").stdout


def test_once_with_wait_does_not_take_the_status_of_an_earlier_agent_for_its_own(
    program: Program,
) -> None:
    program.commit(1)
    assert program.run("run", "--once").returncode == 0
    with socket.create_server(("127.0.0.1", 0)) as silent:
        # A repository that never answers: the pass is cut off after it read the good old status.
        port = silent.getsockname()[1]
        text = program.config.read_text()
        program.config.write_text(
            text.replace(f"file://{program.git.path}", f"http://127.0.0.1:{port}/shop.git")
        )
        done = program.run("run", "--once", "--wait", "--timeout", "4s")
    assert done.returncode == 1
    assert "shop: pass: not one was done within" in done.stderr


def test_no_cluster_is_one_clear_line(program: Program, tmp_path: Path) -> None:
    done = program.run("run", "--once", "--kubeconfig", str(tmp_path / "none"))
    assert done.returncode == 1
    assert "no usable access to a Kubernetes API server" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_state_dir_that_cannot_be_written_is_one_clear_line(program: Program) -> None:
    done = program.run("run", "--once", "--state-dir", "/proc/none")
    assert done.returncode == 1
    assert "state-dir /proc/none cannot be used" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_sigterm_finishes_what_is_in_flight_and_ends_with_0(
    program: Program, kubectl: Kubectl, number: signal.Signals
) -> None:
    program.commit(300)
    with program.started() as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "object created" in line:
                break
        process.send_signal(number)
        begun = time.monotonic()
        rest = process.stderr.read()
        assert process.wait(30) == 0
    assert time.monotonic() - begun < 15
    said = [json.loads(line) for line in [line, *rest.splitlines()]]
    assert said[-1]["msg"] == "stopped"
    created = sum(1 for entry in said if entry["msg"] == "object created")
    live = kubectl("get", "configmap", "-l", "lightkeeper.dev/agent", "-o", "name").stdout.split()
    objects = [name for name in live if not name.endswith(".shop")]
    assert len(objects) == created, "an object was written and not waited for"
    assert created < 300, "the signal came too late to say anything"


def test_an_address_of_0_opens_no_port(program: Program) -> None:
    program.commit(1)
    with program.started() as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "object created" in line:
                break
        assert _listening(process.pid) == 0


def test_a_port_in_use_is_one_clear_line(program: Program) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = program.run("run", "--metrics-bind-address", address)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith(f"metrics-bind-address {address}: cannot listen there: ")


def test_no_process_is_left_behind(program: Program) -> None:
    program.commit(1)
    with program.started() as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "object created" in line:
                break
        family = [process.pid, *_children(process.pid)]
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    assert len(family) > 1, "there was no worker to leave behind"
    deadline = time.monotonic() + 10
    while any(_alive(pid) for pid in family):
        assert time.monotonic() < deadline, "a worker outlived the agent"
        time.sleep(0.05)


def _until(process: subprocess.Popen[str], text: str) -> str:
    """Read what the program says until a line has this text; return that line."""
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return line
    raise AssertionError(f"it ended without saying {text!r}")


def _listening(pid: int) -> int:
    """Count the TCP ports that a process listens on."""
    own = {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()}
    rows = [
        row.split()
        for table in ("tcp", "tcp6")
        for row in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
    ]
    return sum(1 for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in own)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
