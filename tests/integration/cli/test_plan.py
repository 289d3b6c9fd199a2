"""``lightkeeper plan``: shows what a pass would do, and does nothing."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.cli.program import lightkeeper
from tests.integration.reconcile.conftest import World, cleanup, world
from tests.integration.reconcile.manifests import (
    CRD,
    CUSTOM_RESOURCE,
    DEPLOYMENT,
    config_map,
    secret,
)

pytestmark = pytest.mark.asyncio

__all__ = ["cleanup", "world"]  # the fixtures

SELECTOR = {"web.yaml": DEPLOYMENT.replace("app: web", "app: other").replace(
    "name: web, namespace: NS", 'name: web, namespace: NS, annotations: '
    '{lightkeeper.dev/update-strategy: recreate}', 1)}  # fmt: skip


def by_object(plan: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {change["object"].rpartition("/")[2]: change for change in plan["changes"]}


async def test_nothing_but_dry_runs_is_written_whatever_the_plan_holds(world: World) -> None:
    many = {f"{n}.yaml": config_map(f"c{n}", k="1") for n in range(3)}
    world.commit({**many, "web.yaml": DEPLOYMENT, "s.yaml": secret("s", "hush")})
    await world.once()
    world.commit({"0.yaml": config_map("c0", k="2"), "new.yaml": config_map("new"),
                  "s.yaml": secret("s", "hushhush"), **SELECTOR}, remove=("1.yaml",))  # fmt: skip
    everything = ("get", "configmap,secret,deployment,events", "-o", "json")
    before = await world.do(*everything)
    mark = world.control_plane.mark()
    [plan] = (await lightkeeper(world, "plan", "-o", "json")).json
    assert {name: c["action"] for name, c in by_object(plan).items()} == {
        "c0": "update", "c1": "prune", "new": "create", "s": "update", "web": "recreate",
    }  # fmt: skip
    writes = world.writes(mark)
    assert {r.verb for r in writes} == {"create", "patch", "delete"}
    assert all(r.query.get("dryRun") == "All" for r in writes), writes
    assert await world.do(*everything) == before


async def test_what_is_planned_is_what_happens(world: World) -> None:
    world.commit({"a.yaml": config_map("a", k="1"), "b.yaml": config_map("b", k="1")})
    world.config()
    done = await lightkeeper(world, "plan", "shop")
    assert done.code == 1, done
    assert "+ create   ConfigMap" in done.stdout
    await world.once()
    done = await lightkeeper(world, "plan")
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "Plan: 2 unchanged."


async def test_a_diff_shows_what_differs_and_nothing_else(world: World) -> None:
    world.commit({"web.yaml": DEPLOYMENT})
    await world.once()
    world.commit({"web.yaml": DEPLOYMENT.replace("nginx:1.25", "nginx:1.26")})
    done = await lightkeeper(world, "plan")
    assert done.code == 1
    changed = [line.strip() for line in done.stdout.splitlines() if line.startswith(("  -", "  +"))]
    name = f"Deployment.apps {world.namespace}/web"
    assert changed == [
        f"--- live/{name}", f"+++ git/{name}", "-      - image: nginx:1.25",
        "+      - image: nginx:1.26",
    ]  # fmt: skip
    assert f"~ update   {name} [web.yaml:1]" in done.stdout
    assert "lightkeeper.dev/" not in done.stdout
    assert "resourceVersion" not in done.stdout
    summary = await lightkeeper(world, "plan", "--summary")
    assert "nginx" not in summary.stdout


async def test_a_difference_that_the_server_defaults_away_is_none(world: World) -> None:
    world.commit({"web.yaml": DEPLOYMENT})
    await world.once()
    explicit = DEPLOYMENT.replace(
        "spec:\n  selector", "spec:\n  revisionHistoryLimit: 10\n  selector"
    )
    world.commit({"web.yaml": explicit})
    done = await lightkeeper(world, "plan")
    assert "revisionHistoryLimit" not in done.stdout


async def test_a_secret_s_values_are_never_shown_only_that_they_differ(world: World) -> None:
    both = "stringData: {password: VALUE, user: admin}"
    text = secret("s", "x").replace("stringData: {password: x}", both)
    world.commit({"s.yaml": text.replace("VALUE", "open-sesame-1")})
    await world.once()
    world.commit(
        {"s.yaml": text.replace("VALUE", "open-sesame-2"), "t.yaml": secret("t", "hidden")}
    )
    plain = await lightkeeper(world, "plan")
    as_json = await lightkeeper(world, "plan", "-o", "json")
    for shown in (plain.stdout, plain.stderr, as_json.stdout):
        for value in ("open-sesame-1", "open-sesame-2", "admin", "hidden"):
            assert value not in shown
            assert base64.b64encode(value.encode()).decode() not in shown
    assert "-  password: '*** (before)'" in plain.stdout
    assert "+  password: '*** (after)'" in plain.stdout
    assert "   user: '***'" in plain.stdout


async def test_deletions_are_shown_with_the_guard_s_verdict(world: World) -> None:
    world.commit({f"{n}.yaml": config_map(f"c{n}") for n in range(12)})
    await world.once()
    world.commit({}, remove=("0.yaml",))
    done = await lightkeeper(world, "plan")
    assert f"- delete   ConfigMap {world.namespace}/c0\n" in done.stdout
    world.commit({}, remove=tuple(f"{n}.yaml" for n in range(1, 11)))
    done = await lightkeeper(world, "plan")
    assert done.code == 1
    assert f"! held     ConfigMap {world.namespace}/c5: it would delete 11 of 12" in done.stdout
    assert done.stdout.splitlines()[-1] == "Plan: 11 held, 1 unchanged."


async def test_what_is_left_alone_is_told_with_the_reason(world: World) -> None:
    world.settings = ['ignore-resources = ["secrets./v1"]']
    world.commit({"a.yaml": config_map("a"), "s.yaml": secret("s", "x")})
    await world.once()
    done = await lightkeeper(world, "plan")
    assert done.code == 0
    assert f". ignore   Secret {world.namespace}/s: resource `secrets./v1` ignored" in done.stdout


async def test_what_needs_a_namespace_or_a_kind_of_the_same_plan_is_a_creation(
    world: World, cleanup: Callable[..., None]
) -> None:
    fresh, kind = f"{world.namespace}-fresh", f"k{world.namespace.removeprefix('test-')}"
    cleanup("namespace", fresh)
    world.commit(
        {
            "ns.yaml": f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {fresh}}}\n",
            "a.yaml": config_map("a").replace("NS", fresh),
            "crd.yaml": CRD.replace("KIND", kind),
            "cr.yaml": CUSTOM_RESOURCE.replace("KIND", kind),
        }
    )
    world.config()
    [plan] = (await lightkeeper(world, "plan", "-o", "json")).json
    assert plan["errors"] == []
    assert {c["action"] for c in plan["changes"]} == {"create"}
    assert len(plan["changes"]) == 4
    assert sum(not c["asked"] for c in plan["changes"]) == 2


async def test_a_namespace_that_nobody_creates_is_wrong(world: World) -> None:
    world.commit({"a.yaml": config_map("a").replace("NS", "nowhere")})
    world.config()
    done = await lightkeeper(world, "plan")
    assert done.code == 2
    assert 'namespaces "nowhere" not found' in done.stderr
    assert "1 wrong" in done.stdout


async def test_a_branch_is_planned_before_it_is_merged(world: World) -> None:
    world.commit({"a.yaml": config_map("a", k="1")})
    await world.once()
    main = world.git.head()
    world.commit({"a.yaml": config_map("a", k="2")})
    world.git.set_branch("proposal", world.git.head())
    world.git.set_branch("main", main)
    assert (await lightkeeper(world, "plan")).code == 0
    done = await lightkeeper(world, "plan", "--reference", "proposal")
    assert done.code == 1
    assert "Track shop at proposal@" in done.stdout


async def test_a_suspended_track_is_planned_all_the_same(world: World) -> None:
    world.track = ["suspend = true"]
    world.commit({"a.yaml": config_map("a")})
    await world.once()
    assert (await lightkeeper(world, "plan")).code == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["shpo"], "there is no track 'shpo'"),
        (["--reference", "none"], "unable to resolve reference 'none'"),
        (["--kubeconfig", "/nowhere"], "no usable access to a Kubernetes API server"),
    ],
    ids=["unknown track", "unknown reference", "no cluster"],
)
async def test_what_is_wrong_ends_with_2(world: World, arguments: list[str], said: str) -> None:
    world.commit({"a.yaml": config_map("a")})
    world.config()
    done = await lightkeeper(world, "plan", *arguments)
    assert done.code == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_broken_file_says_that_nothing_would_be_deleted(world: World) -> None:
    world.commit({"a.yaml": config_map("a"), "b.yaml": config_map("b")})
    await world.once()
    world.commit({"c.yaml": "no: object\n"}, remove=("b.yaml",))
    done = await lightkeeper(world, "plan")
    assert done.code == 2
    assert "Nothing would be deleted: a file could not be read" in done.stdout
    assert "c.yaml" in done.stderr


async def test_the_json_has_the_documented_shape(world: World) -> None:
    world.commit({"a.yaml": config_map("a")})
    world.config()
    [plan] = (await lightkeeper(world, "plan", "-o", "json")).json
    assert set(plan) == {"track", "repository", "reference", "revision", "commit", "changes",
                         "ignored", "errors", "unchanged", "notPruned"}  # fmt: skip
    [change] = plan["changes"]
    assert set(change) == {"object", "action", "origin", "reason", "asked", "diff"}
    assert change["diff"].splitlines()[1] == f"+++ git/ConfigMap {world.namespace}/a"


async def test_an_object_too_large_for_an_annotation_is_planned_too(world: World) -> None:
    world.commit({"a.yaml": config_map("a", k="x" * 300_000)})
    await world.once()
    assert (await lightkeeper(world, "plan")).code == 0
    world.commit({"a.yaml": config_map("a", k="y" * 300_000)})
    mark = world.control_plane.mark()
    [plan] = (await lightkeeper(world, "plan", "-o", "json")).json
    assert [change["action"] for change in plan["changes"]] == ["update"]
    assert "+  k: yyy" in plan["changes"][0]["diff"]
    assert all(r.query.get("dryRun") == "All" for r in world.writes(mark))
