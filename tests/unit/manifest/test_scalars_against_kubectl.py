"""One hundred scalars, with the answers kubectl gave for them (python_ecosystem.md section 3.2).

Each is the ``v:`` of a small object, read back with ``kubectl label --local -o json``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.manifest.load import load_file

FIXTURES = Path(__file__).parents[2] / "data" / "yaml" / "kubectl_scalars.json"
HEAD = "apiVersion: x.io/v1\nkind: Foo\nmetadata:\n  name: a\nspec:\n  "
CASES = [(case["line"], case["kubectl"]) for case in json.loads(FIXTURES.read_text())]

SAME_FLOAT_PRINTED_OTHERWISE = {
    "v: 9223372036854775808": "Go prints a float64 below 1e21 without exponent",
    "v: 18446744073709551615": "Go prints a float64 below 1e21 without exponent",
    "v: 18446744073709551616": "Go prints a float64 below 1e21 without exponent",
}
ACCEPTED_HERE_ONLY = {
    r'v: "a\/b"': "libyaml knows YAML 1.2's escape of the slash, go-yaml does not"
}
KNOWN = {**SAME_FLOAT_PRINTED_OTHERWISE, **ACCEPTED_HERE_ONLY}


def spec_of(line: str) -> Any:
    loaded = load_file(f"{HEAD}{line}\n".encode(), file="f.yaml")
    if loaded.error is not None:
        return "ERR"
    return loaded.manifests[0].object()["spec"]


@pytest.mark.parametrize(
    ("line", "kubectl"),
    [pytest.param(*case, id=case[0]) for case in CASES if case[0] not in KNOWN],
)
def test_a_scalar_is_what_it_is_to_kubectl(line: str, kubectl: str) -> None:
    if kubectl.startswith("ERR"):
        assert spec_of(line) == "ERR"
    else:
        # Through text, so that 1 and 1.0 and True differ.
        assert json.dumps(spec_of(line)) == json.dumps(json.loads(kubectl))


@pytest.mark.parametrize("line", SAME_FLOAT_PRINTED_OTHERWISE)
def test_a_number_beyond_int64_is_the_same_float_as_to_kubectl(line: str) -> None:
    ours = spec_of(line)["v"]
    assert isinstance(ours, float)
    assert ours == float(json.loads(dict(CASES)[line])["v"])


def test_the_escaped_slash_is_accepted_though_go_refuses_it() -> None:
    assert dict(CASES)[r'v: "a\/b"'].startswith("ERR")
    assert spec_of(r'v: "a\/b"') == {"v": "a/b"}


def test_all_one_hundred_probes_are_here() -> None:
    assert len(CASES) == 100
    assert {line for line, _ in CASES} >= set(KNOWN)
