"""How much one file may cost: every bound on input from git, with its reason.

A file over a bound is one error for that file. Nothing here is configurable: a bound that somebody
meets with honest manifests is a bug in this module.
"""

from __future__ import annotations

MAX_FILE_SIZE = 10 * 1024 * 1024
"""Bytes in one file. etcd refuses objects over 1.5 MiB; the largest CRD bundles are about 5 MiB."""

MAX_DEPTH = 200
"""Levels of nesting. The deepest CRD schemas have about 60. Everything behind us that walks an
object recursively (merge, diff, deepcopy) stays far from Python's limit of 1000 frames."""

MAX_OBJECTS = 10_000
"""Objects in one file, items of Lists included. More is generated data, not something to review."""

MAX_ALIASED_CHARS = MAX_FILE_SIZE
"""Characters that aliases may add to one document. Go counts nodes only, so an alias to a long
string would pass its rule; with this a document weighs at most twice what a file may."""

MAX_WARNINGS = 20
"""Warnings kept for one file: enough to see what is wrong with it."""

MAX_IGNORE_FILE_SIZE = 256 * 1024
"""Bytes in one ``.sourceignore``. Each of its patterns is tried on each path."""
