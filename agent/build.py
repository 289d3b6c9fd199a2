"""What a build says of itself: its commit, its time, and whose software is in it.

Two files beside this module, written by packaging/binary/notices.py and only there in a binary. A
checkout has neither and says so; nobody asks git at run time. The version is not among them: it is
``agent.__version__``, in a binary as in a checkout.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from agent.errors import AgentError

_BUILD = Path(__file__).with_name("build.json")
_LICENSES = Path(__file__).with_name("THIRD-PARTY-LICENSES.txt")


class NotBuiltError(AgentError):
    """What was asked for is known of a binary only."""


@dataclass(frozen=True, slots=True)
class Build:
    """How a binary came to be.

    ``commit`` is short, with ``-dirty`` behind it when there was more than that; ``date`` is the
    commit's (RFC 3339). A component has ``name``, ``license`` (an SPDX expression), ``purl``, and
    where they are known ``version``, ``within`` (what carries it) and ``by`` (its authors).
    """

    commit: str
    date: str
    components: tuple[dict[str, str], ...]


def read() -> Build | None:
    """Return how this binary came to be; None in a checkout or an installed package."""
    try:
        values = json.loads(_BUILD.read_bytes())
    except FileNotFoundError:
        return None
    return Build(values["commit"], values["date"], tuple(values["components"]))


def licenses() -> str:
    """Return the notice of third-party software with all licences' texts.

    Raises NotBuiltError where there is none.
    """
    try:
        return _LICENSES.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotBuiltError(
            "no list of licences: this runs from its source, and only a binary carries others' "
            "software; each installed package has its licence in its own .dist-info folder"
        ) from None
