from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import pytest

from agent.manifest import goyaml
from agent.manifest.errors import DecodeError
from agent.manifest.limits import MAX_DEPTH, MAX_WARNINGS


def one(text: str) -> Any:
    (parsed,) = goyaml.parse(text)
    return parsed.value


def problem(text: str) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        list(goyaml.parse(text))
    return caught.value


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("a: 1\nb: .inf\n", 2, "JSON has no inf"),
        ("a: 1\nb:\n  c: .NaN\n", 3, "JSON has no nan"),
        ("a: 1\n~: 2\n", 2, "null cannot be a key"),
        ("a: 1\n[x]: 2\n", 2, "cannot be a key"),
        ("a: 1\n? {x: 1}\n: 2\n", 2, "cannot be a key"),
        ("a: &a [1]\n*a : 2\n", 2, "cannot be a key"),
        ("a: 1\nb: *b\n", 2, "unknown anchor 'b'"),
        ("a: 1\nb: &b\n  c: *b\n", 3, "anchor 'b' contains itself"),
        ("a: 1\n<<: 5\n", 2, "merge key"),
        ("a: 1\nb: !!int five\n", 2, "this text is not a !!int"),
        ("a: 1\nb: !!binary '?'\n", 2, "not valid base64"),
        ("a: 1\nb: !!binary 'ä'\n", 2, "not valid base64"),
        ("a: 1\nb: c: d\n", 2, "mapping values are not allowed"),
        ("a: 1\nb: [1\nc: 2\n", 3, "begins 1 line above"),
        ('a: 1\nb: "ä\x07"\n', 2, "U+0007"),
        ("a: 1\n...\nb: 2\n", 3, "a new one begins with a line of '---'"),
    ],
    ids=lambda value: value.splitlines()[-1] if isinstance(value, str) and "\n" in value else None,
)
def test_an_error_says_line_and_reason(text: str, line: int, reason: str) -> None:
    error = problem(text)
    assert reason in error.reason
    assert error.line == line


def test_documents_before_an_error_are_yielded() -> None:
    documents = goyaml.parse("a: 1\n---\nb: 2\n---\nc: [\n")
    assert [next(documents).value, next(documents).value] == [{"a": 1}, {"b": 2}]
    with pytest.raises(DecodeError):
        next(documents)


def test_a_document_begins_at_the_line_of_its_first_key() -> None:
    parsed = list(goyaml.parse("# c\n\na: 1\n--- # d\n# e\n- b\n"))
    assert [document.line for document in parsed] == [3, 6]


def test_a_block_scalar_at_the_end_of_the_text_ends_with_a_newline() -> None:
    assert one("a: |\n  x") == {"a": "x\n"}


def test_a_merge_key_is_no_duplicate() -> None:
    (parsed,) = goyaml.parse("b: &b {x: 1}\nd:\n  <<: *b\n  x: 2\n")
    assert parsed.value["d"] == {"x": 2}
    assert parsed.warnings == ()


def test_of_merged_mappings_the_first_wins() -> None:
    text = "a: &a {x: 1}\nb: &b {x: 2, z: 3}\nd: {<<: [*a, *b]}\n"
    assert one(text)["d"] == {"x": 1, "z": 3}


def test_warnings_of_a_file_full_of_duplicates_are_bounded() -> None:
    (parsed,) = goyaml.parse("a: 1\n" * 1000)
    assert len(parsed.warnings) == MAX_WARNINGS


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[" * 20_000, id="flow lists"),
        pytest.param("{a: " * 20_000, id="flow mappings"),
        pytest.param("- " * 20_000 + "x", id="block lists"),
        pytest.param("[" * 20_000 + "]" * 20_000, id="closed"),
        pytest.param("".join(" " * i + "a:\n" for i in range(2_000)), id="block mappings"),
    ],
)
def test_deep_nesting_is_one_error(text: str) -> None:
    assert f"deeper than {MAX_DEPTH} levels" in problem(text).reason


def test_nesting_up_to_the_bound_is_read() -> None:
    value = one("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    for _ in range(MAX_DEPTH - 1):
        (value,) = value
    assert value == []


@pytest.mark.parametrize("levels", [1, 150])
def test_nesting_by_aliases_counts(levels: int) -> None:
    opening, closing = "[" * levels, "]" * levels
    lines = ["a0: &a0 []"]
    lines += [f"a{i}: &a{i} {opening}*a{i - 1}{closing}" for i in range(1, 250)]
    assert "nested deeper" in problem("\n".join(lines)).reason


def bomb(levels: int, *, leaf: str = "x") -> str:
    lines = [f"a0: &a0 [{','.join([leaf] * 9)}]"]
    lines += [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]" for i in range(1, levels)]
    return "\n".join(lines)


def test_an_alias_bomb_is_one_error_at_once() -> None:
    started = time.process_time()
    assert "excessive aliasing" in problem(bomb(30)).reason
    assert time.process_time() - started < 1


def test_a_merge_key_bomb_is_one_error() -> None:
    lines = ["a0: &a0 {" + ",".join(f"k{i}: 1" for i in range(500)) + "}"]
    lines += [f"m{i}: {{<<: *a0}}" for i in range(50_000)]
    assert "excessive aliasing" in problem("\n".join(lines)).reason


def test_aliases_to_a_long_string_are_one_error() -> None:
    text = f"a: &a {'x' * 1_000_000}\nb: [{','.join(['*a'] * 100)}]\n"
    assert "excessive aliasing" in problem(text).reason


def test_honest_use_of_anchors_passes() -> None:
    text = "env: &env [{name: A, value: b}]\n" + "".join(f"c{i}: *env\n" for i in range(80))
    assert len(one(text)) == 81


@pytest.mark.parametrize("digits", ["9" * 5_000, "0" + "7" * 5_000, "-" + "9" * 400])
def test_numbers_no_float_can_hold_are_strings(digits: str) -> None:
    assert one(f"a: {digits}") == {"a": digits}


def test_without_libyaml_the_import_says_what_to_install() -> None:
    code = "import sys; sys.modules['yaml._yaml'] = None; import agent.manifest.goyaml"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "ImportError: PyYAML here has no libyaml: install" in run.stderr
