"""What a shape changes in a configuration, says why, or refuses."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from agent.cli import options
from agent.config.load import load
from agent.plan.install import outside
from agent.plan.install.settle import FOLDER, CannotInstall, Mode
from tests.unit.plan.install.printing import IN_A_CLUSTER, PLAIN, SETTINGS, settle

RESTRICTED = '[agent]\nnamespace = "shop"\n'


def test_a_sidecar_without_a_namespace_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotInstall, match=r"agent\.namespace is not set: .* --namespace"):
        settle(tmp_path, PLAIN, Mode.SIDECAR)


def test_a_namespace_may_be_given_as_a_flag(tmp_path: Path) -> None:
    there = settle(tmp_path, PLAIN, Mode.SIDECAR, namespace="shop")
    assert (there.namespace, there.own_namespace) == ("shop", False)
    assert there.flags[0].text == "--namespace=shop"


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('state-namespace = "ops"\n', "agent.state-namespace is ops"),
        ('[leader-election]\nnamespace = "ops"\n', "leader-election.namespace is ops"),
        (
            'metrics-cert-file = "c"\nmetrics-key-file = "k"\nmetrics-authorization = true\n',
            "metrics-authorization",
        ),
    ],
)
def test_a_sidecar_that_would_need_more_than_its_namespace_is_refused(
    tmp_path: Path, line: str, key: str
) -> None:
    with pytest.raises(CannotInstall, match=key):
        settle(tmp_path, RESTRICTED + line + PLAIN, Mode.SIDECAR)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize(
    "toml",
    [
        f'{PLAIN}ca = {{ file = "~/ca.pem" }}\n',
        f'{PLAIN}verify = {{ keys = ["~/.gnupg/keys"] }}\n',
        f'[agent]\nstate-dir = "~/state"\n{PLAIN}',
    ],
)
def test_a_home_directory_is_refused_and_not_taken_for_another(
    tmp_path: Path, mode: Mode, toml: str
) -> None:
    toml = toml.replace("[agent]\n", RESTRICTED) if "[agent]" in toml else RESTRICTED + toml
    with pytest.raises(CannotInstall, match=r"^~/.*: there is no home directory"):
        settle(tmp_path, toml, mode)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize(
    "agent",
    [
        "",
        'kubeconfig = "/k"\ncontext = "c"\n',
        'health-bind-address = "0"\nstate-dir = "/data"\n',
        'ignore-resources = ["jobs.batch/v1"]\n',
    ],
)
def test_with_its_flags_the_file_comes_to_what_was_settled(
    tmp_path: Path, mode: Mode, agent: str
) -> None:
    there = settle(tmp_path, f"{RESTRICTED}{agent}{PLAIN}", mode)
    parser = argparse.ArgumentParser()
    options.add_agent_options(parser)
    given = options.given_flags(parser.parse_args([flag.text for flag in there.flags]))
    file = tmp_path / "lightkeeper.toml"
    assert load(file, environment={}, flags=given, folder=FOLDER) == there.config


@pytest.mark.parametrize("mode", IN_A_CLUSTER)
def test_a_kubeconfig_of_another_place_is_not_used_in_a_pod(tmp_path: Path, mode: Mode) -> None:
    agent = SETTINGS[mode] or "[agent]\n"
    toml = f'{agent}kubeconfig = "/k"\ncontext = "c"\n{PLAIN}'
    there = settle(tmp_path, toml, mode)
    assert {"--kubeconfig=", "--context="} <= {flag.text for flag in there.flags}
    assert there.config.agent.kubeconfig is None


def test_every_flag_of_ours_says_why(tmp_path: Path) -> None:
    toml = f'[agent]\nnamespace = "shop"\nkubeconfig = "/k"\nhealth-bind-address = "0"\n{PLAIN}'
    for flag in settle(tmp_path, toml, Mode.SIDECAR).flags:
        assert flag.why.endswith(".")


def test_a_flag_that_has_to_be_otherwise_is_not_there_twice(tmp_path: Path) -> None:
    there = settle(tmp_path, PLAIN, Mode.DEPLOYMENT, leader_election="false")
    assert [flag.text for flag in there.flags] == ["--leader-election"]


@pytest.mark.parametrize(
    ("agent", "namespace", "own"),
    [
        ("", "lightkeeper", True),
        ('namespace = "shop"\n', "shop", False),
        ('state-namespace = "ops"\n', "ops", False),
        ('namespace = "shop"\nstate-namespace = "ops"\n', "ops", False),
    ],
)
def test_it_lives_in_the_namespace_that_the_configuration_names_or_in_its_own(
    tmp_path: Path, agent: str, namespace: str, own: bool
) -> None:
    there = settle(tmp_path, f"[agent]\n{agent}{PLAIN}", Mode.DEPLOYMENT)
    assert (there.namespace, there.own_namespace) == (namespace, own)


def test_names_of_secrets_are_names_and_apart() -> None:
    folders = [Path("/a/Shop_Git"), Path("/b/shop-git"), Path("/b-shop/git")]
    assert [*outside.names_of_secrets(folders).values()] == ["shop-git", "b-shop-git", "git"]


def test_keys_of_a_secret_are_keys_and_apart() -> None:
    files = [Path("/a/k y"), Path("/a/k-y"), Path("/b/PROXY")]
    keys = outside.keys_of_a_secret(files, taken=["PROXY"])
    assert [*keys.values()] == ["k-y", "a-k-y", "b-PROXY"]
