"""Items 1 to 3: the flag that names ignored resources, and how a file becomes objects."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config.model import IgnoredResource
from agent.manifest.load import LoadedFile, load_file
from tests.acceptance.manifests import BROKEN
from tests.integration.reconcile.manifests import config_map
from tests.unit.config.files import TRACK, loaded, problems

RESOURCES = {
    "jobs.batch/v1": IgnoredResource("jobs", "batch", "v1"),
    "gittracks.faros.pusher.com/v1alpha1": IgnoredResource(
        "gittracks", "faros.pusher.com", "v1alpha1"
    ),
    "secrets./v1": IgnoredResource("secrets", "", "v1"),
}


def read(text: str) -> LoadedFile:
    return load_file(text.encode(), file="dir/file.yaml")


def names(file: LoadedFile) -> list[str]:
    return [manifest.key.name for manifest in file.manifests]


@pytest.mark.parametrize(("text", "resource"), RESOURCES.items(), ids=RESOURCES)
def test_item_01_an_ignored_resource_is_read_as_resource_group_and_version(
    tmp_path: Path, text: str, resource: IgnoredResource
) -> None:
    """``RESOURCE.GROUP/VERSION`` is split at the first dot, so a group may have dots itself.

    The core group is written as nothing between dot and slash, which Faros takes but does not
    document. Here it is a key of the file, and still a flag.
    """
    in_file = loaded(tmp_path, f'[agent]\nignore-resources = ["{text}"]\n{TRACK}')
    by_flag = loaded(tmp_path, TRACK, flags={"ignore-resources": [text]})
    assert in_file.agent.ignore_resources == by_flag.agent.ignore_resources == (resource,)
    assert str(resource) == text


@pytest.mark.parametrize("text", ["jobs", "jobs.batch", "secrets/v1", "jobs.batch/v1/x"])
def test_item_01_what_is_no_resource_is_refused_with_its_place(tmp_path: Path, text: str) -> None:
    """Faros panics at start-up; here it is one of the configuration's problems, exit code 2."""
    [problem] = problems(tmp_path, f'[agent]\nignore-resources = ["{text}"]\n{TRACK}')
    assert problem.startswith("c.toml:2: agent.ignore-resources[0]: ")
    assert f'(got "{text}")' in problem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(config_map("a"), ["a"], id="one document"),
        pytest.param("---\n" + config_map("a"), ["a"], id="one document after a separator"),
        pytest.param(config_map("a") + "---\n" + config_map("b"), ["a", "b"], id="two documents"),
        pytest.param(config_map("b") + "---\n" + config_map("a"), ["b", "a"], id="in file order"),
    ],
)
def test_item_02_a_file_is_split_into_its_documents_in_order(
    text: str, expected: list[str]
) -> None:
    """One document with or without a leading ``---`` is one object, two are two, in order.

    Faros looks for one exact byte sequence; we split as a YAML parser does, so that a CRLF file or
    a comment behind the separator loses no document (faros.md section 5).
    """
    file = read(text)
    assert (names(file), file.error) == (expected, None)


def test_item_02_a_separator_inside_a_block_scalar_does_not_split() -> None:
    """Three dashes that belong to a text, here a YAML file in a ConfigMap, are part of it."""
    inner = "a: 1\n---\nb: 2\n"
    block = "".join(f"    {line}\n" for line in inner.splitlines())
    file = read(config_map("a") + f"  inner.yaml: |\n{block}---\n" + config_map("b"))
    assert (names(file), file.error) == (["a", "b"], None)
    assert file.manifests[0].object()["data"] == {"inner.yaml": inner}


LIST = "apiVersion: v1\nkind: List\nitems:\n"
BEFORE, AFTER = config_map("before"), config_map("after")


@pytest.mark.parametrize(
    ("text", "expected", "line", "reason"),
    [
        pytest.param(LIST + "- just a text\n", [], 4, "items[0]: ", id="a list of nothing valid"),
        pytest.param("---\n".join([BROKEN, AFTER]), [], 3, "", id="broken first"),
        pytest.param("---\n".join([BEFORE, BROKEN, AFTER]), ["before"], 8, "", id="in the middle"),
        pytest.param(
            "---\n".join([BEFORE, config_map("second"), BROKEN]),
            ["before", "second"],
            13,
            "",
            id="broken at the end",
        ),
    ],
)
def test_item_03_what_stands_before_a_broken_document_is_kept(
    text: str, expected: list[str], line: int, reason: str
) -> None:
    """A list whose only item is no object, and broken documents at three places of a file.

    What comes before is kept, the broken piece and what follows is not, and there is one error.
    Faros says what is wrong; we also say in which line.
    """
    file = read(text)
    assert names(file) == expected
    assert file.error is not None
    assert str(file.error).startswith(f"dir/file.yaml:{line}: {reason}")
