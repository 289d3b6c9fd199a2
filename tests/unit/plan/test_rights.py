"""The rights an agent needs: no more than its requests, in as few rules as there are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.config.model import DeployKey, Place, Proxy, Track, Verify, VerifyKeys
from agent.plan.rights import Agent, Need, named_secrets, roles

EVERYWHERE = Agent("keeper", namespace="", state_namespace="ops", account="runner")
READ_WRITE = ["get", "list", "watch", "create", "patch"]


def rules_of(items: list[dict[str, Any]], kind: str, name: str) -> list[dict[str, Any]]:
    [found] = [i for i in items if i["kind"] == kind and i["metadata"]["name"] == name]
    rules: list[dict[str, Any]] = found["rules"]
    return rules


def test_kinds_of_one_group_and_the_same_verbs_share_a_rule() -> None:
    needs = [
        Need("apps", "deployments", True),
        Need("", "secrets", False),
        Need("apps", "daemonsets", True),
        Need("", "configmaps", True),
    ]
    assert rules_of(roles(EVERYWHERE, needs), "ClusterRole", "keeper") == [
        {"apiGroups": [""], "resources": ["secrets"], "verbs": READ_WRITE},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": [*READ_WRITE, "delete"]},
        {
            "apiGroups": ["apps"],
            "resources": ["daemonsets", "deployments"],
            "verbs": [*READ_WRITE, "delete"],
        },
    ]


def test_a_kind_that_one_track_deletes_is_deleted() -> None:
    needs = [Need("", "secrets", False), Need("", "secrets", True)]
    [rule] = rules_of(roles(EVERYWHERE, needs), "ClusterRole", "keeper")
    assert rule["verbs"] == [*READ_WRITE, "delete"]


def test_an_agent_of_one_namespace_has_roles_there_and_where_its_state_is() -> None:
    agent = Agent("keeper", namespace="shop", state_namespace="ops", account="runner")
    made = roles(agent, [Need("", "secrets", True)])
    assert [(i["kind"], i["metadata"]["namespace"]) for i in made] == [
        ("Role", "shop"), ("RoleBinding", "shop"), ("Role", "ops"), ("RoleBinding", "ops"),
    ]  # fmt: skip


def test_every_binding_is_of_the_service_account_and_refers_to_its_role() -> None:
    for item in roles(EVERYWHERE, [Need("", "secrets", True)]):
        if item["kind"].endswith("Binding"):
            subject = {"kind": "ServiceAccount", "name": "runner", "namespace": "ops"}
            assert item["subjects"] == [subject]
            assert item["roleRef"]["name"] == item["metadata"]["name"]
            assert f"{item['roleRef']['kind']}Binding" == item["kind"]


def test_without_kinds_there_is_only_the_agent_s_own_state() -> None:
    assert [i["kind"] for i in roles(EVERYWHERE, [])] == ["Role", "RoleBinding"]


def test_secrets_with_credentials_are_readable_one_by_one() -> None:
    passphrase = Place(secret_name="pass", secret_namespace="ops", key="k")
    key = DeployKey(secret_name="deploy", secret_namespace="ops", key="k", passphrase=passphrase)
    proxy = Proxy(secret_name="proxy", secret_namespace="net")
    tracks = [
        Track(name="a", repository="git@example.org:a", deploy_key=key, proxy=proxy),
        Track(name="b", repository="https://example.org/b", ca=Place(file=Path("/ca.pem"))),
    ]
    secrets = named_secrets(tracks)
    signers = Verify(keys=VerifyKeys(secret_name="signers", secret_namespace="ops"))
    others = Verify(keys=VerifyKeys(env="SIGNERS"))
    assert named_secrets(
        [replace(tracks[1], verify=signers), replace(tracks[1], verify=others)]
    ) == {("ops", "signers")}
    assert secrets == {("ops", "deploy"), ("ops", "pass"), ("net", "proxy")}
    made = roles(replace(EVERYWHERE, secrets=secrets), [])
    rules = {i["metadata"]["namespace"]: i["rules"] for i in made
             if i["kind"] == "Role" and i["metadata"]["name"] == "keeper-credentials"}  # fmt: skip
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
    assert rules == {
        "net": [{**rule, "resourceNames": ["proxy"]}],
        "ops": [{**rule, "resourceNames": ["deploy", "pass"]}],
    }


def test_leases_are_named_but_for_their_creation() -> None:
    made = roles(replace(EVERYWHERE, lease_namespace="ops", leases=("keeper-leader",)), [])
    named, create = rules_of(made, "Role", "keeper-leader-election")
    assert (named["resourceNames"], named["verbs"]) == (["keeper-leader"], ["get", "update"])
    assert ("resourceNames" not in create, create["verbs"]) == (True, ["create"])
