"""What people write on a track's ConfigMap, however they write it."""

from __future__ import annotations

import pytest

from agent.apply.signals import APPROVED, REQUESTED, SUSPENDED, Signals

CASES: dict[str, tuple[dict[str, str] | None, Signals]] = {
    "no annotations": (None, Signals()),
    "others": ({"x": "y"}, Signals()),
    "all": (
        {APPROVED: "a", SUSPENDED: "s", REQUESTED: "r"},
        Signals(approved="a", suspended="s", requested="r"),
    ),
    "suspended=true": ({SUSPENDED: "true"}, Signals(suspended="true")),
    "suspended=false": ({SUSPENDED: "false"}, Signals()),
    "suspended=False": ({SUSPENDED: "False"}, Signals()),
    "suspended, and empty": ({SUSPENDED: ""}, Signals()),
}


@pytest.mark.parametrize(("annotations", "expected"), CASES.values(), ids=CASES.keys())
def test_annotations_are_read(annotations: dict[str, str] | None, expected: Signals) -> None:
    metadata = {} if annotations is None else {"annotations": annotations}
    assert Signals.of({"metadata": metadata}) == expected
