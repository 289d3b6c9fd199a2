"""``[leader-election]``: Faros' flags, variables, the file, and times that keep leaders apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.cli.main import main
from agent.config.errors import ConfigError
from agent.config.load import load
from agent.config.model import ElectionMode, LeaderElection
from tests.unit.config.files import TRACK, problems

MISTAKES = {
    "lease not longer than deadline": (
        'lease-duration = "10s"',
        "leader-election.lease-duration: 10s is not longer than renew-deadline, 10s: a leader",
    ),
    "deadline not longer than a jittered retry": (
        'retry-period = "9s"',
        "leader-election.renew-deadline: 10s is not longer than 1.2 times retry-period, 9s: one",
    ),
    "no lease": (
        'lease-duration = "0s"',
        'leader-election.lease-duration: too short (got "0s"), the least is 1s',
    ),
    "no retry": ('retry-period = "0s"', 'leader-election.retry-period: too short (got "0s"), the'),
    "mode": (
        'mode = "leader"',
        'leader-election.mode: not a mode (got "leader"), expected "agent" or "track"',
    ),
    "name": ('id = "Leader"', 'leader-election.id: not a name of a Lease (got "Leader"), expected'),
    "long name": (f'id = "{"a" * 190}"', "leader-election.id: not a name of a Lease"),
    "long identity": (f'identity = "{"a" * 129}"', "leader-election.identity: too long (got "),
    "unknown key": (
        'lease-durration = "1s"',
        'leader-election.lease-durration: unknown key, did you mean "lease-duration"?',
    ),
}


@pytest.mark.parametrize(("line", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_with_key_and_reason(tmp_path: Path, line: str, message: str) -> None:
    (problem,) = problems(tmp_path, f"[leader-election]\n{line}\n{TRACK}")
    line_number, _, told = problem.removeprefix("c.toml:").partition(": ")
    assert line_number in ("1", "2")
    assert told.startswith(message)


def test_the_table_is_suggested_for_a_name_near_it(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, f"[leader_election]\n{TRACK}")
    assert problem.startswith('c.toml:1: leader_election: unknown key, did you mean "leader-elec')


def test_flag_over_variable_over_file(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(
        '[leader-election]\nid = "file"\nnamespace = "file"\nretry-period = "1s"\n' + TRACK
    )
    environment = {
        "LIGHTKEEPER_LEADER_ELECTION": "true",
        "LIGHTKEEPER_LEADER_ELECTION_ID": "variable",
        "LIGHTKEEPER_LEADER_ELECTION_NAMESPACE": "variable",
    }
    flags = {"leader-election-id": "flag", "leader-election-mode": "track"}
    assert load(path, environment=environment, flags=flags).leader_election == LeaderElection(
        enabled=True,
        id="flag",
        namespace="variable",
        mode=ElectionMode.TRACK,
        retry_period=1.0,
    )


def test_a_mistake_in_a_variable_or_a_flag_names_it(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(TRACK)
    with pytest.raises(ConfigError) as caught:
        load(
            path,
            environment={"LIGHTKEEPER_LEADER_ELECTION_MODE": "x"},
            flags={"leader-election": "maybe"},
        )
    told = [str(problem) for problem in caught.value.problems]
    assert told[0].startswith('LIGHTKEEPER_LEADER_ELECTION_MODE: not a mode (got "x"), expected')
    assert told[1].startswith('--leader-election: not a boolean (got "maybe"), expected true')


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--leader-election"], "true"),
        (["--leader-election=false"], "false"),
        (["--leader-election", "--no-leader-election"], "false"),
    ],
    ids=["alone", "with a value", "taken back"],
)
def test_faros_flags_are_understood(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], expected: str
) -> None:
    path = tmp_path / "c.toml"
    path.write_text(TRACK)
    more = ["--leader-election-id", "controller-leader-election-helper"]
    assert main(["validate", "-c", str(path), *flags, *more]) == 0
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["enabled", expected] in shown
    assert ["id", "controller-leader-election-helper"] in shown
