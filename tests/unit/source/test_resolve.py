"""What a track's reference means among a remote's refs."""

from __future__ import annotations

import pytest

from agent.source.listing import Listing
from agent.source.resolve import Target, candidates, resolve, wanted_commit

_MAIN, _OLD, _TAG, _OTHER = "a" * 40, "b" * 40, "c" * 40, "d" * 40
_PINNED = "f" * 40

_LISTING = Listing(
    refs={
        "HEAD": _MAIN,
        "refs/heads/main": _MAIN,
        "refs/heads/v1": _OTHER,
        "refs/heads/team/shop": _OTHER,
        "refs/tags/v1": _TAG,
        "refs/tags/v1^{}": _OLD,
        "refs/tags/light": _OLD,
        "refs/pull/7/head": _OTHER,
        f"refs/heads/{_PINNED}": _OTHER,
        f"refs/tags/{_PINNED}": _OTHER,
    },
    head="refs/heads/main",
)


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        pytest.param("main", Target(_MAIN, "refs/heads/main", "refs/heads/main"), id="branch"),
        pytest.param(
            "v1", Target(_OLD, "refs/tags/v1", "refs/tags/v1", _TAG), id="tag-beats-branch"
        ),
        pytest.param("light", Target(_OLD, "refs/tags/light", "refs/tags/light"), id="light-tag"),
        pytest.param(
            "team/shop", Target(_OTHER, "refs/heads/team/shop", "refs/heads/team/shop"), id="slash"
        ),
        pytest.param(
            "refs/pull/7/head", Target(_OTHER, "refs/pull/7/head", "refs/pull/7/head"), id="exact"
        ),
        pytest.param("heads/v1", Target(_OTHER, "refs/heads/v1", "refs/heads/v1"), id="heads"),
        pytest.param(
            "origin/main", Target(_MAIN, "refs/heads/main", "refs/heads/main"), id="faros"
        ),
        pytest.param(
            "refs/remotes/origin/main",
            Target(_MAIN, "refs/heads/main", "refs/heads/main"),
            id="faros-full",
        ),
        pytest.param("", Target(_MAIN, "HEAD", "refs/heads/main"), id="none-given"),
        pytest.param("HEAD", Target(_MAIN, "HEAD", "refs/heads/main"), id="head"),
        pytest.param(_OLD, Target(_OLD, "refs/tags/v1", _OLD), id="sha-with-a-ref"),
        pytest.param(_OLD.upper(), Target(_OLD, "refs/tags/v1", _OLD), id="sha-in-capitals"),
        pytest.param("e" * 40, Target("e" * 40, "e" * 40, "e" * 40), id="sha-without-a-ref"),
        pytest.param(_PINNED, Target(_PINNED, _PINNED, _PINNED), id="sha-that-is-a-refs-name"),
        pytest.param(
            f"refs/heads/{_PINNED}",
            Target(_OTHER, f"refs/heads/{_PINNED}", f"refs/heads/{_PINNED}"),
            id="branch-named-like-a-sha",
        ),
        pytest.param("gone", None, id="unknown"),
        pytest.param("aaaaaaa", None, id="short-sha"),
        pytest.param("main~1", None, id="revision-suffix"),
    ],
)
def test_a_reference_resolves_to(reference: str, expected: Target | None) -> None:
    assert resolve(reference, _LISTING) == expected


def test_an_empty_repository_has_no_head() -> None:
    assert resolve("", Listing({})) is None


def test_every_ref_that_resolves_is_asked_for() -> None:
    for reference in ("main", "v1", "origin/main", "refs/pull/7/head", ""):
        target = resolve(reference, _LISTING)
        assert target is not None
        assert target.source in candidates(reference)


@pytest.mark.parametrize(
    ("length", "is_one"), [(39, False), (40, True), (41, False), (63, False), (64, True)]
)
def test_only_a_full_id_is_a_commit(length: int, *, is_one: bool) -> None:
    assert wanted_commit("A" * length) == ("a" * length if is_one else "")
