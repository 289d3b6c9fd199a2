"""What is printed for a cluster: valid, whole, as safe as Pods can be, and nobody's CRD."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from agent.config.load import load
from agent.kube import pod as pod_of_ours
from agent.plan.install.settle import FOLDER, Mode
from agent.reconcile import terms
from agent.reconcile.leadership import elector
from tests.unit.plan.install.printing import (
    IN_A_CLUSTER,
    PLAIN,
    SETTINGS,
    container,
    objects,
    of_kind,
    pod,
    printed,
)

ROOT = Path(__file__).parents[4]

EVERYTHING = """
[[track]]
name = "shop"
repository = "ssh://git@git.example.org/shop"
deploy-key = { file = "deploy-key", passphrase = { env = "PASSPHRASE" } }
known-hosts = { file = "/srv/keys/known_hosts" }
verify = { keys = ["/srv/keys/ada", "signers"] }
[[track]]
name = "web"
repository = "https://git.example.org/web"
deploy-key = { dir = "/run/credentials/web" }
ca = { file = "/etc/ssl/certs/own.pem" }
client-certificate = { file = "client/tls.crt" }
proxy = { env = "PROXY" }
"""

modes = pytest.mark.parametrize("mode", IN_A_CLUSTER)


@modes
@pytest.mark.parametrize("release", ["1.25", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("toml", [PLAIN, EVERYTHING], ids=["plain", "everything"])
def test_every_object_is_valid(tmp_path: Path, mode: Mode, release: str, toml: str) -> None:
    for obj in objects(tmp_path, SETTINGS[mode] + toml, mode):
        kubernetes_validate.validate(obj, release, strict=True)


@modes
def test_there_is_no_custom_resource_and_no_definition_of_one(tmp_path: Path, mode: Mode) -> None:
    groups = {obj["apiVersion"] for obj in objects(tmp_path, SETTINGS[mode] + PLAIN, mode)}
    assert groups == {"v1", "apps/v1", "rbac.authorization.k8s.io/v1"}


CLUSTER_SCOPED = {"Namespace", "ClusterRole", "ClusterRoleBinding", "PriorityClass"}


@pytest.mark.parametrize("mode", IN_A_CLUSTER)
def test_an_agent_of_one_namespace_gets_nothing_outside_of_it(tmp_path: Path, mode: Mode) -> None:
    found = objects(tmp_path, '[agent]\nnamespace = "shop"\n' + PLAIN, mode)
    assert not CLUSTER_SCOPED & {obj["kind"] for obj in found}
    assert {obj["metadata"]["namespace"] for obj in found} == {"shop"}


@modes
@pytest.mark.parametrize("toml", [PLAIN, EVERYTHING], ids=["plain", "everything"])
def test_the_configuration_is_in_it_as_it_is(tmp_path: Path, mode: Mode, toml: str) -> None:
    toml = f"{SETTINGS[mode]}# A comment, and a tab:\t.  \n{toml}"
    config_map = of_kind(objects(tmp_path, toml, mode), "ConfigMap")
    assert config_map["data"] == {"config.toml": toml}


# --- the Pod Security Standards, profile "restricted", control by control ------------------------

Check = Callable[[dict[str, Any], list[dict[str, Any]]], bool]


def each(test: Callable[[dict[str, Any]], bool]) -> Check:
    return lambda spec, containers: all(map(test, containers))


def securely(key: str, wanted: Any) -> Check:
    """Of each container, or of the Pod where the container says nothing."""
    return lambda spec, containers: all(
        c["securityContext"].get(key, spec["securityContext"].get(key)) == wanted
        for c in containers
    )


VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim",
           "projected", "secret"}  # fmt: skip

RESTRICTED: dict[str, Check] = {
    "no namespaces of the host": lambda spec, _: (
        not {"hostNetwork", "hostPID", "hostIPC"} & {*spec}
    ),
    "no ports of the host": each(lambda c: all("hostPort" not in p for p in c.get("ports", ()))),
    "not privileged": each(lambda c: not c["securityContext"].get("privileged")),
    "no procMount": each(lambda c: "procMount" not in c["securityContext"]),
    "no seLinuxOptions": each(lambda c: "seLinuxOptions" not in c["securityContext"]),
    "no sysctls": lambda spec, _: "sysctls" not in spec["securityContext"],
    "no HostProcess": each(lambda c: "windowsOptions" not in c["securityContext"]),
    "volumes of allowed types": lambda spec, _: (
        {kind for volume in spec["volumes"] for kind in volume.keys() - {"name"}} <= VOLUMES
    ),
    "no escalation of privileges": securely("allowPrivilegeEscalation", False),
    "not as root": securely("runAsNonRoot", True),
    "no user 0": lambda spec, containers: (
        spec["securityContext"]["runAsUser"] > 0
        and all(c["securityContext"].get("runAsUser") != 0 for c in containers)
    ),
    "seccomp": securely("seccompProfile", {"type": "RuntimeDefault"}),
    "capabilities dropped": each(
        lambda c: c["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    ),
    # Not in the standard, but as good.
    "a root file system that is read": securely("readOnlyRootFilesystem", True),
}


@modes
@pytest.mark.parametrize("control", RESTRICTED)
@pytest.mark.parametrize("toml", [PLAIN, EVERYTHING], ids=["plain", "everything"])
def test_pods_are_restricted(tmp_path: Path, mode: Mode, control: str, toml: str) -> None:
    spec = pod(objects(tmp_path, SETTINGS[mode] + toml, mode))
    containers = [*spec.get("initContainers", ()), *spec["containers"]]
    if mode is Mode.DAEMONSET:  # the two exceptions, which its namespace's label allows
        [state] = [v for v in spec["volumes"] if v["name"] == "state"]
        assert state["hostPath"] == {"path": "/var/lib/lightkeeper", "type": "DirectoryOrCreate"}
        spec = {**spec, "volumes": [v for v in spec["volumes"] if v is not state]}
        containers = [c for c in containers if c["name"] != "state-dir"]
    assert RESTRICTED[control](spec, containers)


def test_the_one_root_may_do_nothing_but_give_a_folder_away(tmp_path: Path) -> None:
    root = container(objects(tmp_path, PLAIN, Mode.DAEMONSET), "state-dir")
    assert root["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["CHOWN"]}
    assert root["securityContext"]["allowPrivilegeEscalation"] is False
    assert root["args"] == ["install", "--give-folder=/var/lib/lightkeeper", "--to=65532:65532"]


@pytest.mark.parametrize(
    ("mode", "level"), [(Mode.DEPLOYMENT, "restricted"), (Mode.DAEMONSET, "privileged")]
)
def test_a_namespace_of_its_own_says_what_its_pods_may(
    tmp_path: Path, mode: Mode, level: str
) -> None:
    labels = of_kind(objects(tmp_path, PLAIN, mode), "Namespace")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == level


# --- what is mounted where -----------------------------------------------------------------------


@modes
def test_every_mount_has_its_volume_and_every_folder_one_mount(tmp_path: Path, mode: Mode) -> None:
    spec = pod(objects(tmp_path, SETTINGS[mode] + EVERYTHING, mode))
    volumes = [volume["name"] for volume in spec["volumes"]]
    assert len(volumes) == len({*volumes})
    used = set()
    for one in [*spec.get("initContainers", ()), *spec["containers"]]:
        mounts = one.get("volumeMounts", ())
        assert len({mount["mountPath"] for mount in mounts}) == len(mounts)
        used |= {mount["name"] for mount in mounts}
    assert used == {*volumes}


@modes
def test_what_the_configuration_names_is_where_it_says(tmp_path: Path, mode: Mode) -> None:
    found = objects(tmp_path, SETTINGS[mode] + EVERYTHING, mode)
    volumes = {volume["name"]: volume for volume in pod(found)["volumes"]}
    places = {}
    for mount in container(found)["volumeMounts"]:
        volume = volumes[mount["name"]]
        for source in volume.get("projected", {}).get("sources", ()):
            for item in source.get("secret", {}).get("items", ()):
                places[f"{mount['mountPath']}/{item['path']}"] = item["key"]
        if "secret" in volume:
            places[mount["mountPath"]] = mount.get("subPath") or volume["secret"]["secretName"]
    assert places == {
        "/etc/lightkeeper/deploy-key": "deploy-key",
        "/etc/lightkeeper/signers": "signers",
        "/srv/keys/known_hosts": "known_hosts",
        "/srv/keys/ada": "ada",
        "/etc/lightkeeper/client/tls.crt": "tls.crt",
        "/etc/ssl/certs/own.pem": "own.pem",
        "/run/credentials/web": "lightkeeper-web",
    }
    variables = {
        each["name"]: each["valueFrom"]["secretKeyRef"] for each in container(found)["env"]
    }
    assert variables == {
        name: {"name": "lightkeeper-secrets", "key": name} for name in ("PASSPHRASE", "PROXY")
    }


def test_it_says_how_to_make_the_secrets_it_needs(tmp_path: Path) -> None:
    said = printed(tmp_path, EVERYTHING, Mode.DEPLOYMENT).partition("apiVersion")[0]
    assert "--from-file=deploy-key=/etc/lightkeeper/deploy-key" in said
    assert "--from-file=PASSPHRASE=FILE" in said
    assert "create secret generic lightkeeper-web --from-file=/run/credentials/web" in said


def test_it_says_which_secrets_and_namespaces_have_to_be_there(tmp_path: Path) -> None:
    named = 'deploy-key = { secret-name = "shop-git", secret-namespace = "ops" }\n'
    toml = f'[agent]\nstate-namespace = "gitops"\n{PLAIN}{named}'
    said = printed(tmp_path, toml, Mode.DEPLOYMENT).partition("apiVersion")[0]
    assert "the namespace gitops" in said
    assert "the Secret shop-git in namespace ops" in said


def test_files_of_one_name_are_two_keys(tmp_path: Path) -> None:
    second = PLAIN.replace("shop", "web")
    key = 'deploy-key = {{ file = "/srv/{}/token", type = "BearerToken" }}\n'
    toml = PLAIN + key.format("a") + second + key.format("b")
    found = objects(tmp_path, toml, Mode.DEPLOYMENT)
    items = [
        (source["secret"]["items"][0]["key"], source["secret"]["items"][0]["path"])
        for volume in pod(found)["volumes"]
        for source in volume.get("projected", {}).get("sources", ())
        if "secret" in source
    ]
    assert items == [("token", "token"), ("srv-b-token", "token")]


def test_the_configuration_means_in_the_pod_what_it_means_here(tmp_path: Path) -> None:
    toml = SETTINGS[Mode.SIDECAR] + EVERYTHING
    there = tmp_path / "config.toml"
    there.write_text(
        of_kind(objects(tmp_path, toml, Mode.SIDECAR), "ConfigMap")["data"][there.name]
    )
    assert load(there, environment={}, flags={}, folder=FOLDER).tracks[0].deploy_key is not None


def test_a_state_dir_of_the_configuration_is_where_the_volume_is(tmp_path: Path) -> None:
    toml = f'[agent]\nstate-dir = "/data/keeper"\n{PLAIN}'
    found = objects(tmp_path, toml, Mode.DAEMONSET)
    [state] = [m for m in container(found)["volumeMounts"] if m["name"] == "state"]
    [volume] = [v for v in pod(found)["volumes"] if v["name"] == "state"]
    assert (state["mountPath"], volume["hostPath"]["path"]) == ("/data/keeper", "/data/keeper")


def test_a_node_s_bundle_is_mounted_with_its_folder_so_that_a_new_one_counts(
    tmp_path: Path,
) -> None:
    toml = '[[track]]\nname = "a"\nrepository = "/media/usb/a.bundle"\n'
    found = objects(tmp_path, toml, Mode.DAEMONSET)
    [mount] = [m for m in container(found)["volumeMounts"] if m["mountPath"] == "/media/usb"]
    [volume] = [v for v in pod(found)["volumes"] if v["name"] == mount["name"]]
    assert (volume["hostPath"], mount["readOnly"]) == ({"path": "/media/usb"}, True)
    assert "mount some" in printed(tmp_path, toml, Mode.DEPLOYMENT)


# --- how it runs ---------------------------------------------------------------------------------


@modes
def test_writers_are_elected_and_may_use_their_lease(tmp_path: Path, mode: Mode) -> None:
    found = objects(tmp_path, SETTINGS[mode] + PLAIN, mode)
    assert "--leader-election" in container(found)["args"]
    rules = [rule for obj in found for rule in obj.get("rules", ())]
    [of_leases] = [r for r in rules if r["resources"] == ["leases"] and "get" in r["verbs"]]
    assert of_leases["resourceNames"] == ["lightkeeper-leader"]


def test_an_election_in_the_file_needs_no_flag(tmp_path: Path) -> None:
    toml = f'{PLAIN}[leader-election]\nenabled = true\nmode = "track"\n'
    found = objects(tmp_path, toml, Mode.DAEMONSET)
    assert container(found)["args"] == ["run", "--config=/etc/lightkeeper/config.toml"]
    assert "lightkeeper-leader.shop" in str(found)


@modes
def test_it_has_the_time_that_its_end_takes(tmp_path: Path, mode: Mode) -> None:
    spec = pod(objects(tmp_path, SETTINGS[mode] + PLAIN, mode))
    end = terms.DRAIN + terms.RECORD + terms.EVENTS_DRAIN + elector.RELEASE
    assert spec["terminationGracePeriodSeconds"] >= end + 10


@modes
@pytest.mark.parametrize(
    ("address", "probe", "said"),
    [
        (":8081", {"path": "/healthz", "port": "health"}, False),
        ("0.0.0.0:9000", {"path": "/healthz", "port": "health"}, False),
        ("127.0.0.1:9000", None, False),
        ("0", None, True),
    ],
)
def test_probes_ask_where_the_agent_answers(
    tmp_path: Path, mode: Mode, address: str, probe: dict[str, str] | None, said: bool
) -> None:
    agent = SETTINGS[mode] or "[agent]\n"
    found = container(objects(tmp_path, f'{agent}health-bind-address = "{address}"\n{PLAIN}', mode))
    assert found["livenessProbe"].get("httpGet") == probe
    assert ("--health-bind-address=127.0.0.1:8081" in found["args"]) is said
    if probe is None:
        command = found["readinessProbe"]["exec"]["command"]
        assert command[:3] == [
            "lightkeeper",
            "healthcheck",
            "--config=/etc/lightkeeper/config.toml",
        ]
        assert command[-1] == "--ready"
        assert command[3:-1] == found["args"][2:]  # one configuration, one address
    else:
        port = int(address.rpartition(":")[2])
        assert {"name": "health", "containerPort": port} in found["ports"]


@pytest.mark.parametrize("mode", [Mode.DEPLOYMENT, Mode.DAEMONSET])
@pytest.mark.parametrize(
    ("address", "served"), [(":9090", True), ("0", False), ("127.0.0.1:1", False)]
)
def test_there_is_a_service_where_there_are_metrics_for_others(
    tmp_path: Path, mode: Mode, address: str, served: bool
) -> None:
    found = objects(tmp_path, f'[agent]\nmetrics-bind-address = "{address}"\n{PLAIN}', mode)
    services = [obj for obj in found if obj["kind"] == "Service"]
    assert [s["spec"]["ports"][0]["port"] for s in services] == [9090] * served


def test_metrics_for_some_take_the_right_to_ask_who_somebody_is(tmp_path: Path) -> None:
    toml = (
        '[agent]\nmetrics-cert-file = "tls.crt"\nmetrics-key-file = "tls.key"\n'
        f"metrics-authorization = true\n{PLAIN}"
    )
    bindings = [o["roleRef"]["name"] for o in objects(tmp_path, toml, Mode.DEPLOYMENT)
                if o["kind"] == "ClusterRoleBinding"]  # fmt: skip
    assert bindings == ["lightkeeper", "system:auth-delegator"]


def test_the_application_starts_when_all_is_in_sync_and_never_sees_the_token(
    tmp_path: Path,
) -> None:
    found = objects(tmp_path, SETTINGS[Mode.SIDECAR] + PLAIN, Mode.SIDECAR)
    spec = pod(found)
    first = container(found, "lightkeeper-first")
    assert first["args"][:4] == ["run", "--once", "--wait", "--timeout=5m"]
    assert not {"--leader-election", "--metrics-bind-address=0"} & {*first["args"]}
    assert spec["automountServiceAccountToken"] is False
    assert "volumeMounts" not in container(found, "main")
    paths = {mount["mountPath"] for mount in container(found)["volumeMounts"]}
    assert str(pod_of_ours._NAMESPACE.parent) in paths, (
        "the agent finds neither token nor namespace"
    )


@modes
def test_flags_that_were_given_are_given_on(tmp_path: Path, mode: Mode) -> None:
    found = objects(tmp_path, SETTINGS[mode] + PLAIN, mode, sync_period="10m")
    assert "--sync-period=10m" in container(found)["args"]


@modes
def test_names_that_yaml_takes_for_something_else_are_names(tmp_path: Path, mode: Mode) -> None:
    agent = SETTINGS[mode] or "[agent]\n"
    for obj in objects(tmp_path, f'{agent}name = "on"\n{PLAIN}', mode):
        assert isinstance(obj["metadata"]["name"], str)
        assert all(isinstance(v, str) for v in obj["metadata"].get("labels", {}).values())


def test_the_manifests_of_packaging_are_what_the_command_prints() -> None:
    script = ROOT / "packaging" / "manifests" / "generate.py"
    done = subprocess.run(
        [sys.executable, script, "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@modes
def test_lines_are_no_longer_than_a_screen_is_wide(tmp_path: Path, mode: Mode) -> None:
    text = printed(tmp_path, SETTINGS[mode] + PLAIN, mode)
    assert max(map(len, text.splitlines())) <= 100
    assert list(yaml.safe_load_all(text))
