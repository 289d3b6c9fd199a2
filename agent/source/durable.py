"""Writes that a power cut leaves old or new, never half.

Synchronous; knows files and folders, not what is in them. A file's content is only safe once the
file was synced, its name only once its folder was (fsync(2)); each function says what is safe when
it returns. All raise OSError.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

HALF_WRITTEN: Final = ".new-"
"""How the name of a file begins that ``write_atomically`` has not finished."""


def sync(path: Path) -> None:
    """Return once the file's content, or the folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Return once everything below ``folder`` is on the disk; not yet its own name."""
    for place, _, files in os.walk(folder, topdown=False):
        for name in files:
            sync(Path(place, name))
        sync(Path(place))


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, as far as they are missing; their names are then safe."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


def rename(old: Path, new: Path) -> None:
    """Rename within one folder, replacing ``new``; the new name is then safe."""
    os.rename(old, new)
    sync(new.parent)


def write_atomically(path: Path, content: bytes) -> None:
    """Make ``content`` the file's content; before it is safe, the old one still is."""
    make_folder(path.parent)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=HALF_WRITTEN, delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            rename(Path(file.name), path)
        finally:
            Path(file.name).unlink(missing_ok=True)  # renamed away if all went well
