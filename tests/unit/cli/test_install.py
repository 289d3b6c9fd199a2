"""``lightkeeper install`` where it asks nobody: what it prints, refuses and gives away."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import yaml

from agent.cli.install import default_image
from agent.cli.main import main

TOML = '[[track]]\nname = "shop"\nrepository = "https://git.example.org/shop"\n'


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "lightkeeper.toml"
    path.write_text(TOML)
    return f"--config={path}"


def exported(config: str, *arguments: str) -> int:
    return main(["install", "--export", config, *arguments])


def test_offline_the_rights_are_for_the_kinds_that_were_named(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exported(config, "--offline", "--kinds=deployments.apps,configmaps") == 0
    found = list(yaml.safe_load_all(capsys.readouterr().out))
    [role] = [obj for obj in found if obj["kind"] == "ClusterRole"]
    assert [(r["apiGroups"], r["resources"]) for r in role["rules"]] == [
        ([""], ["configmaps"]),
        (["apps"], ["deployments"]),
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--offline",), "--offline: name what the repositories hold with --kinds"),
        (("--offline", "--kinds=Deployment.apps"), "write <plural>.<group>"),
        (("--mode=sidecar",), "agent.namespace is not set"),
    ],
)
def test_what_cannot_be_printed_is_refused(
    config: str, arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exported(config, *arguments) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.out == ""


def test_the_image_is_of_this_version_unless_another_is_named(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    offline = ("--offline", "--kinds=configmaps")
    exported(config, *offline)
    assert f"image: {default_image()}\n" in capsys.readouterr().out
    exported(config, *offline, "--image=example.org/keeper@sha256:0")
    assert "image: example.org/keeper@sha256:0\n" in capsys.readouterr().out


def test_flags_are_given_on_as_often_as_they_were_given(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--ignore-resource=jobs.batch/v1", "--ignore-resource=secrets./v1", "--sync-period=9m"]
    exported(config, "--offline", "--kinds=configmaps", *given, "--context=here")
    found = list(yaml.safe_load_all(capsys.readouterr().out))
    [workload] = [obj for obj in found if obj["kind"] == "Deployment"]
    [container] = workload["spec"]["template"]["spec"]["containers"]
    assert container["args"] == [
        *("run", "--config=/etc/lightkeeper/config.toml"),
        "--ignore-resources=jobs.batch/v1",
        "--ignore-resources=secrets./v1",
        *("--sync-period=9m", "--leader-election"),
    ]


def test_rights_to_rights_come_with_a_word_on_escalation(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    exported(config, "--offline", "--kinds=roles.rbac.authorization.k8s.io")
    assert "privilege escalation prevention" in capsys.readouterr().out


def test_a_unit_needs_no_rights_and_keeps_the_kubeconfig(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exported(config, "--mode=systemd", "--kubeconfig=/etc/rancher/k3s/k3s.yaml") == 0
    assert " --kubeconfig=/etc/rancher/k3s/k3s.yaml\n" in capsys.readouterr().out


# --- what the DaemonSet's init container does ----------------------------------------------------


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_folder_is_made_for_somebody_alone(tmp_path: Path) -> None:
    folder = tmp_path / "var" / "state"
    us = f"{os.getuid()}:{os.getgid()}"
    assert main(["install", f"--give-folder={folder}", f"--to={us}"]) == 0
    assert mode(folder) == 0o700


def test_a_folder_of_root_is_given_away_once(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o755)
    for _ in range(2):
        assert main(["install", f"--give-folder={folder}", "--to=65532:65533"]) == 0
        assert (folder.stat().st_uid, folder.stat().st_gid, mode(folder)) == (65532, 65533, 0o700)


@pytest.mark.parametrize("to", [(), ("--to=root",), ("--to=1",)])
def test_a_folder_is_given_to_numbers_only(
    tmp_path: Path, to: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["install", f"--give-folder={tmp_path / 'a'}", *to]) == 2
    assert "--to=UID:GID" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


def test_a_folder_that_cannot_be_made_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["install", f"--give-folder={tmp_path / 'file' / 'a'}", "--to=1:1"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert "cannot be given to 1:1: Not a directory" in line
