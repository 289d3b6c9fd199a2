"""The command's frame: exit codes, streams, imports, where the configuration comes from."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

import pytest

from agent import __version__
from agent.cli import main as frame
from agent.cli import options, validate
from agent.config.errors import ConfigError
from agent.errors import AgentError

ROOT = Path(__file__).parents[3]
TRACK = '[[track]]\nname = "t"\nrepository = "https://example.org/r"\n'
HEAVY = ("aiohttp", "pygit2", "kubernetes_asyncio", "cattrs", "asyncio", "msgspec", "yaml")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "c.toml"
    path.write_text(TRACK)
    return path


def lightkeeper(
    *arguments: str, cwd: Path = ROOT, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own, with nothing in its environment but what is given."""
    return subprocess.run(
        [sys.executable, "-m", "agent", *arguments],
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )


def test_version_prints_the_version() -> None:
    done = lightkeeper("version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"lightkeeper {__version__}\n")


def test_version_as_json_is_one_object() -> None:
    assert json.loads(lightkeeper("version", "-o", "json").stdout)["version"] == __version__


def test_a_checkout_knows_no_commit_and_carries_no_licences() -> None:
    assert "\ncommit unknown: this runs from its source\n" in lightkeeper("version").stdout
    assert json.loads(lightkeeper("version", "-o", "json").stdout)["commit"] is None
    done = lightkeeper("version", "--licenses")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("no list of licences: this runs from its source")


@pytest.mark.parametrize(
    "arguments",
    [
        ["version"],
        ["version", "-o", "json"],
        ["--help"],
        *([command.name, "--help"] for command in frame.COMMANDS),
    ],
    ids=" ".join,
)
def test_what_needs_no_library_imports_none(arguments: list[str]) -> None:
    script = (
        "import sys; from agent.cli.main import main; main(sys.argv[2:]); "
        "sys.exit([name for name in sys.argv[1].split(',') if name in sys.modules] or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, ",".join(HEAVY), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_agent_starts_without_what_few_tracks_need() -> None:
    rare = {"semver", "pathspec", "aiohttp_socks", "python_socks", "cryptography", "jwt"}
    rare |= {"pysequoia", "kubernetes_asyncio.client.models"}
    rare |= {"asyncinotify"}  # it runs ldconfig
    rare |= {"pygit2", "agent.source.worker"}  # another process has them, while it is needed
    script = "import sys, agent.app, agent.cli.cluster; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert rare.isdisjoint(done.stdout.split())


def test_the_garbage_collector_works_but_passes_over_what_was_imported(tmp_path: Path) -> None:
    script = (
        "import gc, sys; from agent.cli.main import main; main(sys.argv[1:]); "
        "print(gc.isenabled(), gc.get_freeze_count() > 10_000)"
    )
    command = [sys.executable, "-c", script, "run", "-c", str(tmp_path / "missing.toml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "True True\n"


def test_help_names_every_command_but_the_agent_s_own() -> None:
    text = lightkeeper("--help").stdout
    for command in frame.COMMANDS:
        assert f"\n    {command.name} " in text
    assert "git-worker" not in text


@pytest.mark.parametrize("command", frame.COMMANDS, ids=lambda command: command.name)
def test_every_command_has_flags_and_can_run(command: frame.Command) -> None:
    module = import_module(command.module)
    module.register(argparse.ArgumentParser())
    assert callable(module.run)
    assert lightkeeper(command.name, "--help").stdout.startswith(
        f"usage: lightkeeper {command.name}"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["valdate"], "invalid choice: 'valdate'"),
        (["version", "--nope"], "unrecognized arguments: --nope"),
        (["--log-level", "loud", "version"], "argument --log-level: invalid choice: 'loud'"),
        (["validate", "--sync", "5m"], "unrecognized arguments: --sync 5m"),
    ],
    ids=["no command", "unknown command", "unknown flag", "wrong choice", "abbreviation"],
)
def test_bad_usage_ends_with_2_and_says_why(arguments: list[str], said: str) -> None:
    done = lightkeeper(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def printing_to(stdout: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agent", "version"],
        cwd=ROOT,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


def test_a_reader_that_has_gone_ends_it_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = printing_to(writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_full_disk_is_said_and_ends_with_1() -> None:
    with Path("/dev/full").open("w") as full:
        done = printing_to(full.fileno())
    assert done.returncode == 1
    assert done.stderr == "cannot write the output: No space left on device\n"


class Held(AgentError):
    exit_code = 3


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (Held("held: 7 deletions"), 3, "held: 7 deletions\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
    ids=["an error of ours", "Ctrl-C"],
)
def test_how_a_command_ends_is_its_exit_code(
    error: BaseException,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(_: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr("agent.cli.version.run", fail)
    assert frame.main(["version"]) == code
    assert capsys.readouterr() == ("", said)


def test_validate_shows_what_is_configured(config: Path) -> None:
    done = lightkeeper("validate", "--config", str(config), "--sync-period", "1h30m")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"(?m)^sync-period +1h30m$", done.stdout)
    assert "t       https://example.org/r" in done.stdout


def test_validate_as_json_has_every_key(config: Path) -> None:
    found = json.loads(lightkeeper("validate", "-c", str(config), "-o", "json").stdout)
    assert found["valid"] is True
    assert found["config"]["agent"]["state-dir"] == "/var/lib/lightkeeper"
    assert found["config"]["track"][0]["interval"] == "1m"


def test_validate_tells_every_problem_and_ends_with_2(config: Path) -> None:
    config.write_text(f"{TRACK}intervall = 1\nprune = 1\n")
    done = lightkeeper("validate", "-c", str(config))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f'{config}:4: track[0].intervall: unknown key, did you mean "interval"?\n'
        f"{config}:5: track[0].prune: not a boolean (got 1), expected true or false\n"
    )


def test_validate_tells_problems_as_json_on_stdout(config: Path) -> None:
    config.write_text(f"{TRACK}intervall = 1\n")
    done = lightkeeper("validate", "-c", str(config), "-o", "json")
    assert (done.returncode, done.stderr) == (2, "")
    assert json.loads(done.stdout) == {
        "valid": False,
        "problems": [
            {
                "source": str(config),
                "message": 'unknown key, did you mean "interval"?',
                "line": 4,
                "column": 0,
                "key": "track[0].intervall",
            }
        ],
    }


def test_the_configuration_is_found_in_the_order_that_help_tells(tmp_path: Path) -> None:
    for name in ("flag.toml", "variable.toml", "lightkeeper.toml"):
        (tmp_path / name).write_text(TRACK)
    environment = {"LIGHTKEEPER_CONFIG": "variable.toml"}
    for arguments, variables, file in (
        (["-c", "flag.toml", "validate"], environment, "flag.toml"),
        (["validate", "-c", "flag.toml"], environment, "flag.toml"),
        (["validate"], environment, "variable.toml"),
        (["validate"], {}, "lightkeeper.toml"),
    ):
        done = lightkeeper(*arguments, cwd=tmp_path, environment=variables)
        assert done.stdout.startswith(f"{file} is valid."), done.stderr


def test_no_configuration_anywhere_says_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "DEFAULT_PATHS", (tmp_path / "a", tmp_path / "b"))
    with pytest.raises(ConfigError, match=r"/a, .*/b\), name one with --config"):
        options.config_path(argparse.Namespace(config=None), environment={})


def parsed(*arguments: str) -> dict[str, object]:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    validate.register(parser)
    return options.given_flags(parser.parse_args(arguments))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {}),
        (["--name", "edge"], {"name": "edge"}),
        (["--namespace="], {"namespace": ""}),
        (["--server-dry-run"], {"server-dry-run": "true"}),
        (["--server-dry-run=false"], {"server-dry-run": "false"}),
        (["--no-server-dry-run"], {"server-dry-run": "false"}),
        (["--server-dry-run", "--no-server-dry-run"], {"server-dry-run": "false"}),
        (
            ["--ignore-resource", "jobs.batch/v1", "--ignore-resources", "secrets./v1"],
            {"ignore-resources": ["jobs.batch/v1", "secrets./v1"]},
        ),
        (["--repository-dir", "/v"], {"repository-dir": "/v"}),
    ],
    ids=" ".join,
)
def test_flags_give_the_keys_of_agent(arguments: list[str], expected: dict[str, object]) -> None:
    assert parsed(*arguments) == expected


def test_flags_of_both_spellings_are_refused(config: Path) -> None:
    done = lightkeeper("validate", "-c", str(config), "--state-dir", "/a", "--repository-dir", "/b")
    assert done.returncode == 2
    assert done.stderr == '--repository-dir: the same as "state-dir", give only one of them\n'


def test_a_wrong_log_variable_is_named(config: Path) -> None:
    done = lightkeeper("version", environment={"LIGHTKEEPER_LOG_LEVEL": "loud"})
    assert done.returncode == 2
    assert done.stderr == (
        "LIGHTKEEPER_LOG_LEVEL: unknown (got 'loud'), expected debug, info, warning, error\n"
    )
