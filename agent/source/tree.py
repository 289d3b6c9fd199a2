"""Files of a commit's tree: blobs below a sub-path, symlinks and submodules never entered."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from agent.source.libgit import pygit2
from agent.source.snapshot import TreeFile

AcceptPath = Callable[[str], bool]
"""Whether a file's path, from the repository's root, is worth reading."""


def find(root: pygit2.Tree, sub_path: str) -> pygit2.Tree | pygit2.Blob | None:
    """Return the folder or file at a clean sub-path; None when this commit has neither there."""
    found: pygit2.Tree | pygit2.Blob = root
    for part in sub_path.split("/") if sub_path else ():
        if not isinstance(found, pygit2.Tree) or part not in found:
            return None
        entry = found[part]
        if not isinstance(entry, pygit2.Tree | pygit2.Blob) or _is_link(entry):
            return None
        found = entry
    return found


def walk(found: pygit2.Tree | pygit2.Blob, *, at: str, accept: AcceptPath) -> Iterator[TreeFile]:
    """Yield the accepted files of what lies at path ``at``.

    Each blob is read, so a damaged one raises here and not later.
    """
    pending: list[tuple[str, pygit2.Object]] = [(at, found)]
    while pending:
        path, entry = pending.pop()
        if isinstance(entry, pygit2.Tree):
            inside = [(f"{path}/{_name(e)}" if path else _name(e), e) for e in entry]
            pending += reversed(inside)
        elif isinstance(entry, pygit2.Blob) and not _is_link(entry) and accept(path):
            yield TreeFile(path, str(entry.id), entry.size)


def _is_link(entry: pygit2.Object) -> bool:
    return entry.filemode == pygit2.enums.FileMode.LINK


def _name(entry: pygit2.Object) -> str:
    # The path is only shown and matched; files are read by id.
    return (entry.raw_name or b"").decode(errors="backslashreplace")
