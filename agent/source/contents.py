"""What a track wants of a revision, and what that has: the agent and its git worker exchange it."""

from __future__ import annotations

from dataclasses import dataclass

from agent.source.snapshot import Revision, TreeFile


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which files count: manifests at a clean sub-path that no gitignore pattern leaves out.

    ``ignore`` are the configuration's patterns and hold from the root on.
    """

    sub_path: str
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Selection:
    """What counts below a sub-path.

    ``tree_id`` is another one whenever the files or what selects them are others, None when there
    is nothing at the sub-path. ``notes`` say what was passed over, in order. ``nothing`` says why
    there are no files, "" when it is simply that there are none, or some.
    """

    tree_id: str | None
    files: tuple[TreeFile, ...] = ()
    notes: tuple[str, ...] = ()
    nothing: str = ""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a commit has at a sub-path."""

    revision: Revision
    selection: Selection
