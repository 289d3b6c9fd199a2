"""The control plane of the tests is a real one, and survives what the tests do to it."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.kubectl import Kubectl, KubectlError
from tests.controlplane.process import ServerError
from tests.controlplane.rest import MERGE_PATCH, RequestError
from tests.controlplane.server import ControlPlane

REPOSITORY = Path(__file__).parents[2]

CONFIG_MAP = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "settings"},
    "data": {"colour": "green"},
}

DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "example.invalid/web:1"}]},
        },
    },
}

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web"},
    "spec": DEPLOYMENT["spec"]["template"]["spec"],
}


def crd(plural: str) -> dict[str, Any]:
    kind = plural.removesuffix("s").capitalize()
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.example.org"},
        "spec": {
            "group": "example.org",
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": plural.removesuffix("s"), "kind": kind},
            "versions": [version],
        },
    }


def apply(kubectl: Kubectl, *objects: dict[str, Any]) -> None:
    kubectl("apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, objects)))


def read(kubectl: Kubectl, *what: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(kubectl("get", *what, "-o", "json").stdout)
    return found


def test_a_custom_resource_can_be_defined_created_and_read_back(kubectl: Kubectl) -> None:
    apply(kubectl, crd("lanterns"))
    kubectl("wait", "--for=condition=Established", "crd/lanterns.example.org", "--timeout=30s")
    lantern = {"apiVersion": "example.org/v1", "kind": "Lantern", "metadata": {"name": "north"}}

    apply(kubectl, lantern | {"spec": {"lit": True, "hours": 12}})

    assert read(kubectl, "lantern", "north")["spec"] == {"lit": True, "hours": 12}
    kubectl("delete", "crd", "lanterns.example.org", "--wait=false")


def test_a_deployment_gets_the_servers_defaults(kubectl: Kubectl) -> None:
    apply(kubectl, DEPLOYMENT)

    spec = read(kubectl, "deployment", "web")["spec"]
    assert spec["strategy"]["type"] == "RollingUpdate"
    assert spec["template"]["spec"]["restartPolicy"] == "Always"


@pytest.mark.usefixtures("control_plane")
def test_a_pod_is_admitted_without_a_controller_that_makes_tokens(kubectl: Kubectl) -> None:
    apply(kubectl, POD)

    assert read(kubectl, "pod", "web")["spec"]["serviceAccountName"] == "default"


def test_a_status_can_be_set_by_hand(
    control_plane: ControlPlane, kubectl: Kubectl, namespace: str
) -> None:
    apply(kubectl, DEPLOYMENT)

    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/web/status"
    control_plane.client.json("PATCH", path, {"status": {"replicas": 1}}, content_type=MERGE_PATCH)

    assert read(kubectl, "deployment", "web")["status"] == {"replicas": 1}


def test_kubectls_own_words_are_in_the_error(kubectl: Kubectl) -> None:
    with pytest.raises(KubectlError, match='configmaps "absent" not found') as failure:
        kubectl("get", "configmap", "absent")
    assert failure.value.code == 1


def test_requests_are_counted_by_client_verb_and_answer(
    control_plane: ControlPlane, kubectl: Kubectl, namespace: str
) -> None:
    mark = control_plane.mark()
    apply(kubectl, CONFIG_MAP)
    apply(kubectl, CONFIG_MAP)
    kubectl("get", "configmap", "absent", check=False)

    requests = control_plane.audit(mark, user_agent="kubectl")

    on_config_maps = [
        (request.verb, request.name, request.code)
        for request in requests
        if request.namespace == namespace and request.resource == "configmaps"
    ]
    assert on_config_maps == [
        ("get", "settings", 404),
        ("create", "settings", 201),
        ("get", "settings", 200),
        ("get", "absent", 404),
    ]


def test_an_audited_request_keeps_its_query_parameters(
    control_plane: ControlPlane, kubectl: Kubectl, namespace: str
) -> None:
    mark, before = control_plane.mark(), time.time()
    kubectl("create", "configmap", "tried", "--dry-run=server")

    [created] = [request for request in control_plane.audit(mark) if request.verb == "create"]

    assert created.query["dryRun"] == "All"
    assert (created.namespace, created.user, created.code) == (namespace, "admin", 201)
    assert created.answered_at is not None
    assert before < created.answered_at < time.time()


def test_nothing_is_audited_when_nobody_asks(control_plane: ControlPlane) -> None:
    mark = control_plane.mark()
    control_plane.client.text("GET", "/version")
    assert control_plane.audit(mark) == []


def test_what_was_written_is_there_after_a_crash_of_the_api_server(
    control_plane: ControlPlane, kubectl: Kubectl
) -> None:
    apply(kubectl, CONFIG_MAP)
    before = read(kubectl, "configmap", "settings")

    control_plane.kill_apiserver()
    down = kubectl("get", "configmap", "settings", check=False)
    control_plane.restart_apiserver()

    assert "refused" in down.stderr
    assert read(kubectl, "configmap", "settings") == before


def test_a_removed_namespace_takes_everything_with_it(
    control_plane: ControlPlane, kubectl: Kubectl
) -> None:
    control_plane.create_namespace("short-lived")
    short_lived = kubectl.within("short-lived")
    stubborn = {"name": "settings", "finalizers": ["example.org/never"]}
    apply(short_lived, CONFIG_MAP | {"metadata": stubborn}, DEPLOYMENT)

    control_plane.remove_namespace("short-lived")

    assert "NotFound" in kubectl("get", "ns", "short-lived", check=False).stderr
    assert read(short_lived, "configmaps,deployments,serviceaccounts")["items"] == []


def test_a_user_may_do_only_what_rbac_says(
    control_plane: ControlPlane, kubectl: Kubectl, namespace: str
) -> None:
    kubectl("create", "role", "reader", "--verb=get,list", "--resource=configmaps")
    kubectl("create", "rolebinding", "readers", "--role=reader", "--group=readers")
    kubeconfig = control_plane.user("ann", groups=("readers",))
    ann = Kubectl(kubeconfig, cache=kubectl.cache, namespace=namespace)

    assert ann("get", "configmaps", "-o", "name").stdout == ""
    with pytest.raises(KubectlError, match='User "ann" cannot create resource "configmaps"'):
        ann("create", "configmap", "mine")


def test_a_service_account_gets_in_with_its_token(
    control_plane: ControlPlane, kubectl: Kubectl, namespace: str
) -> None:
    token = control_plane.service_account_token(namespace, "bot")
    bot = Kubectl(control_plane.token_kubeconfig(token), kubectl.cache, namespace)

    with pytest.raises(KubectlError, match=f"system:serviceaccount:{namespace}:bot"):
        bot("get", "configmaps")


def test_a_request_of_the_administrator_fails_with_the_servers_reason(
    control_plane: ControlPlane,
) -> None:
    with pytest.raises(RequestError, match='namespaces \\\\"absent\\\\" not found') as failure:
        control_plane.client.json("GET", "/api/v1/namespaces/absent")
    assert failure.value.code == 404


def test_a_server_that_cannot_start_says_so_with_its_own_words(tmp_path: Path) -> None:
    for program in ("etcd", "kube-apiserver"):
        (tmp_path / program).write_text("#!/bin/sh\necho the disk is full\nexit 3\n")
        (tmp_path / program).chmod(0o755)

    with pytest.raises(ServerError, match=r"(?s)ended with exit code 3.*the disk is full"):
        ControlPlane(tmp_path).start()


def test_no_server_outlives_a_process_that_was_killed() -> None:
    """The kernel ends the server: the killed process had no chance to."""
    script = """
        import signal
        from pathlib import Path
        from tests.controlplane.process import ServerProcess
        ServerProcess("server", ["sh", "-c", "echo up; exec sleep 1000"], Path("/dev/stdout"))
        signal.pause()
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], cwd=REPOSITORY, stdout=subprocess.PIPE
    )
    if parent.stdout is None:
        raise RuntimeError("Popen was asked for a pipe")
    assert parent.stdout.readline() == b"up\n"

    parent.kill()

    # The pipe ends when the last process that could write into it is gone.
    rest, _ = parent.communicate(timeout=10)
    assert rest == b""
