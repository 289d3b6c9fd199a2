"""What lies at a plain absolute path: a git bundle, a repository, or a folder of files.

Runs in the git worker. Decided anew at each look, so that a path whose file system is not mounted
is an error, and not an empty folder. ``file://`` URLs do not come here: they are repositories.
"""

from __future__ import annotations

import os
import stat
from enum import Enum, auto
from pathlib import Path

from agent.source.listing import Listing
from agent.source.protocol import FetchRef, ListRefs, Plain, Rejected
from agent.source.worker import bundle, folder


class Kind(Enum):
    """How a path is read."""

    FOLDER = auto()
    BUNDLE = auto()
    REPOSITORY = auto()


def kind_of(path: str, plain: Plain) -> Kind:
    """Say what lies at a path; raise Rejected when that is nothing of use.

    A bare repository is one; so is a work tree if the track has a reference, else it is a folder.
    """
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISREG(mode):
            return _kind_of_file(path)
    except OSError as error:
        raise Rejected("local", f"cannot be looked at: {error.strerror}") from None
    if not stat.S_ISDIR(mode):
        raise Rejected("local", "is neither a folder nor a file")
    if _is_bare(Path(path)):
        return Kind.REPOSITORY
    if not plain.has_reference:
        return Kind.FOLDER
    if not os.path.exists(os.path.join(path, ".git")):
        raise Rejected("local", "has no git repository in it, but the track has a reference")
    return Kind.REPOSITORY


def listing(request: ListRefs, plain: Plain) -> Listing | None:
    """Return what lies at the path as refs; None for a repository. Raises Rejected and OSError."""
    kind = kind_of(request.url, plain)
    if kind is Kind.FOLDER:
        return folder.listing(request.url, plain.sub_path)
    if kind is Kind.BUNDLE:
        with open(request.url, "rb") as file:
            return bundle.listing(bundle.read_header(file))
    return None


def fetch(request: FetchRef, plain: Plain) -> bool:
    """Bring what lies at the path into the mirror; False for a repository.

    Raises Rejected, and what pygit2 and the machine do.
    """
    kind = kind_of(request.url, plain)
    if kind is Kind.FOLDER:
        ref = request.refspec.rpartition(":")[2]
        folder.commit(request.url, plain.sub_path, mirror=Path(request.mirror), ref=ref)
    elif kind is Kind.BUNDLE:
        with open(request.url, "rb") as file:
            bundle.fetch(
                file,
                mirror=Path(request.mirror),
                refspec=request.refspec,
                listed=plain.listed,
                timeout=request.timeout,
            )
    return kind is not Kind.REPOSITORY


def _kind_of_file(path: str) -> Kind:
    with open(path, "rb") as file:
        if bundle.is_bundle(file):
            return Kind.BUNDLE
    raise Rejected("local", "is a file, and no git bundle")


def _is_bare(path: Path) -> bool:
    return (path / "HEAD").is_file() and (path / "objects").is_dir() and (path / "refs").is_dir()
