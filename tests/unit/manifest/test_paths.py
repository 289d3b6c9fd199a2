from __future__ import annotations

import pytest

from agent.manifest.errors import SubPathError
from agent.manifest.paths import clean_sub_path, is_manifest_path


@pytest.mark.parametrize(
    ("written", "clean"),
    [
        ("", ""),
        ("/", ""),
        (".", ""),
        ("./", ""),
        ("foo", "foo"),
        ("/foo", "foo"),
        ("./foo/", "foo"),
        ("foo//bar/", "foo/bar"),
        ("//foo/./bar", "foo/bar"),
        (".deploy/prod", ".deploy/prod"),
        ("..foo", "..foo"),
    ],
)
def test_a_sub_path_is_forgiven_its_slashes(written: str, clean: str) -> None:
    assert clean_sub_path(written) == clean


@pytest.mark.parametrize("written", ["..", "../x", "foo/../bar", "/.."])
def test_a_sub_path_may_not_leave_the_repository(written: str) -> None:
    with pytest.raises(SubPathError, match="not allowed"):
        clean_sub_path(written)


@pytest.mark.parametrize(
    ("path", "sub_path", "wanted"),
    [
        ("a.yaml", "", True),
        ("a.yml", "/", True),
        ("a/b/c.json", "", True),
        ("foo/a.yaml", "foo", True),
        ("foo/x/y/a.yaml", "/foo/", True),
        ("foobar/a.yaml", "foo", False),
        ("bar/foo/a.yaml", "foo", False),
        ("foo.yaml", "foo", False),
        ("a.YAML", "", False),
        ("a.yaml.txt", "", False),
        ("README.md", "", False),
        ("yaml", "", False),
        (".travis.yml", "", False),
        (".github/workflows/ci.yaml", "", False),
        ("foo/.hidden/a.yaml", "foo", False),
        (".deploy/a.yaml", ".deploy", True),
        (".deploy/.x/a.yaml", ".deploy", False),
        ("foo/a.yaml", "foo/a.yaml", True),
        ("foo/.a.yaml", "foo/.a.yaml", True),
        ("foo/a.yaml", "fo*", False),
        ("a/..b/c.yaml", "a", False),
    ],
)
def test_which_files_are_manifests(path: str, sub_path: str, *, wanted: bool) -> None:
    assert is_manifest_path(path, sub_path) is wanted
