"""Regular expressions of gitignore patterns, made such that no path takes long to match.

Pure. A pattern comes from git, whoever wrote it, and ``*a*a*a*a*a*a*b`` as it is usually translated
takes minutes for one path: each ``*`` is tried at each length. But between two ``*`` of a name, and
between two ``**`` of a path, the first place that fits is as good as any, and need not be left
again: that is what an atomic group says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

_TOKEN: Final = re.compile(
    r"(?P<folders>\(\?:\.\+/\)\?|\(\?:/\.\+\)\?)"  # **/ in front, /** in the middle
    r"|(?P<end>\(\?:\(\?P<ps_d>/\)\|\$\)$|\(\?P<ps_d>/\)$)"
    r"|(?P<star>\[\^/\]\*)"
    r"|(?P<whole>\[\^/\]\+)"
    r"|(?P<slash>/)"
    r"|(?P<one>\[\^/\])"
    r"|(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])"
    r"|(?P<char>\\.|[^\\\[\](){}.*+?^$|/])",
    re.DOTALL,
)
_MOST_UNREAD: Final = 1  # wildcard: each one more costs another length of the path

_Token = tuple[str, str]


def linear(pattern: str) -> str:
    """Return an expression that matches the same paths; ``pattern`` is pathspec's.

    Raises ValueError for one that is not understood and has more than one wildcard; pathspec writes
    none such now.
    """
    tokens = list(_tokens(pattern.removeprefix("^")))
    if not tokens:
        if pattern.count("*") + pattern.count("+") > _MOST_UNREAD:
            raise ValueError("too many wildcards beside what is not understood")
        return pattern
    starts = [i for i, (kind, _) in enumerate(tokens) if kind == "folders"]
    parts = ["^", _names(tokens[: starts[0] if starts else None])]
    for start, end in pairwise([*starts, len(tokens)]):
        between = r"(?:[^/]+/)*?" if start == 0 else r"(?:/[^/]+)*?"
        names = _names(tokens[start + 1 : end])
        parts.append(f"{between}{names}" if end == len(tokens) else f"(?>{between}{names}(?=/))")
    return "".join(parts)


def _tokens(text: str) -> Iterator[_Token]:
    """Yield what the text consists of; nothing when some of it is not understood."""
    found = list(_TOKEN.finditer(text))
    if "".join(match[0] for match in found) != text:
        return
    for match in found:
        kind = match.lastgroup or ""
        kind = "end" if kind == "ps_d" else kind
        # A set never matches a slash (gitignore(5)), which its negation would.
        yield kind, f"(?!/){match[0]}" if kind == "set" else match[0]


def _names(tokens: Sequence[_Token]) -> str:
    """Return the expression for names and slashes, without ``**``."""
    text, fixed, in_star = "", "", False
    for kind, part in [*tokens, ("end", "")]:
        if kind not in {"star", "slash", "end"}:
            fixed += part
            continue
        again = kind == "star"
        if not in_star:
            text += fixed
        elif not again:
            text += f"[^/]*{fixed}"
        elif fixed:
            text += f"(?>[^/]*?{fixed})"
        fixed, in_star = "", again
        text += "" if again else part
    return text
