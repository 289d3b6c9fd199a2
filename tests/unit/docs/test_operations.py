"""docs/operations.md has a section for each alert and a line for each metric, and for no other."""

from __future__ import annotations

import re

import pytest
import yaml

from agent.metrics import Metrics
from agent.reconcile.reports.gauges import Gauges
from tests.unit.docs.pages import ROOT, headings

PAGE = ROOT / "docs" / "operations.md"
RULES = ROOT / "packaging" / "monitoring" / "prometheus-rule.yaml"
SOURCES = sorted((ROOT / "agent").rglob("*.py"))


class Nothing:
    """A process that works on nothing."""

    tracks: dict[str, object] = {}  # noqa: RUF012  # read only
    queues: tuple[object, ...] = ()


def alerts() -> list[str]:
    rule = yaml.safe_load(RULES.read_text())
    return [found["alert"] for group in rule["spec"]["groups"] for found in group["rules"]]


def test_each_alert_has_a_section_of_its_name_and_each_section_an_alert() -> None:
    assert [h for h in headings(PAGE) if h.startswith("Lightkeeper")] == alerts()


@pytest.mark.asyncio
async def test_each_metric_is_explained_and_none_that_is_not_there() -> None:
    metrics = Metrics(version="1")
    metrics.add(Gauges(metrics, Nothing(), ()))  # type: ignore[arg-type]  # it works on nothing
    page, _ = await metrics.page("")
    served = set(re.findall(r"^# HELP (\S+)", page.decode(), re.M))
    table = PAGE.read_text().partition("\n## Metrics\n")[2].partition("\n## ")[0]
    told = {name for name in re.findall(r"`([a-z_*]+)`", table) if "_" in name}
    assert told - {"process_*"} == {name for name in served if not name.startswith("process_")}


def test_each_log_line_that_is_explained_is_one_that_the_agent_writes() -> None:
    table = PAGE.read_text().partition("\n## Log lines worth knowing\n")[2]
    rows = re.findall(r"^\| (`.*?) \|", table, re.M)
    told = {line for row in rows for line in re.findall(r"`([^`]+)`", row)}
    assert told
    written = "\n".join(path.read_text() for path in SOURCES)
    made = {f"object {what}" for what in ("created", "updated")}  # of an action's name
    assert not [line for line in told - made if not re.search(rf'"[^"]*{line}', written)]
