"""Which files of a repository are manifests of a track.

Paths are git's: relative to the root, ``/`` between the parts. Files and folders whose name
begins with a dot (``.github/``, ``.travis.yml``) are no manifests, unless sub-path itself leads
into them: Faros loaded them, and each one that was no object turned pruning off
(faros.md sections 4.5 and 17.9). That is all that is left out unasked: Flux's list of other names
is not taken over, since none of them is a manifest's. What else counts is up to ``ignore``.
"""

from __future__ import annotations

from agent.manifest.errors import SubPathError

EXTENSIONS = (".yaml", ".yml", ".json")
"""Case-sensitive, as in Faros."""


def clean_sub_path(sub_path: str) -> str:
    """Return a sub-path as git would write it; "" for the whole repository.

    Forgives ``./``, doubled, leading and trailing slashes. SubPathError if it has a ``..``.
    """
    parts = [part for part in sub_path.strip().split("/") if part not in ("", ".")]
    if ".." in parts:
        reason = "'..' is not allowed: it would leave the repository's folder"
        raise SubPathError(f"sub-path {sub_path!r}: {reason}")
    return "/".join(parts)


def is_hidden(name: str) -> bool:
    """Say whether a file or folder of this name is hidden."""
    return name.startswith(".")


def is_manifest_path(path: str, sub_path: str) -> bool:
    """Say whether a file is one of the track's manifests.

    It is at or below ``sub_path`` (whole folders: ``foo`` does not match ``foobar/``), at any
    depth, has one of EXTENSIONS, and is not hidden below ``sub_path``. A sub-path may be one
    file. SubPathError as ``clean_sub_path``.
    """
    if not path.endswith(EXTENSIONS):
        return False
    folder = clean_sub_path(sub_path)
    if path == folder:
        return True
    if folder and not path.startswith(folder + "/"):
        return False
    below = path[len(folder) + 1 :] if folder else path
    return not any(map(is_hidden, below.split("/")))
