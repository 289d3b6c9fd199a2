"""What goes into a manifest comes out of it, to Go as to Python, whatever it is."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from agent.manifest.load import load_file
from agent.plan.install import text

TRICKY = [
    "on", "y", "1e3", "0x1f", "null", "~", "1.5", "", " a", "a: b", "a #b", "-", "- a", "{", "*a",
    "%", "'", '"', "lightkeeper:0.1.0", "--flag=value", "@a", "`", "|", ">", "!a", "&a", "?",
    "12_3", "<<", "=",
]  # fmt: skip
LINES = st.text(alphabet=st.sampled_from("ab \t\n#\"'=[]{}|-%\\:é\u2028\r\x85\ufeff\x00😀"))


def to_go(document: str) -> Any:
    """Read a document as kubectl does."""
    loaded = load_file(document.encode(), file="a.yaml")
    assert not loaded.error, loaded.error
    return loaded.manifests[0].object()


def config_map(data: str) -> str:
    body = text.indented(data, 2)
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata:\n{body}"


@pytest.mark.parametrize("value", TRICKY)
def test_a_scalar_is_the_text_it_was(value: str) -> None:
    document = config_map(f"k: {text.scalar(value)}")
    assert to_go(document)["data"] == {"k": value}
    assert yaml.safe_load(document)["data"] == {"k": value}


@given(LINES)
@example("a\n  b\n")
@example("\n\n a\n\n")
@example("  a\nb")
@example("a\n   ")
@example("a\n   \n")
@example("\t[a]\n\tb = 1\n")
@example("a   \nb\r\nc")
def test_a_file_is_what_it_was(toml: str) -> None:
    document = config_map(text.literal("config.toml", toml))
    assert yaml.safe_load(document)["data"] == {"config.toml": toml}
    if "\x00" not in toml:
        assert to_go(document)["data"] == {"config.toml": toml}


def test_a_file_with_tabs_and_trailing_spaces_is_shown_as_it_is() -> None:
    assert text.literal("c", "a = 1  \n\n\tb = 2\n") == "c: |\n  a = 1  \n\n  \tb = 2"


def test_what_looks_like_a_placeholder_in_a_configuration_is_left_alone() -> None:
    parts = {"config": "${namespace}", "namespace": "n", "toml": "a: ${config}\n@toml@"}
    filled = text.filled("config.yaml", parts)
    assert "name: ${namespace}\n" in filled
    assert filled.endswith("data:\n  a: ${config}\n  @toml@\n")


def test_nothing_leaves_no_line() -> None:
    assert text.filled("config.yaml", {"config": "a", "namespace": "n", "toml": ""}).endswith(
        "data:\n"
    )
