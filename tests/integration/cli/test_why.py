"""``lightkeeper why``: who owns an object, where git has it, what differs, who wrote that."""

from __future__ import annotations

import base64

import pytest

from tests.integration.cli.program import lightkeeper
from tests.integration.reconcile.conftest import World, world
from tests.integration.reconcile.manifests import DEPLOYMENT, config_map, secret

pytestmark = pytest.mark.asyncio

__all__ = ["world"]  # the fixture


async def why(world: World, what: str, *arguments: str) -> tuple[int, dict[str, object]]:
    done = await lightkeeper(world, "why", what, "-n", world.namespace, "-o", "json", *arguments)
    assert done.stderr == "", done
    return done.code, done.json


async def test_an_object_in_step_is_found_with_track_commit_author_and_line(world: World) -> None:
    world.commit({"x/all.yaml": f"{config_map('a')}---\n{DEPLOYMENT}"})
    await world.once()
    code, answer = await why(world, "deploy/web")
    assert code == 0
    assert answer["object"] == f"Deployment.apps {world.namespace}/web"
    assert (answer["managed"], answer["inSync"], answer["fields"]) == (True, True, [])
    assert answer["owner"] == f"{world.namespace}/{world.name}.shop"
    assert answer["track"] == "shop"
    assert answer["repository"] == f"file://{world.git.path}"
    assert answer["commit"] == world.git.head()
    assert answer["origin"] == "x/all.yaml:6"
    assert answer["author"]
    assert answer["subject"]


@pytest.mark.parametrize(
    "kind",
    ["deployment", "Deployment", "deployments", "deploy", "deployment.apps", "deployments.v1.apps"],
)
async def test_kinds_are_named_as_kubectl_takes_them(world: World, kind: str) -> None:
    world.commit({"a.yaml": config_map("a")})
    world.config()
    code, answer = await why(world, f"{kind}/none")
    assert (code, answer["object"]) == (1, f"Deployment.apps {world.namespace}/none")


async def test_what_differs_is_told_with_who_wrote_it_last(world: World) -> None:
    world.commit({"web.yaml": DEPLOYMENT})
    await world.once()
    image = '{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"nginx:9"}]}}}}'
    await world.do("patch", "deployment", "web", "-p", image, "--field-manager=jane")
    code, answer = await why(world, "deploy/web")
    assert code == 1
    assert (answer["managed"], answer["inSync"]) == (True, False)
    [field] = answer["fields"] if isinstance(answer["fields"], list) else []
    assert field["pointer"] == "/spec/template/spec/containers/[name=web]/image"
    assert (field["git"], field["live"]) == ('"nginx:1.25"', '"nginx:9"')
    assert (field["writer"]["manager"], field["writer"]["operation"]) == ("jane", "Update")
    assert field["writer"]["time"]


async def test_a_secret_s_values_are_never_in_an_answer(world: World) -> None:
    world.commit({"s.yaml": secret("s", "open-sesame-1")})
    await world.once()
    edited = base64.b64encode(b"open-sesame-2").decode()
    await world.do("patch", "secret", "s", "-p", f'{{"data":{{"password":"{edited}"}}}}')
    for output in ("json", "text"):
        done = await lightkeeper(world, "why", "secret/s", "-n", world.namespace, "-o", output)
        assert done.code == 1
        assert "/data/password" in done.stdout
        assert "***" in done.stdout
        for value in ("open-sesame-1", "open-sesame-2"):
            encoded = base64.b64encode(value.encode()).decode()
            assert value not in done.stdout + done.stderr
            assert encoded not in done.stdout + done.stderr


async def test_the_commit_is_the_one_the_agent_is_at_not_the_newest(world: World) -> None:
    world.commit({"a.yaml": config_map("a", k="1")})
    status = await world.once()
    world.commit({"a.yaml": "# moved down\n" + config_map("a", k="2")})
    code, answer = await why(world, "cm/a")
    assert (code, answer["commit"]) == (0, status.commit)


async def test_an_object_of_nobody_is_said_to_be_unmanaged(world: World) -> None:
    world.commit({"a.yaml": config_map("a")})
    await world.once()
    await world.do("create", "configmap", "free")
    code, answer = await why(world, "cm/free")
    assert (code, answer["managed"], answer["exists"]) == (1, False, True)
    assert answer["verdict"] == "is not managed: no track has it in git, and it carries no marks"


async def test_an_object_of_another_tool_names_the_tool(world: World) -> None:
    world.commit({"a.yaml": config_map("a")})
    await world.do("create", "configmap", "a")
    await world.do("annotate", "configmap", "a", "meta.helm.sh/release-name=shop")
    await world.once()
    _, answer = await why(world, "cm/a")
    assert answer["managed"] is False
    assert "managed by Helm release 'shop'" in str(answer["verdict"])
    assert "adopt = true" in str(answer["verdict"])
    assert answer["origin"] == "a.yaml:1"


async def test_the_rule_that_ignores_an_object_is_named(world: World) -> None:
    world.settings = ['ignore-resources = ["configmaps./v1"]']
    world.commit({"a.yaml": config_map("a")})
    await world.once()
    code, answer = await why(world, "cm/a")
    assert (code, answer["managed"], answer["inSync"]) == (1, False, None)
    assert "resource `configmaps./v1` ignored globally by flag" in str(answer["verdict"])


async def test_fields_that_are_left_to_others_are_named(world: World) -> None:
    world.track = ['ignore-fields = [{ kind = "ConfigMap", pointers = ["/data/k"] }]']
    world.commit({"a.yaml": config_map("a", k="1")})
    await world.once()
    await world.do("patch", "configmap", "a", "-p", '{"data":{"k":"theirs"}}')
    code, answer = await why(world, "cm/a")
    assert (code, answer["inSync"], answer["leftToOthers"]) == (0, True, ["/data/k"])


async def test_an_object_that_is_never_updated_says_so(world: World) -> None:
    text = config_map("a", k="1").replace(
        "namespace: NS}", 'namespace: NS, annotations: {lightkeeper.dev/update-strategy: "never"}}'
    )
    world.commit({"a.yaml": text})
    await world.once()
    await world.do("patch", "configmap", "a", "-p", '{"data":{"k":"theirs"}}')
    code, answer = await why(world, "cm/a")
    assert code == 0
    assert "update-strategy: never" in str(answer["verdict"])


async def test_a_held_deletion_is_told(world: World) -> None:
    world.commit({f"{n}.yaml": config_map(f"c{n}") for n in range(12)})
    await world.once()
    world.commit({}, remove=tuple(f"{n}.yaml" for n in range(1, 12)))
    await world.once()
    _, answer = await why(world, "cm/c3")
    assert "dropped it from git; its deletion is held: it would delete 11 of 12" in str(
        answer["verdict"]
    )


async def test_a_missing_object_is_told(world: World) -> None:
    world.commit({"a.yaml": config_map("a")})
    await world.once()
    await world.do("delete", "configmap", "a")
    code, answer = await why(world, "cm/a")
    assert (code, answer["exists"], answer["managed"]) == (1, False, True)
    assert "it is not in the cluster" in str(answer["verdict"])


async def test_without_a_namespace_it_is_the_one_git_says(world: World) -> None:
    world.commit({"a.yaml": config_map("only-here")})
    await world.once()
    done = await lightkeeper(world, "why", "cm/only-here")
    assert done.code == 0, done
    assert done.stdout.startswith(
        f"ConfigMap {world.namespace}/only-here managed by track shop, and as git says.\n"
    )
    assert "  written at  a.yaml:1\n" in done.stdout


async def test_with_git_away_the_agent_s_own_mirror_answers_and_that_is_said(world: World) -> None:
    world.commit({"a.yaml": config_map("a")})
    await world.once()
    world.git.path.rename(world.git.path.with_suffix(".away"))
    done = await lightkeeper(world, "why", "cm/a", "-n", world.namespace)
    assert done.code == 0, done
    assert "written at  a.yaml:1" in done.stdout
    assert "note: track shop: " in done.stderr


async def test_it_writes_nothing_but_dry_runs(world: World) -> None:
    world.commit({"a.yaml": config_map("a", k="1")})
    await world.once()
    await world.do("patch", "configmap", "a", "-p", '{"data":{"k":"drift"}}')
    mark = world.control_plane.mark()
    await why(world, "cm/a")
    assert all(r.query.get("dryRun") == "All" for r in world.writes(mark))


@pytest.mark.parametrize(
    ("what", "said"),
    [("web", "is not KIND/NAME"), ("gadget/web", "the server has no kind 'gadget'")],
)
async def test_a_kind_that_is_none_is_bad_input(world: World, what: str, said: str) -> None:
    world.config()
    done = await lightkeeper(world, "why", what)
    assert (done.code, done.stdout) == (2, "")
    assert said in done.stderr
