"""Which tag of a remote a range of versions means. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from agent.config.ranges import range_of, version_of
from agent.source.listing import Listing

if TYPE_CHECKING:
    from semver import Version

_TAGS = "refs/tags/"


def newest_tag(reference: str, listing: Listing) -> str:
    """Return the full name of the highest tag in the range ``reference``, "" when none is in it.

    Of tags that differ in build metadata alone, or in a leading ``v``, it is the one whose name
    sorts last: their commits' dates, which Flux goes by, are not in a listing.
    """
    wanted = range_of(reference)
    found = [pair for pair in _versions(listing) if wanted is not None and wanted.allows(pair[0])]
    return max(found)[1] if found else ""


def why_none(reference: str, listing: Listing) -> str:
    """Say what there is instead, when no tag is in the range."""
    tags = sum(1 for _ in _tags(listing))
    versions = list(_versions(listing))
    if not versions:
        return f"no tag is in the range {reference!r}: of {tags} tags none is a version like v1.2.3"
    highest = max(versions)[1].removeprefix(_TAGS)
    return f"no tag is in the range {reference!r}: the highest version of {tags} tags is {highest}"


def _versions(listing: Listing) -> Iterator[tuple[Version, str]]:
    for name in _tags(listing):
        version = version_of(name.removeprefix(_TAGS))
        if version is not None:
            yield version, name


def _tags(listing: Listing) -> Iterator[str]:
    return (name for name in listing.refs if name.startswith(_TAGS) and not name.endswith("^{}"))
