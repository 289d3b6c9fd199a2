"""Bad input: one clear line that says what, where and what to do; the rest goes on; no deletion."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from agent.reconcile.reports.status import COLLECTED, FETCHED, PARSED, UP_TO_DATE, TrackStatus
from tests.integration.reconcile.conftest import World
from tests.integration.reconcile.manifests import DEPLOYMENT, config_map

pytestmark = pytest.mark.asyncio


def condition(status: TrackStatus, kind: str) -> tuple[str, str, str]:
    [found] = [c for c in status.conditions if c.type == kind]
    return found.status, found.reason, found.message


async def test_a_broken_file_costs_only_itself_and_stops_pruning(world: World) -> None:
    world.commit({"a.yaml": config_map("a"), "b.yaml": config_map("b")})
    await world.once()
    world.commit({"a.yaml": config_map("c"), "b.yaml": "kind: ConfigMap\nmetadata: {name: b\n"})
    mark = world.control_plane.mark()
    status = await world.once()
    assert not status.ready
    assert await world.get("configmap", "c") is not None
    assert await world.get("configmap", "a") is not None, "pruned although a file is broken"
    assert [r for r in world.writes(mark) if r.verb == "delete"] == []
    state, reason, message = condition(status, PARSED)
    assert (state, reason) == ("False", "ErrorParsingFiles")
    assert message.startswith("b.yaml:")
    assert condition(status, COLLECTED)[:2] == ("Unknown", "StatusUnknown")


async def test_a_huge_file_costs_only_itself(world: World) -> None:
    """It is not even read: an answer of the git worker has bounds too."""
    huge = "a: 1234567\n" * (60 * 2**20 // 11)
    world.commit({"a.yaml": config_map("a"), "data/huge.yaml": huge})
    status = await world.once()
    assert await world.get("configmap", "a") is not None
    assert status.problems == {
        "data/huge.yaml": "60.0 MiB is too large for manifests (limit 10 MiB)"
    }


async def test_documents_before_a_broken_one_are_applied(world: World) -> None:
    world.commit({"a.yaml": config_map("a") + "---\n{{ .Values.x }}\n---\n" + config_map("b")})
    status = await world.once()
    assert await world.get("configmap", "a") is not None
    assert await world.get("configmap", "b") is None
    assert (status.discovered, status.applied, status.ignored) == (1, 1, 1)


async def test_an_unknown_kind_is_named_with_its_place_and_the_rest_goes_on(world: World) -> None:
    unknown = "apiVersion: none.example/v1\nkind: Thing\nmetadata: {name: t, namespace: NS}\n"
    world.commit({"a.yaml": config_map("a"), "dir/t.yaml": "# a comment\n" + unknown})
    status = await world.once()
    assert not status.ready
    assert await world.get("configmap", "a") is not None
    [(place, text)] = status.problems.items()
    assert place == f"Thing.none.example {world.namespace}/t"
    assert text == (
        'no matches for kind "Thing" in version "none.example/v1": the server does not have it; '
        "install its CRD or correct apiVersion and kind [dir/t.yaml:2]"
    )
    assert condition(status, UP_TO_DATE)[:2] == ("False", "ErrorUpdatingChildren")
    assert condition(status, COLLECTED)[0] == "True"


async def test_an_invalid_object_carries_the_servers_words(world: World) -> None:
    invalid = DEPLOYMENT.replace("app: web}}\n  template", "app: other}}\n  template")
    world.commit({"a.yaml": config_map("a"), "web.yaml": invalid})
    status = await world.once()
    assert await world.get("configmap", "a") is not None
    [text] = status.problems.values()
    assert "`selector` does not match template `labels`" in text
    assert text.endswith("[web.yaml:1]")


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        (2 << 20, "Too long: must have at most 1048576 bytes"),
        (4 << 20, "Request entity too large: limit is 3145728"),
    ],
    ids=["for etcd", "for a request"],
)
async def test_an_object_that_is_too_large_costs_only_itself(
    world: World, size: int, reason: str
) -> None:
    large = config_map("large", x="y" * size)
    world.commit({"a.yaml": config_map("a"), "large.yaml": large})
    status = await world.once()
    assert await world.get("configmap", "a") is not None
    [(where, why)] = status.problems.items()
    assert where == f"ConfigMap {world.namespace}/large"
    assert reason in why
    assert why.endswith("[large.yaml:1]")


@pytest.mark.parametrize("data", ['"c4nary"', '["c4nary"]', '{x: ["c4nary"]}'])
async def test_a_secret_of_the_wrong_shape_is_refused_without_its_values(
    world: World, data: str
) -> None:
    head = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: NS}\n"
    world.commit({"s.yaml": f"{head}stringData: {{x: c4nary}}\n"})
    assert (await world.once()).ready
    world.commit({"a.yaml": config_map("a"), "s.yaml": f"{head}stringData: {data}\n"})
    status = await world.once()
    assert await world.get("configmap", "a") is not None
    [(where, why)] = status.problems.items()
    assert where == f"Secret {world.namespace}/s"
    assert why.startswith("refused by the API server: 422 Invalid")
    assert "c4nary" not in why
    kept = await world.get("secret", "s")
    assert kept is not None
    assert kept["data"] == {"x": "YzRuYXJ5"}
    assert "c4nary" not in json.dumps(kept)


async def test_a_forbidden_object_names_who_may_not_do_what(world: World) -> None:
    world.kubeconfig = world.control_plane.user(f"limited-{world.namespace}")
    rules = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "limited"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}],
    }
    await world.do("apply", "-f", "-", stdin=json.dumps(rules))
    await world.do(
        "create", "rolebinding", "limited", "--role=limited", f"--user=limited-{world.namespace}"
    )
    world.settings.append(f'namespace = "{world.namespace}"')
    world.commit({"a.yaml": config_map("a"), "web.yaml": DEPLOYMENT})
    status = await world.once()
    assert await world.get("configmap", "a") is not None
    [text] = status.problems.values()
    assert 'cannot get resource "deployments"' in text
    assert "403 Forbidden" in text


async def test_a_missing_reference_says_which_and_deletes_nothing(world: World) -> None:
    world.commit({"a.yaml": config_map("a")})
    await world.once()
    world.track.append('reference = "no-such-branch"')
    status = await world.once()
    state, reason, message = condition(status, FETCHED)
    assert (state, reason) == ("False", "ErrorFetchingFiles")
    assert "no-such-branch" in message
    assert condition(status, UP_TO_DATE)[0] == "Unknown"
    assert status.discovered == 1, "the counters of the last good pass stay"
    assert await world.get("configmap", "a") is not None


async def test_a_repository_that_is_not_there_says_so(world: World) -> None:
    status = await world.once()
    assert condition(status, FETCHED)[0] == "False"
    assert status.source == "unreadable"
    assert not status.ready


async def test_a_sub_path_without_manifests_deletes_nothing(world: World) -> None:
    world.commit({"a.yaml": config_map("a")})
    await world.once()
    world.commit({"README": "moved"}, remove=("a.yaml",))
    status = await world.once()
    assert status.source == "empty"
    assert await world.get("configmap", "a") is not None


async def test_two_files_with_one_identity_name_both_places(world: World) -> None:
    world.commit({"a.yaml": config_map("a", x="1"), "b.yaml": config_map("a", x="2")})
    status = await world.once()
    live = await world.get("configmap", "a")
    assert live is not None
    assert live["data"] == {"x": "1"}
    assert "a.yaml:1" in status.problems["b.yaml"]


async def test_a_cluster_scoped_object_written_with_and_without_a_namespace_is_one(
    world: World, cleanup: Callable[..., None]
) -> None:
    name = f"role-{world.namespace}"
    cleanup("clusterrole", name)
    role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nrules: []\n"
    world.commit(
        {
            "a.yaml": f"{role}metadata: {{name: {name}}}\n",
            "b.yaml": f"{role}metadata: {{name: {name}, namespace: NS}}\n",
        }
    )
    status = await world.once()
    assert not status.ready
    assert "is already written at a.yaml:1" in status.problems["b.yaml"]
    assert status.in_sync == 1


async def test_a_namespaced_object_without_namespace_is_refused_clearly(world: World) -> None:
    world.commit({"a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"})
    status = await world.once()
    [text] = status.problems.values()
    assert "metadata.namespace is missing" in text


async def test_an_ignored_resource_is_left_alone_and_said_so(world: World) -> None:
    world.commit({"a.yaml": config_map("a"), "web.yaml": DEPLOYMENT})
    await world.once()
    before = await world.get("deployment", "web")
    world.settings.append('ignore-resources = ["deployments.apps/v1"]')
    world.commit({"web.yaml": DEPLOYMENT.replace("1.25", "1.26")})
    status = await world.once()
    assert status.ready
    assert status.ignored == 1
    assert list(status.problems.values()) == [
        "resource `deployments.apps/v1` ignored globally by flag"
    ]
    assert await world.get("deployment", "web") == before


@pytest.mark.parametrize(
    "body",
    [
        "data: {password: hunter2-plain!}",
        "data: {password: aHVudGVyMi1wbGFpbiE=, pin: 4711}",
        "stringData: {password: hunter2-plain!, pin: {a: b}}",
        "type: 5\nstringData: {password: hunter2-plain!}",
    ],
)
@pytest.mark.parametrize("exists", [False, True], ids=["create", "patch"])
async def test_a_refused_secret_is_not_quoted_anywhere(
    world: World, caplog: pytest.LogCaptureFixture, body: str, exists: bool
) -> None:
    head = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: NS}\n"
    world.commit({"a.yaml": config_map("a"), "s.yaml": head + "stringData: {old: value}\n"})
    if exists:
        await world.once()
    world.commit({"s.yaml": f"{head}{body}\n"})
    status = await world.once()
    assert not status.ready
    config_map_text = str(await world.get("configmap", f"{world.name}.shop"))
    events = await world.do("get", "events", "-o", "json")
    said = " ".join(str(record.__dict__) for record in caplog.records)
    for text in (str(status), config_map_text, events, said):
        assert "hunter2" not in text
        assert "aHVudGVy" not in text
    [problem] = status.problems.values()
    assert problem.endswith("[s.yaml:1]")


async def test_an_annotation_that_is_no_text_costs_only_its_object(world: World) -> None:
    odd = config_map("b").replace(
        "namespace: NS", "namespace: NS, annotations: {lightkeeper.dev/update-strategy: {a: b}}"
    )
    world.commit({"a.yaml": config_map("a"), "b.yaml": odd})
    status = await world.once()
    assert await world.get("configmap", "a") is not None
    assert not status.ready
