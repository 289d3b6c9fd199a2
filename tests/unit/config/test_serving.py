"""Addresses to listen on, and the keys that protect the metrics."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config.errors import ConfigError
from agent.config.load import load
from agent.config.model import Agent
from agent.config.serving import BindAddress, parse_bind_address
from tests.unit.config.files import TRACK


def agent(tmp_path: Path, *lines: str, flags: dict[str, str] | None = None) -> Agent:
    path = tmp_path / "c.toml"
    path.write_text("\n".join(["[agent]", *lines, TRACK]))
    return load(path, environment={}, flags=flags or {}).agent


def problem(tmp_path: Path, *lines: str) -> str:
    with pytest.raises(ConfigError) as raised:
        agent(tmp_path, *lines)
    [only] = raised.value.problems
    return str(only).removeprefix(f"{tmp_path / 'c.toml'}:")


@pytest.mark.parametrize(
    ("address", "where"),
    [
        (":8080", BindAddress("", 8080)),
        ("127.0.0.1:1", BindAddress("127.0.0.1", 1)),
        ("[::1]:65535", BindAddress("::1", 65535)),
        ("metrics.example.org:80", BindAddress("metrics.example.org", 80)),
        ("0", None),
    ],
)
def test_an_address_is_written_as_in_go(
    tmp_path: Path, address: str, where: BindAddress | None
) -> None:
    given = agent(tmp_path, f'metrics-bind-address = "{address}"').metrics_bind_address
    assert given == address
    assert parse_bind_address(given) == where


@pytest.mark.parametrize(
    "address", ["8080", ":0", ":65536", ":", "::1:80", "http://h:80", "h:80/x", "[h:80", "a b:1"]
)
def test_what_is_no_address_is_told(tmp_path: Path, address: str) -> None:
    said = problem(tmp_path, f'health-bind-address = "{address}"')
    assert said.startswith("2: agent.health-bind-address: not an address to listen on")


def test_an_empty_address_is_the_default_as_in_faros(tmp_path: Path) -> None:
    given = agent(tmp_path, 'metrics-bind-address = ""', 'health-bind-address = ""')
    assert (given.metrics_bind_address, given.health_bind_address) == (":8080", ":8081")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        pytest.param(
            ['metrics-cert-file = "/c"'],
            "2: agent.metrics-cert-file: needs metrics-key-file as well",
            id="certificate alone",
        ),
        pytest.param(
            ['metrics-key-file = "/k"'],
            "2: agent.metrics-key-file: needs metrics-cert-file as well",
            id="key alone",
        ),
        pytest.param(
            ["metrics-authorization = true"],
            "2: agent.metrics-authorization: needs metrics-cert-file and metrics-key-file",
            id="tokens in the clear",
        ),
    ],
)
def test_keys_that_make_no_sense_alone_are_told(
    tmp_path: Path, lines: list[str], said: str
) -> None:
    assert problem(tmp_path, *lines).startswith(said)


def test_what_a_flag_adds_counts(tmp_path: Path) -> None:
    lines = ('metrics-cert-file = "/c"', "metrics-authorization = true")
    given = agent(tmp_path, *lines, flags={"metrics-key-file": "/k"})
    assert given.metrics_key_file == Path("/k")
