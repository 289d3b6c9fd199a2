"""config.example.toml and the model say the same keys and the same defaults."""

from __future__ import annotations

import re
import tomllib
from dataclasses import MISSING, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from agent.cli.options import AGENT_FLAGS, ELECTION_FLAGS
from agent.config import election
from agent.config.export import exported
from agent.config.load import load
from agent.config.model import (
    Agent,
    Config,
    DeployKey,
    IgnoredFields,
    LeaderElection,
    Place,
    Proxy,
    Track,
    Verify,
    VerifyKeys,
    VerifyMode,
)
from agent.config.pointers import Pointer
from agent.config.schema import AGENT_ALIASES, TRACK_REQUIRED, agent_schema, track_schema
from agent.config.tables import key_name
from agent.config.values import Paths

EXAMPLE = Path(__file__).parents[3] / "config.example.toml"
PATHS = Paths(Path("/"), "")


def uncommented() -> str:
    return re.sub(r"(?m)^#(?=[a-z-]+ = )", "", EXAMPLE.read_text())


def keys(model: type[Any]) -> set[str]:
    return {key_name(field.name) for field in fields(model)}


def test_the_example_loads() -> None:
    config = load(EXAMPLE, environment={}, flags={})
    assert [track.name for track in config.tracks] == ["platform", "kube-system", "shop"]
    assert config.agent == Agent()


def test_what_is_commented_out_in_the_example_is_the_default(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(uncommented())
    config = load(path, environment={}, flags={})
    assert config.agent == Agent()
    assert config.leader_election == LeaderElection()
    first = config.tracks[0]
    assert first == Track(name=first.name, repository=first.repository)


@pytest.mark.parametrize(
    ("section", "model"),
    [(("agent",), Agent), (("track",), Track), (("leader-election",), LeaderElection)],
    ids=["agent", "track", "leader-election"],
)
def test_the_example_has_every_key_and_no_other(section: tuple[str], model: type[Any]) -> None:
    found = tomllib.loads(uncommented())[section[0]]
    tables = found if isinstance(found, list) else [found]
    assert {key for table in tables for key in table} == keys(model)


def test_the_example_explains_each_key_before_it() -> None:
    lines = EXAMPLE.read_text().splitlines()
    for before, line in pairwise(lines):
        if re.match(r"#[a-z-]+ = |deploy-key|known-hosts|ca = |client-|proxy|verify", line):
            assert before.startswith("# "), line


def test_the_tables_of_keys_are_those_of_the_model() -> None:
    assert set(agent_schema(PATHS)) == keys(Agent)
    assert set(track_schema(PATHS)) == keys(Track)
    assert set(election.SCHEMA) == keys(LeaderElection)
    required = {field.name for field in fields(Track) if field.default is MISSING}
    assert required == set(TRACK_REQUIRED)


def test_every_key_of_agent_is_a_flag() -> None:
    assert set(AGENT_FLAGS) == keys(Agent) | set(AGENT_ALIASES)
    assert list(ELECTION_FLAGS) == list(election.FLAGS.values())


def test_a_configuration_can_be_written_back_as_it_was() -> None:
    config = Config(
        agent=Agent(sync_period=90.0, kubeconfig=Path("/k")),
        tracks=(
            Track(
                name="t",
                repository="git@h:r",
                deploy_key=DeployKey(env="KEY", passphrase=Place(env="PASS")),
                known_hosts=Place(file=Path("/hosts")),
                proxy=Proxy(url="http://proxy:3128"),
                ignore=("docs/", "!*.json"),
                ignore_fields=(
                    IgnoredFields(kind="Node", pointers=(Pointer(("spec", "a/b")),), name="n"),
                ),
                verify=Verify(keys=(Path("/ada.asc"),), mode=VerifyMode.TAG),
            ),
            Track(name="u", repository="/r", verify=Verify(keys=VerifyKeys(env="SIGNERS"))),
        ),
    )
    written = exported(config)
    assert set(written["agent"]) == keys(Agent)
    assert set(written["leader-election"]) == keys(LeaderElection)
    assert written["agent"]["sync-period"] == "1m30s"
    assert written["agent"]["kubeconfig"] == "/k"
    track = written["track"][0]
    assert set(track) == keys(Track)
    assert track["prune-limit"] == "50%"
    assert track["deploy-key"] == {"env": "KEY", "type": "SSH", "passphrase": {"env": "PASS"}}
    assert track["known-hosts"] == {"file": "/hosts"}
    assert track["ca"] is None
    assert track["proxy"] == {"url": "http://proxy:3128"}
    assert track["ignore"] == ["docs/", "!*.json"]
    assert track["verify"] == {"keys": ["/ada.asc"], "mode": "tag"}
    assert written["track"][1]["verify"] == {"keys": {"env": "SIGNERS"}, "mode": "head"}
    assert track["ignore-fields"] == [{"kind": "Node", "pointers": ["/spec/a~1b"], "name": "n"}]
