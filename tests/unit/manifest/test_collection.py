from __future__ import annotations

import itertools

import pytest

from agent.manifest.collection import collect
from agent.manifest.load import LoadedFile, load_file


def pod(name: str, *, version: str = "v1", namespace: str = "x") -> str:
    return f"apiVersion: {version}\nkind: Pod\nmetadata: {{name: {name}, namespace: {namespace}}}\n"


A = load_file((pod("one") + "---\n" + pod("two")).encode(), file="a.yaml")
B = load_file((pod("three") + "---\n" + pod("one")).encode(), file="b.yaml")
BROKEN = load_file((pod("four") + "---\nkind: [\n").encode(), file="c.yaml")


def test_files_without_problems_are_complete() -> None:
    collected = collect([A])
    assert [manifest.key.name for manifest in collected.manifests] == ["one", "two"]
    assert (collected.errors, collected.complete) == ((), True)


@pytest.mark.parametrize(
    "files",
    [
        pytest.param(list(files), id=" ".join(names))
        for files, names in zip(
            itertools.permutations([A, B, BROKEN]), itertools.permutations("abc"), strict=True
        )
    ],
)
def test_the_order_of_the_files_does_not_matter(files: list[LoadedFile]) -> None:
    collected, expected = collect(files), collect([A, B, BROKEN])
    assert collected.manifests == expected.manifests
    assert [str(error) for error in collected.errors] == [str(error) for error in expected.errors]


def test_of_duplicates_the_first_is_kept_and_the_later_is_an_error_with_both_places() -> None:
    collected = collect([B, A])
    assert [str(manifest.origin) for manifest in collected.manifests] == [
        "a.yaml:1",
        "a.yaml:5",
        "b.yaml:1",
    ]
    (error,) = collected.errors
    assert str(error) == (
        "b.yaml:5: Pod x/one is already written at a.yaml:1, which is used: remove one"
    )
    assert collected.complete


def test_a_duplicate_in_the_same_file_is_found() -> None:
    file = load_file((pod("a") + "---\n" + pod("a")).encode(), file="f.yaml")
    assert [error.line for error in collect([file]).errors] == [5]


def test_another_version_is_the_same_object_and_another_namespace_is_not() -> None:
    texts = [pod("a"), pod("a", version="v2"), pod("a", namespace="z")]
    files = [load_file(text.encode(), file=f"{i}.yaml") for i, text in enumerate(texts)]
    collected = collect(files)
    assert [manifest.origin.file for manifest in collected.manifests] == ["0.yaml", "2.yaml"]
    assert [error.file for error in collected.errors] == ["1.yaml"]


def test_a_broken_file_makes_the_collection_incomplete_but_keeps_the_rest() -> None:
    collected = collect([BROKEN, A])
    assert [manifest.key.name for manifest in collected.manifests] == ["one", "two", "four"]
    assert collected.errors == (BROKEN.error,)
    assert not collected.complete


def test_warnings_of_all_files_are_together() -> None:
    files = [load_file(f"{pod('a')}b: 1\nb: 2\n".encode(), file=name) for name in ("z", "y")]
    assert [warning.split(":")[0] for warning in collect(files).warnings] == ["y", "z"]
