"""Every row of the table of faros.md section 5, with what 17.6-17.8 ask to do better."""

from __future__ import annotations

from typing import Any

import pytest

from agent.manifest.load import LoadedFile, load_file


def config_map(name: str, data: str = "{}") -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata: {data}\n"


def load(text: str, *, file: str = "f.yaml") -> LoadedFile:
    return load_file(text.encode(), file=file)


def names(loaded: LoadedFile) -> list[str]:
    return [manifest.key.name for manifest in loaded.manifests]


def data_of(data: str) -> Any:
    loaded = load(config_map("a", data))
    assert loaded.error is None
    return loaded.manifests[0].object()["data"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="no bytes"),
        pytest.param("\n \n\t\n", id="blank"),
        pytest.param("# licence\n  # more\n", id="comments"),
        pytest.param("---\n---\n# c\n---", id="separators"),
        pytest.param("~\n---\nnull\n", id="nulls"),
        pytest.param("\ufeff", id="byte order mark"),
    ],
)
def test_an_empty_file_holds_nothing_and_is_no_error(text: str) -> None:
    assert load(text) == LoadedFile((), None, ())


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("# licence\n---\n" + config_map("a"), id="before"),
        pytest.param(config_map("a") + "---\n\n", id="after"),
        pytest.param(config_map("a") + "---\n# end\n", id="comment after"),
    ],
)
def test_comment_only_and_blank_documents_are_skipped(text: str) -> None:
    loaded = load(text)
    assert (names(loaded), loaded.error) == (["a"], None)


@pytest.mark.parametrize(
    "separator",
    ["---\n", "---\r\n", "--- \n", "---\t \n", "--- # comment\n", "---# comment\n", "---\n---\n"],
    ids=repr,
)
def test_every_separator_kubectl_sees_separates(separator: str) -> None:
    loaded = load(config_map("a") + separator + config_map("b"))
    assert (names(loaded), loaded.error) == (["a", "b"], None)


def test_crlf_files_split_into_their_documents() -> None:
    loaded = load((config_map("a") + "---\n" + config_map("b")).replace("\n", "\r\n"))
    assert (names(loaded), loaded.error) == (["a", "b"], None)


def test_a_final_separator_without_newline_is_no_document() -> None:
    loaded = load(config_map("a") + "---")
    assert (names(loaded), loaded.error) == (["a"], None)


def test_an_indented_separator_in_a_block_scalar_does_not_split() -> None:
    assert data_of("\n  x: |\n    one\n    ---\n    two") == {"x": "one\n---\ntwo\n"}


def test_a_file_may_begin_with_a_separator() -> None:
    assert names(load("---\n" + config_map("a"))) == ["a"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param('{"kind":"A"}{"kind":"B"}', "a second value follows", id="two objects"),
        pytest.param("[1]", "a list", id="array"),
        pytest.param('"x"', "a string", id="string"),
        pytest.param("5", "a number", id="number"),
        pytest.param("yes", "a boolean", id="boolean"),
    ],
)
@pytest.mark.parametrize("file", ["f.json", "f.yaml"])
def test_what_is_no_single_object_is_an_error(text: str, reason: str, file: str) -> None:
    error = load(text, file=file).error
    assert error is not None
    assert reason in error.reason


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{{ .Values.x }}\n", id="alone"),
        pytest.param("{{- if .Values.x }}\nkind: Foo\n{{- end }}\n", id="condition"),
        pytest.param(config_map("a", "{{ .Values.x }}"), id="value"),
        pytest.param(config_map('{{ include "x" . }}'), id="name"),
    ],
)
def test_templates_are_an_error_that_names_them(text: str) -> None:
    error = load(text).error
    assert error is not None
    assert "unrendered template" in error.reason


def test_of_duplicate_keys_the_last_wins_with_a_warning() -> None:
    loaded = load(config_map("a", "{x: 1, x: 2}"))
    assert loaded.manifests[0].object()["data"] == {"x": 2}
    assert loaded.warnings == ("f.yaml:5: duplicate key 'x': the last one wins",)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("2001-01-01", "2001-01-01"),
        ("12:30:45", "12:30:45"),
        ("22:22", "22:22"),
        ("yes", True),
        ("no", False),
        ("on", True),
        ("off", False),
        ("y", True),
        ("n", False),
        ("0777", 511),
        ("1e3", 1000),
        ("1_000", 1000),
        ("1.0", 1),
        ("0b11", 3),
        ("!!binary aGVsbG8=", "hello"),
        ("=", "="),
    ],
)
def test_values_have_gos_types(written: str, value: object) -> None:
    read = data_of(f"{{v: {written}}}")["v"]
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    ("written", "key"),
    [("8080", "8080"), ("true", "true"), ("y", "true"), ("on", "true"), ("1.5", "1.5")],
)
def test_keys_are_strings(written: str, key: str) -> None:
    assert data_of(f"{{{written}: x}}") == {key: "x"}


def test_merge_keys_and_anchors_are_resolved() -> None:
    text = "\n  base: &base {x: 1}\n  all: {<<: *base, z: 2}"
    assert data_of(text) == {"base": {"x": 1}, "all": {"x": 1, "z": 2}}


def test_a_byte_order_mark_is_accepted() -> None:
    assert names(load("\ufeff" + config_map("a"))) == ["a"]


def test_tabs_as_indentation_are_an_error_at_their_line() -> None:
    error = load("apiVersion: v1\nkind: ConfigMap\nmetadata:\n\tname: a\n").error
    assert error is not None
    assert error.line == 4


def test_documents_before_a_broken_one_are_kept_and_the_rest_is_not() -> None:
    text = config_map("a") + "---\n" + "kind: [\n" + "---\n" + config_map("c")
    loaded = load(text)
    assert names(loaded) == ["a"]
    assert loaded.error is not None
