"""Look into a binary and tell what its own list of components does not account for.

The list is made before the binary is (packaging/binary/notices.py), from what is required; this is
made after it, from what PyInstaller really put in. Must not run anything of it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.utils import canonicalize_name
from PyInstaller.archive.readers import CArchiveReader

# Libraries by their names in the binary, and what they are called in the list.
LIBRARIES = {
    "libcrypto": "openssl",
    "libgcc_s": "libgcc",
    "libpcre": "pcre",
    "libpython": "python",
    "libssl": "openssl",
    "libz": "zlib",
}
OURS = {"agent", "lightkeeper", "__main__"}
# Modules of PyInstaller's loader, and generated ones of the standard library.
GENERATED = re.compile(
    r"(pyi_rth_\w+|pyiboot\d\w+|pyimod\d\w+|_pyi_\w+|_sysconfigdata\w*|python3|base_library|PYZ)$"
)


def unaccounted(binary: Path, names: set[str]) -> list[str]:
    """Return what is in the binary and belongs to none of these components, sorted."""
    owners = packages_distributions()
    unknown = set()
    for name in _contents(binary):
        stem = re.split(r"[-.]", name)[0]
        if stem in OURS or stem in sys.stdlib_module_names or GENERATED.match(stem):
            continue
        if stem.startswith("lib") and ".so" in name:
            stem = re.sub(r"[\d]+$", "", stem) if stem.startswith("libpython") else stem
            candidates = {LIBRARIES.get(stem, stem)}
        else:
            candidates = {canonicalize_name(owner) for owner in owners.get(stem, [stem])}
        if not candidates & names:
            unknown.add(name)
    return sorted(unknown)


def _contents(binary: Path) -> Iterator[str]:
    """Yield the first part of each path and of each module's name."""
    archive = CArchiveReader(str(binary))
    for path in archive.toc:
        yield path.partition("/")[0]
        if path.endswith(".pyz"):
            for module in archive.open_embedded_archive(path).toc:
                yield module.partition(".")[0]
