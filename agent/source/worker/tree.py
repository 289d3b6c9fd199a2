"""Files of a commit's tree: those of a sub-path that count, and what is odd about the others.

Symlinks are not followed and submodules not entered: what is there is not in this repository's
objects, or not where it seems to be. Both are noted. (What in a tree is neither folder nor blob
is a submodule.) Ignore rules are read on the way from the root down, also above the sub-path; in a
hidden folder nothing counts, so it is not looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from agent.manifest.errors import IgnoreFileError
from agent.manifest.ignore import IGNORE_FILE, IgnoreRules
from agent.manifest.paths import is_hidden, is_manifest_path
from agent.source.contents import Selection, Wanted
from agent.source.errors import ContentsRefused
from agent.source.snapshot import TreeFile
from agent.source.worker.libgit import pygit2
from agent.source.worker.objects import size_of

AcceptPath = Callable[[str], bool]
"""Whether a file's path, from the repository's root, is worth reading."""

MOST_ENTRIES: Final = 200_000
"""Files and folders that are looked at for one track. A pack of kilobytes may unfold to millions:
folders that hold one and the same folder many times. A million took 45 s and 374 MB of memory."""

MOST_PATHS: Final = 32 << 20
"""Bytes of all their paths together: few folders of long names make gigabytes of paths."""

_SHOWN: Final = 200  # characters of a path in an error
_LESS: Final = "set sub-path to the folder of the manifests, or leave others out by ignore"
_LINK: Final = pygit2.enums.FileMode.LINK


def select(repository: pygit2.Repository, root: pygit2.Tree, wanted: Wanted) -> Selection:
    """Return what counts at the sub-path, a folder or one file.

    Each blob that counts and is no larger than a manifest may be is read, so a damaged one raises
    here and not later. Raises IgnoreFileError, and ContentsRefused for far too many files.
    """
    found: pygit2.Object = root
    path, rules = "", IgnoreRules.configured(wanted.ignore)
    identity = "\n".join(wanted.ignore)
    for part in wanted.sub_path.split("/") if wanted.sub_path else ():
        if not isinstance(found, pygit2.Tree) or part not in found:
            return Selection(None)
        if (file := _ignore_file(found, path)) is not None:
            rules = rules.within(path, file.data)
            identity += f"\0{path}\0{file.id}"
        found = found[part]
        path = _path_of(found, f"{path}{part}")
        if nothing := _why_not(found, path, rules):
            return Selection(None, nothing=nothing)
    accept = partial(is_manifest_path, sub_path=wanted.sub_path)
    walk = _Walk(accept, partial(size_of, repository))
    walk.through(found, path, rules)
    return Selection(
        tree_id=_tree_id(found, identity),
        files=tuple(walk.files),
        notes=tuple(walk.notes),
        nothing="all that is there is ignored" if walk.ignored and not walk.files else "",
    )


def everything(repository: pygit2.Repository, root: pygit2.Tree) -> Iterator[pygit2.Object]:
    """Yield all folders and files of a tree, each once; a damaged one raises."""
    pending = [root]
    seen = {root.id}
    while pending:
        for entry in pending.pop():
            if entry.id in seen:
                continue
            seen.add(entry.id)
            if isinstance(entry, pygit2.Tree):
                pending.append(entry)
            elif isinstance(entry, pygit2.Blob):
                size_of(repository, entry)  # only now it is read
            yield entry


class _Walk:
    """Collects what counts and what is odd, depth first and in git's order."""

    def __init__(self, accept: AcceptPath, size: Callable[[pygit2.Blob], int]) -> None:
        self._accept = accept
        self._size = size
        self.files: list[TreeFile] = []
        self.notes: list[str] = []
        self.ignored = False
        self._left = MOST_ENTRIES
        self._paths_left = MOST_PATHS

    def through(self, found: pygit2.Object, path: str, rules: IgnoreRules) -> None:
        """Look at ``found`` and all that is below it; raise ContentsRefused if that is too much."""
        pending = [(path, found, rules)]
        while pending:
            path, entry, rules = pending.pop()
            if isinstance(entry, pygit2.Tree):
                pending += reversed(list(self._inside(entry, path, rules)))
            elif not isinstance(entry, pygit2.Blob):
                self.notes.append(f"submodule {path.rstrip('/')} is not entered")
            elif self._accept(path):
                if entry.filemode == _LINK:
                    self.notes.append(f"symlink {path} is not followed")
                else:
                    self.files.append(TreeFile(path, str(entry.id), self._size(entry)))

    def _inside(
        self, folder: pygit2.Tree, path: str, rules: IgnoreRules
    ) -> Iterator[tuple[str, pygit2.Object, IgnoreRules]]:
        if (file := _ignore_file(folder, path)) is not None:
            rules = rules.within(path, file.data)
        self._left -= len(folder)
        if self._left < 0:
            raise ContentsRefused(
                f"{path[:_SHOWN] or '/'}: by here there are more than {MOST_ENTRIES:,} files and "
                f"folders; {_LESS}"
            )
        for entry in folder:
            name = _name(entry)
            if is_hidden(name):
                continue
            inside = _path_of(entry, f"{path}{name}")
            self._paths_left -= len(inside)
            if self._paths_left < 0:
                paths = f"by here all paths together are longer than {MOST_PATHS >> 20} MiB"
                raise ContentsRefused(f"{path[:_SHOWN] or '/'}: {paths}; {_LESS}")
            if not rules.leave_out(inside):
                yield inside, entry, rules
            elif inside.endswith("/") or self._accept(inside):
                self.ignored = True


def _why_not(found: pygit2.Object, path: str, rules: IgnoreRules) -> str:
    """Return why nothing at ``path``, on the way to or at the sub-path, can count."""
    shown = path.rstrip("/")
    if not isinstance(found, pygit2.Tree | pygit2.Blob):
        return f"{shown} is a submodule, and submodules are not entered"
    if found.filemode == _LINK:
        return f"{shown} is a symlink, and symlinks are not followed"
    return f"{shown} is ignored" if rules.leave_out(path) else ""


def _ignore_file(folder: pygit2.Tree, path: str) -> pygit2.Blob | None:
    if IGNORE_FILE not in folder:
        return None
    found = folder[IGNORE_FILE]
    if not isinstance(found, pygit2.Blob):
        return None
    if found.filemode == _LINK:
        reason = "a symlink, and symlinks are not followed: put the rules here"
        raise IgnoreFileError(f"{path}{IGNORE_FILE}", 1, reason)
    return found


def _tree_id(found: pygit2.Object, identity: str) -> str:
    if not identity:
        return str(found.id)
    return f"{found.id}+{hashlib.sha256(identity.encode()).hexdigest()[:16]}"


def _path_of(entry: pygit2.Object, path: str) -> str:
    """Return a path as ignore rules want it: what git takes for a folder ends in a slash."""
    return path if isinstance(entry, pygit2.Blob) else f"{path}/"


def _name(entry: pygit2.Object) -> str:
    # The path is only shown and matched; files are read by id.
    return (entry.raw_name or b"").decode(errors="backslashreplace")
