"""Which ref of a remote a track's ``reference`` means. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from agent.source.listing import Listing

_FULL_SHA: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_PEELED: Final = "^{}"
_TAGS: Final = "refs/tags/"
_RANGE: Final = "semver:"


@dataclass(frozen=True, slots=True)
class Target:
    """What to fetch: ``source`` is the left side of a refspec (a ref's name or a commit id).

    ``name`` is what people are shown: the ref's full name, or the commit id if that was asked for.
    ``tag`` is the id of the annotated tag that the ref is, "" when it is none. ``listed`` is the id
    that the listing had where that is another one: of a folder, or of a tag in a bundle.
    """

    commit: str
    source: str
    name: str
    tag: str = ""
    listed: str = ""


def wanted_commit(reference: str) -> str:
    """Return the full commit id a reference is, lowercase, or "" when it is not one.

    40 digits are SHA-1, 64 are SHA-256.
    """
    lowered = reference.lower()
    return lowered if _FULL_SHA.fullmatch(lowered) else ""


def is_range(reference: str) -> bool:
    """Whether a reference is a range of versions (``config.ranges``)."""
    return reference.startswith(_RANGE)


def candidates(reference: str) -> tuple[str, ...]:
    """Return the refs a reference may mean, best first: tag, branch, exact name, ``refs/NAME``.

    ``origin/NAME`` is a branch's name in a clone, which is how Faros users may have written it
    (faros.md section 4.3). An empty reference and ``HEAD`` mean the remote's HEAD. A range of
    versions may mean any tag: its one candidate is the folder they are in.
    """
    if reference in {"", "HEAD"}:
        return ("HEAD",)
    if is_range(reference):
        return (_TAGS,)
    names = [f"{_TAGS}{reference}", f"refs/heads/{reference}"]
    names.append(reference if reference.startswith("refs/") else f"refs/{reference}")
    in_clone = reference.removeprefix("refs/remotes/")
    if in_clone.startswith("origin/"):
        names.append(f"refs/heads/{in_clone.removeprefix('origin/')}")
    return tuple(names)


def resolve(reference: str, listing: Listing) -> Target | None:
    """Return what a reference means on a remote, None when it has no such ref.

    A full commit id is always taken as it is, since only a fetch can tell whether the remote has
    it, and also where a branch or tag is called so, as git does: who may push one must not move
    what is pinned (``refs/heads/ID`` names such a branch). When some ref points to the commit that
    is fetched, which servers refuse less often. A range of versions means the highest tag in it.
    """
    if commit := wanted_commit(reference):
        return _pinned(commit, listing)
    if is_range(reference):
        # Imported here, so that the worker, which never resolves, does not pay for it.
        from agent.source.versions import newest_tag

        name = newest_tag(reference, listing)
        return _target(name, listing) if name else None
    for name in candidates(reference):
        if name in listing.refs:
            return _target(name, listing)
    return None


def _pinned(commit: str, listing: Listing) -> Target:
    for name, found in listing.refs.items():
        if found == commit:
            return Target(commit, name.removesuffix(_PEELED), commit)
    return Target(commit, commit, commit)


def _target(name: str, listing: Listing) -> Target:
    found = listing.refs[name]
    commit = listing.refs.get(name + _PEELED, found)
    shown = listing.head if name == "HEAD" and listing.head else name
    return Target(commit, name, shown, tag="" if found == commit else found)
