"""All files of a snapshot -> one set of Manifests with one Manifest an identity.

Duty: find identities written twice, and say whether everything was read, which is what pruning
needs. Must not: know scopes, so ``default/web`` and a ``web`` without namespace are two here;
the layer that defaults namespaces checks again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from agent.manifest.errors import ManifestError
from agent.manifest.keys import ObjectKey
from agent.manifest.load import LoadedFile
from agent.manifest.model import Manifest


@dataclass(frozen=True, slots=True)
class Collected:
    """What a folder of git holds: one Manifest an identity, in (file, place in file) order.

    ``errors`` are the files' own and one for each duplicate, in (file, line) order. ``complete``
    says that every file was wholly read, so that what is not here is not in git: without it
    nothing may be pruned. Duplicates leave it true, since their identity is here.
    """

    manifests: tuple[Manifest, ...]
    errors: tuple[ManifestError, ...]
    warnings: tuple[str, ...]
    complete: bool


def collect(files: Iterable[LoadedFile]) -> Collected:
    """Merge files in any order; of an identity written twice the first in (file, line) is kept."""
    loaded = list(files)
    broken = [file.error for file in loaded if file.error is not None]
    errors = list(broken)
    first: dict[ObjectKey, Manifest] = {}
    # The sort is stable: objects of one file stay in the file's order.
    everything = (manifest for file in loaded for manifest in file.manifests)
    for manifest in sorted(everything, key=lambda manifest: manifest.origin.file):
        kept = first.setdefault(manifest.key, manifest)
        if kept is not manifest:
            errors.append(duplicate(manifest, kept))
    return Collected(
        manifests=tuple(first.values()),
        errors=tuple(sorted(errors, key=lambda error: (error.file, error.line))),
        warnings=tuple(sorted(warning for file in loaded for warning in file.warnings)),
        complete=not broken,
    )


def duplicate(manifest: Manifest, kept: Manifest) -> ManifestError:
    """Return what is to be said of a manifest whose object is written elsewhere already."""
    reason = f"{manifest.key} is already written at {kept.origin}, which is used: remove one"
    return ManifestError(manifest.origin.file, manifest.origin.line, reason)
