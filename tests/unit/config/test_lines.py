"""Lines of keys: the same keys that the TOML parser finds, each on the line where it is written."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.lines import KeyPath, key_lines, line_of, show_path


def leaves(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Every path in a parsed document, with its value."""
    if path:
        yield path, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    if isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))


def parses(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


KEYS = st.lists(
    st.sampled_from(["a", "b-c", "1", '"q.u"', "'l i'", r'"\u0061"', '"]"', '"#"', '""']),
    min_size=1,
    max_size=3,
).flatmap(lambda parts: st.sampled_from([".", " . "]).map(lambda dot: dot.join(parts)))

BREAKS = st.sampled_from(["", " ", "\n", "\r\n", " # ] } \" '''\n"])


@st.composite
def values(draw: st.DrawFn, *, depth: int = 2, inline: bool = False) -> str:
    """Text of a value, full of what would be a key, a table or a comment elsewhere."""
    shapes = ["1", "1.5", "1979-05-27 07:32:00", '" ] } # ="', "' \\ [['", r'"\" \\"', "true"]
    if not inline:
        shapes += ['"""\n[x]\na = 1 \\" ""\n"""""', "'''\n'' # [[y]]\n'''''", '"""\\\n  z"""']
    if depth == 0 or draw(st.booleans()):
        return draw(st.sampled_from(shapes))
    if draw(st.booleans()):
        items = draw(st.lists(values(depth=depth - 1, inline=inline), max_size=3))
        gap = "" if inline else draw(BREAKS)
        trailing: bool = draw(st.booleans())
        comma = "," if items and trailing else ""
        return f"[{gap}{(',' + gap).join(items)}{comma}{gap}]"
    pairs = draw(st.lists(st.tuples(KEYS, values(depth=depth - 1, inline=True)), max_size=3))
    return "{ " + ", ".join(f"{key} = {value}" for key, value in pairs) + " }"


STATEMENTS = st.one_of(
    st.tuples(KEYS, values()).map(lambda pair: f"{pair[0]} = {pair[1]}"),
    KEYS.map("[{}]".format),
    KEYS.map("  [[ {} ]] # [a]".format),
    st.sampled_from(["", "# a = 1", "\t"]),
)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Text of a valid document: each statement is kept if the whole is still TOML with it."""
    text = ""
    for statement in draw(st.lists(STATEMENTS, max_size=12)):
        longer = f"{text}{statement}\n"
        text = longer if parses(longer) else text
    return text


@given(documents())
def test_every_key_that_the_parser_finds_has_a_line(text: str) -> None:
    lines = key_lines(text)
    for path, _ in leaves(tomllib.loads(text)):
        assert path in lines, (path, text)


@given(st.integers(min_value=0, max_value=5), documents())
def test_a_key_after_any_document_has_the_line_it_is_on(blank: int, before: str) -> None:
    text = before + "\n" * blank + '[[last]]\nx = [\n  1,\n  { "y" = 2 },\n]\n'
    lines = key_lines(text)
    header = before.count("\n") + blank + 1
    tail = {path: line - header for path, line in lines.items() if path[0] == "last"}
    assert tail == {
        ("last",): 0,
        ("last", 0): 0,
        ("last", 0, "x"): 1,
        ("last", 0, "x", 0): 2,
        ("last", 0, "x", 1): 3,
        ("last", 0, "x", 1, "y"): 3,
    }


@given(st.text(alphabet="ab=.,#\"'\\[]{}\n\r \t1é", max_size=60))
def test_no_text_makes_it_raise(text: str) -> None:
    key_lines(text)


def test_a_thousand_open_brackets_do_not_make_it_raise() -> None:
    assert key_lines("a = " + "[" * 1000)[("a",)] == 1


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("a = 1\nb = 2\n", ("b",), 2),
        ("[t]\n\nk = 1", ("t", "k"), 3),
        ("[t.u]\nk = 1\n[t]\n", ("t",), 3),
        ("[[t]]\nk = 1\n[[t]]\nk = 2", ("t", 1, "k"), 4),
        ("[[t]]\n[t.u]\nk = 1\n[[t.v]]\nk = 1\n[[t.v]]\nk = 2", ("t", 0, "v", 1, "k"), 7),
        ('k = """\n[t]\nx = 1\n"""\nx = 2', ("x",), 5),
        ('k = """a"""""\nx = 2', ("x",), 2),
        ("k = ''\nx = 2", ("x",), 2),
        ("k = [\n# ]\n 'a', [\n2]]\nx = 3", ("k", 1, 0), 4),
        ("k = [\n# ]\n 'a', [\n2]]\nx = 3", ("x",), 5),
        ("a.b . c = 1", ("a", "b"), 1),
        ("\r\na = 1\r\nb = { c = 1 }", ("b", "c"), 3),
        ('"é.x" = 1', ("é.x",), 1),
    ],
)
def test_known_places(text: str, path: KeyPath, line: int) -> None:
    assert key_lines(text)[path] == line


def test_a_key_that_is_not_there_has_the_line_of_the_table_around_it() -> None:
    lines = key_lines("\n[[t]]\na = 1\n")
    assert line_of(("t", 0, "missing", "x"), lines) == 2
    assert line_of(("other",), lines) == 1


def test_a_path_is_shown_as_kubernetes_shows_field_paths() -> None:
    assert show_path(("track", 0, "deploy-key", "file")) == "track[0].deploy-key.file"
