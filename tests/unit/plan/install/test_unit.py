"""The systemd unit starts what it should, and ends all of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent.plan.install.settle import Mode
from agent.plan.install.unit import PROGRAM
from agent.reconcile import terms
from agent.reconcile.leadership import elector
from tests.unit.plan.install.printing import PLAIN, printed

AWKWARD = f"""
[agent]
state-dir = "/data"
{PLAIN}
deploy-key = {{ env = "TOKEN", type = "BearerToken" }}
ca = {{ file = "ca.pem" }}
"""


def test_it_starts_the_agent_with_the_flags_that_it_takes(tmp_path: Path) -> None:
    text = printed(tmp_path, AWKWARD, Mode.SYSTEMD, sync_period="10m")
    assert (
        f"ExecStart={PROGRAM} run --config=/etc/lightkeeper/config.toml --sync-period=10m "
        "--kubeconfig=/etc/lightkeeper/kubeconfig --state-dir=/var/lib/lightkeeper\n"
    ) in text
    assert "EnvironmentFile=/etc/lightkeeper/environment\n" in text
    assert "/etc/lightkeeper/ca.pem" in text


@pytest.mark.parametrize(
    ("argument", "written"),
    [("/k/100%", '"--kubeconfig=/k/100%%"'), ("/k/$HOME", '"--kubeconfig=/k/$$HOME"'),
     ("/k/a b", '"--kubeconfig=/k/a b"')],
)  # fmt: skip
def test_what_means_something_to_systemd_is_quoted(
    tmp_path: Path, argument: str, written: str
) -> None:
    assert f" {written}\n" in printed(tmp_path, PLAIN, Mode.SYSTEMD, kubeconfig=argument)


def test_it_has_the_time_that_its_end_takes(tmp_path: Path) -> None:
    found = re.search(r"TimeoutStopSec=(\d+)s", printed(tmp_path, PLAIN, Mode.SYSTEMD))
    assert found
    end = terms.DRAIN + terms.RECORD + terms.EVENTS_DRAIN + elector.RELEASE
    assert int(found[1]) >= end + 10


def test_no_child_is_left_when_it_ends(tmp_path: Path) -> None:
    assert "KillMode=mixed\n" in printed(tmp_path, PLAIN, Mode.SYSTEMD)
