"""The list is complete: every item has a test in this folder, or a reason for having none."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ITEMS = frozenset(range(1, 37))
"""The items of faros.md section 14."""

NOT_APPLICABLE = {
    36: "round trip of the four CRDs through generated API types: there is no CRD, and the "
    "configuration that stands for them is tested in tests/unit/config",
}
"""Items without a test, and why."""

_NAME = re.compile(r"test_item_([0-9]{2})_[a-z0-9_]+")


Test = ast.FunctionDef | ast.AsyncFunctionDef


def all_tests() -> Iterator[Test]:
    """Yield the test functions of the folder but those of this module."""
    here = Path(__file__)
    for path in sorted(here.parent.glob("test_*.py")):
        if path != here:
            nodes = ast.parse(path.read_text()).body
            yield from (n for n in nodes if isinstance(n, Test) and n.name.startswith("test"))


def item(name: str) -> int:
    """The number in a test's name; 0 when it carries none."""
    match = _NAME.fullmatch(name)
    return int(match[1]) if match else 0


def test_every_item_has_a_test_or_a_reason_for_having_none() -> None:
    tested = {item(test.name) for test in all_tests()}
    assert tested | NOT_APPLICABLE.keys() == ITEMS
    assert not tested & NOT_APPLICABLE.keys()


def test_every_test_names_its_item_and_says_what_it_asks() -> None:
    lacking = [t.name for t in all_tests() if not item(t.name) or not ast.get_docstring(t)]
    assert lacking == []
