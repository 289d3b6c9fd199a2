"""A remote's refs, as it lists them. A value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FOLDER: Final = "folder"
"""What stands for the ref's name where files are read as they lie in a folder."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A remote's refs: name -> id, an annotated tag's commit under ``name^{}``.

    ``head`` is the ref HEAD points to, "" when the server does not say.
    """

    refs: dict[str, str]
    head: str = ""
