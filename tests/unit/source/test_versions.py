"""Which tag a range of versions means among a remote's refs, and what is said when none."""

from __future__ import annotations

import pytest

from agent.source.listing import Listing
from agent.source.resolve import Target, candidates, resolve
from agent.source.versions import why_none

TAGS = (
    "v1.2.0", "v1.10.0", "1.9.9", "v2.0.0", "v2.1.0-rc.1", "v1.11", "latest", "w9.9.9", "app/9.9.9"
)  # fmt: skip


def listing(*tags: str) -> Listing:
    refs = {f"refs/tags/{tag}": f"{number:040x}" for number, tag in enumerate(tags, 1)}
    return Listing({**refs, "refs/heads/9.9.9": "f" * 40, "HEAD": "f" * 40})


@pytest.mark.parametrize(
    ("reference", "tag"),
    [
        ("semver:*", "v2.0.0"),
        ("semver: ^1.2", "v1.10.0"),
        ("semver: ~1.9", "1.9.9"),
        ("semver: >=1.2 <1.10", "1.9.9"),
        ("semver: >=2-0", "v2.1.0-rc.1"),
        ("semver: 1.2.0", "v1.2.0"),
    ],
)
def test_the_highest_tag_in_the_range_is_taken(reference: str, tag: str) -> None:
    target = resolve(reference, listing(*TAGS))
    assert target is not None
    assert (target.source, target.name) == (f"refs/tags/{tag}", f"refs/tags/{tag}")


def test_an_annotated_tag_is_peeled() -> None:
    refs = {"refs/tags/v1.0.0": "a" * 40, "refs/tags/v1.0.0^{}": "b" * 40}
    expected = Target("b" * 40, "refs/tags/v1.0.0", "refs/tags/v1.0.0", tag="a" * 40)
    assert resolve("semver:1.x", Listing(refs)) == expected


@pytest.mark.parametrize(
    ("tags", "taken"),
    [
        (("1.0.0+a", "1.0.0+c", "1.0.0+b"), "1.0.0+c"),
        (("v1.0.0", "1.0.0"), "v1.0.0"),
        (("1.0.0+z", "v1.0.0"), "v1.0.0"),
    ],
)
def test_of_equal_versions_the_name_that_sorts_last_is_taken(
    tags: tuple[str, ...], taken: str
) -> None:
    for order in (tags, tags[::-1]):
        target = resolve("semver:^1", listing(*order))
        assert target is not None
        assert target.name == f"refs/tags/{taken}"


def test_only_tags_are_asked_for() -> None:
    assert candidates("semver: >=1.2") == ("refs/tags/",)


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        (TAGS, "no tag is in the range 'semver:>=3': the highest version of 9 tags is v2.1.0-rc.1"),
        (
            ("latest", "v1"),
            "no tag is in the range 'semver:>=3': of 2 tags none is a version like v1.2.3",
        ),
        ((), "no tag is in the range 'semver:>=3': of 0 tags none is a version like v1.2.3"),
    ],
    ids=["lower", "no versions", "no tags"],
)
def test_when_no_tag_is_in_the_range_it_is_said_what_there_is(
    tags: tuple[str, ...], reason: str
) -> None:
    assert resolve("semver:>=3", listing(*tags)) is None
    assert why_none("semver:>=3", listing(*tags)) == reason
