"""Which folders and files below a plain path count, without reading any file.

Never follows a symlink nor enters ``.git``; one exception is the layout in which kubelet writes
volumes, where ``..data`` is a link to the folder with the files.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from agent.manifest.ignore import IGNORE_FILE
from agent.manifest.paths import is_manifest_path

KUBELET_LINK: Final = "..data"
"""The link to the current version of a volume's files (kubelet's AtomicWriter)."""


def accepts(path: str, sub_path: str) -> bool:
    """Whether a file counts: a manifest of the track, or one that says what to ignore."""
    return is_manifest_path(path, sub_path) or path.rpartition("/")[2] == IGNORE_FILE


def folders(root: str, sub_path: str) -> Iterator[tuple[str, str]]:
    """Yield each folder that may hold files that count: path from the root, and its place.

    Hidden ones only if sub-path leads there. Raises OSError when one cannot be read.
    """
    pending = [("", root)]
    while pending:
        path, place = pending.pop()
        place = _behind_link(place)
        yield path, place
        with os.scandir(place) as entries:
            for entry in entries:
                below = f"{path}/{entry.name}" if path else entry.name
                if entry.is_dir(follow_symlinks=False) and _may_enter(below, sub_path):
                    pending.append((below, entry.path))


def _behind_link(place: str) -> str:
    """Return where a folder's files are: behind ``..data`` where kubelet wrote them."""
    try:
        target = os.readlink(os.path.join(place, KUBELET_LINK))
    except OSError:
        return place
    behind = os.path.join(place, target)
    is_kubelets = target.startswith("..") and "/" not in target and target != ".."
    is_real = os.path.isdir(behind) and not os.path.islink(behind)
    return behind if is_kubelets and is_real else place


def _may_enter(path: str, sub_path: str) -> bool:
    if path == sub_path or sub_path.startswith(f"{path}/"):
        return path.rpartition("/")[2] != ".git"
    return is_manifest_path(f"{path}/x.yaml", sub_path)
