"""Ignore rules mean what they mean to git, which is asked."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from agent.manifest.errors import IgnoreFileError
from agent.manifest.ignore import IGNORE_FILE, IgnoreRules
from agent.manifest.limits import MAX_IGNORE_FILE_SIZE
from agent.manifest.linear import linear

FOLDERS = ("", "a/", "b/", "a/a/", "a/b/", "b/a/", "b/b/", "a/a/a/")
NAMES = ("f", "b.f", ".h", "x y")
FILES = [f"{folder}{name}" for folder in FOLDERS for name in NAMES]

SEGMENTS = st.sampled_from(
    [
        "a",
        "b",
        "f",
        "b.f",
        "*",
        "**",
        "?",
        "[ab]",
        "*.f",
        "b*",
        ".*",
        "[!a]",
        "x y",
        "?*",
        "*b*f",
        "*.*f*",
        "*?*",
        "**f",
        "*[!b]*f",
        "*[]f]*",
        "b*.*?",
    ]
)
BODIES = st.lists(SEGMENTS, min_size=1, max_size=3).map("/".join)
PATTERNS = st.builds(
    "{}{}{}{}".format, st.sampled_from(["", "!"]), st.sampled_from(["", "/"]), BODIES,
    st.sampled_from(["", "/", "/**", " "]),
)  # fmt: skip
ODD = st.sampled_from(["", "# a", r"\#a", r"\!a", "/", "[", "a//f", "***", "a**", r"\a"])
CONFIGURED = st.lists(PATTERNS.map(str.rstrip), max_size=2)  # git strips blanks in files only
LINES = st.lists(PATTERNS | ODD, max_size=5)


@pytest.fixture(scope="module")
def work_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    for file in FILES:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def kept_by_git(work_tree: Path, files: Mapping[str, str], configured: list[str]) -> list[str]:
    for folder in FOLDERS:
        (work_tree / folder / IGNORE_FILE).write_text(files.get(folder, ""))
    command = ["git", "ls-files", "-z", "--others", f"--exclude-per-directory={IGNORE_FILE}"]
    command += [f"--exclude={pattern}" for pattern in configured]
    environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull}
    listed = subprocess.run(
        command, cwd=work_tree, env=environment, check=True, capture_output=True, text=True
    )
    return sorted(set(FILES) & set(listed.stdout.split("\0")))


def kept_by_us(files: Mapping[str, str], configured: list[str]) -> list[str]:
    return sorted(_kept("", IgnoreRules.configured(configured), files))


def _kept(folder: str, rules: IgnoreRules, files: Mapping[str, str]) -> Iterator[str]:
    if folder in files:
        rules = rules.within(folder, files[folder].encode())
    for name in NAMES:
        if not rules.leave_out(f"{folder}{name}"):
            yield f"{folder}{name}"
    for name in ("a/", "b/"):
        if f"{folder}{name}" in FOLDERS and not rules.leave_out(f"{folder}{name}"):
            yield from _kept(f"{folder}{name}", rules, files)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(root=LINES, deep=LINES, deeper=LINES, configured=CONFIGURED)
@example(root=["a"], deep=["!f"], deeper=[], configured=[])
@example(root=["/*", "!/a"], deep=[], deeper=[], configured=[])
@example(root=["a/*", "!a/b"], deep=["b.f"], deeper=["!b.f"], configured=[])
@example(root=["a/**", "!a/f"], deep=[], deeper=[], configured=[])
@example(root=["**/"], deep=[], deeper=[], configured=["!b/"])
@example(root=["*"], deep=[], deeper=[], configured=["!a", "!/a/b.f"])
@example(root=["f"], deep=["!f"], deeper=["f"], configured=["!/a/b/f"])
@example(root=["a/**/f", "**/b/**"], deep=[], deeper=[], configured=[])
def test_files_are_left_out_as_git_leaves_them_out(
    work_tree: Path, root: list[str], deep: list[str], deeper: list[str], configured: list[str]
) -> None:
    files = {"": "\n".join(root), "a/": "\n".join(deep), "a/b/": "\r\n".join(deeper)}
    assert kept_by_us(files, configured) == kept_by_git(work_tree, files, configured)


def test_without_rules_nothing_is_left_out() -> None:
    assert kept_by_us({}, []) == sorted(FILES)


def test_a_byte_order_mark_is_no_part_of_a_pattern() -> None:
    rules = IgnoreRules().within("", b"\xef\xbb\xbf/f\n")
    assert rules.leave_out("f")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a\nb\xff\n", "apps/.sourceignore:2: not UTF-8: save it as UTF-8"),
        (
            b"#" * (MAX_IGNORE_FILE_SIZE + 1),
            "apps/.sourceignore:1: 262145 bytes, more than 262144: shorten it",
        ),
        (b"a\n\n!\n", "apps/.sourceignore:3: not a gitignore pattern: Invalid git pattern: '!'"),
    ],
    ids=["not UTF-8", "huge", "no pattern"],
)
def test_a_file_that_cannot_be_read_is_an_error_with_its_place(data: bytes, said: str) -> None:
    with pytest.raises(IgnoreFileError) as caught:
        IgnoreRules().within("apps/", data)
    assert str(caught.value) == said


def test_a_file_of_the_largest_size_is_read() -> None:
    data = b"a\n" * (MAX_IGNORE_FILE_SIZE // 2)
    assert IgnoreRules().within("", data).leave_out("a")


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        pytest.param("*a" * 30 + "b", "a" * 255, id="stars"),
        pytest.param("*[a]" * 30 + "b", "a" * 255, id="sets"),
        pytest.param("**/a/" * 20 + "b", "a/" * 200 + "c", id="folders"),
        pytest.param("**/*a*a*a*b/" * 8 + "c", ("a" * 60 + "/") * 60 + "d", id="both"),
    ],
)
@pytest.mark.timeout(60)
def test_no_pattern_takes_for_ever(pattern: str, path: str) -> None:
    """Tried at each length of each star, any of these would outlast the universe."""
    rules = IgnoreRules().within("", f"{pattern}\n".encode())
    assert not rules.leave_out(path)


def test_what_is_not_understood_may_not_have_many_wildcards() -> None:
    assert linear("^(x|y)[^/]*") == "^(x|y)[^/]*"
    with pytest.raises(ValueError, match="too many wildcards"):
        linear("^(x|y)[^/]*a[^/]*")
