"""Snapshot: what a source says at one moment, and how far it may be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from agent.source.errors import SourceError


class Trust(StrEnum):
    """How far a snapshot may be trusted (DESIGN section 5)."""

    NEW = "new"
    """The source was asked, and this revision was not seen before."""

    UNCHANGED = "unchanged"
    """The source was asked, and still has the last good revision."""

    STALE = "stale"
    """The source could not be asked: the last good revision, from disk."""

    EMPTY = "empty"
    """The source was asked, and its revision has no manifest file under the sub-path."""

    UNREADABLE = "unreadable"
    """The source could not be asked, and there is no last good revision."""


@dataclass(frozen=True, slots=True)
class Revision:
    """One commit and how it was found.

    ``reference`` is the ref's full name (``refs/heads/main``), or the commit id where the track
    names a commit. ``committed_at`` is the committer's time, Unix seconds. ``author`` is
    ``Name <mail>``. ``tag`` is the id of the annotated tag that the reference is, "" for none.
    """

    commit: str
    reference: str
    committed_at: int
    author: str
    subject: str
    tag: str = ""

    def __str__(self) -> str:
        """Return ``main@392c4fedcf9c``, short enough for a table and a log line."""
        short = self.reference.removeprefix("refs/heads/").removeprefix("refs/tags/")
        commit = self.commit[:12]
        return commit if self.reference == self.commit else f"{short}@{commit}"


@dataclass(frozen=True, slots=True)
class TreeFile:
    """A file of a revision: path from the repository's root, id of its blob, size in bytes."""

    path: str
    blob_id: str
    size: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The files of a track at one moment.

    ``tree_id`` is the id of the sub-path's tree, and of the ignore rules from outside of it where
    there are any: the same id means the same files, whatever else the commit changed. ``error``
    says why the trust is less than it could be. ``checked_at`` is when the source last said what
    it has (NEW, UNCHANGED or EMPTY), Unix seconds; it outlives the process with the last good
    revision, and is None when there was no answer yet. ``notes`` are for people: what looks like a
    part of the track and is not, submodules and symlinks. ``verified`` says who signed the
    revision, "" where nobody asks.
    """

    trust: Trust
    revision: Revision | None = None
    tree_id: str | None = None
    files: tuple[TreeFile, ...] = ()
    error: SourceError | None = None
    checked_at: float | None = None
    notes: tuple[str, ...] = ()
    verified: str = ""

    @property
    def may_prune(self) -> bool:
        """Whether an object absent from these files is absent from git."""
        return self.trust in {Trust.NEW, Trust.UNCHANGED}
