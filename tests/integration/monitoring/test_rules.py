"""The alerts are correct, fire when they should, and only then; the manifests are what they say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.controlplane.kubectl import Kubectl
from tests.integration.monitoring.prometheus import promtool

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "packaging" / "monitoring"
TESTS = ROOT / "tests" / "data" / "monitoring" / "alerts.yaml"
OPERATOR = "monitoring.coreos.com/v1"


def documents() -> Iterator[dict[str, Any]]:
    for path in sorted(FOLDER.glob("*.yaml")):
        yield from yaml.safe_load_all(path.read_text())


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """The rules as Prometheus itself takes them."""
    [found] = [doc for doc in documents() if doc["kind"] == "PrometheusRule"]
    path = tmp_path / "rules.yaml"
    path.write_text(json.dumps(found["spec"]))
    (tmp_path / "alerts.yaml").write_text(TESTS.read_text())
    return path


def alerts(path: Path) -> list[dict[str, Any]]:
    return [rule for group in json.loads(path.read_text())["groups"] for rule in group["rules"]]


def test_promtool_finds_the_rules_correct(rules: Path) -> None:
    done = promtool("check", "rules", rules)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_fires_when_it_should_and_only_then(rules: Path) -> None:
    done = promtool("test", "rules", rules.with_name("alerts.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_seen_firing_and_not_firing(rules: Path) -> None:
    seen: dict[str, set[bool]] = {}
    for case in yaml.safe_load(TESTS.read_text())["tests"]:
        for asked in case["alert_rule_test"]:
            seen.setdefault(asked["alertname"], set()).add(bool(asked["exp_alerts"]))
    assert seen == {rule["alert"]: {True, False} for rule in alerts(rules)}


def test_each_alert_says_what_to_do(rules: Path) -> None:
    for rule in alerts(rules):
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["for"]


def test_the_manifests_are_accepted_where_their_types_exist(kubectl: Kubectl) -> None:
    known = [doc for doc in documents() if doc["apiVersion"] != OPERATOR]
    kinds = ["NetworkPolicy", "Service", "ClusterRole", "ClusterRoleBinding"]
    assert sorted(doc["kind"] for doc in known) == sorted(kinds)
    for doc in known:
        if "namespace" in doc["metadata"]:
            doc["metadata"]["namespace"] = kubectl.namespace
        kubectl("apply", "--dry-run=server", "-f", "-", stdin=json.dumps(doc))


def test_what_the_operator_selects_is_what_the_service_is() -> None:
    [service] = [doc for doc in documents() if doc["kind"] == "Service"]
    [monitor] = [doc for doc in documents() if doc["kind"] == "ServiceMonitor"]
    assert monitor["spec"]["selector"]["matchLabels"] == service["metadata"]["labels"]
    ports = {port["name"] for port in service["spec"]["ports"]}
    assert {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]} <= ports


def test_the_readme_names_every_file() -> None:
    said = (FOLDER / "README.md").read_text()
    for path in FOLDER.iterdir():
        assert path.name == "README.md" or f"`{path.name}`" in said
