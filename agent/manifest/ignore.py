"""Which paths of a repository are to be left out: a track's ``ignore`` and ``.sourceignore`` files.

Pure. The syntax is gitignore's and so is the meaning (gitignore(5)): a pattern is relative to the
folder of its file, the last one that matches decides, deeper files win, ``!`` takes back in, but
nothing below a folder that is left out. The track's own patterns are relative to the repository's
root and win over all files. As in Flux, apart from this: nothing is left out by default (hidden
files are ``paths``' matter), and Flux does let ``!`` take back in below a folder that is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from agent.manifest.errors import IgnoreFileError
from agent.manifest.limits import MAX_IGNORE_FILE_SIZE
from agent.manifest.linear import linear

IGNORE_FILE = ".sourceignore"
"""Flux's name."""

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class _Rule:
    """One pattern; ``path`` matches whole paths, those of folders with a slash at the end."""

    path: re.Pattern[str]
    leaves_out: bool


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """The rules that hold in one folder.

    ``scopes`` are pairs of a folder (``""`` or with a slash at the end) and the rules written
    there: the track's own first, then the deepest folder's. Each scope's last rule comes first.
    """

    scopes: tuple[tuple[str, tuple[_Rule, ...]], ...] = ()

    @classmethod
    def configured(cls, patterns: Iterable[str]) -> IgnoreRules:
        """Return the rules of a track's own patterns; ValueError when one is none."""
        return cls((("", _rules(patterns)),))

    def within(self, folder: str, data: bytes) -> IgnoreRules:
        """Return the rules in ``folder`` ("" or with a slash at the end) whose file holds ``data``.

        To be called from the root downwards. Raises IgnoreFileError.
        """
        own, *above = self.scopes or (("", ()),)
        return replace(self, scopes=(own, (folder, _parse(data, f"{folder}{IGNORE_FILE}")), *above))

    def leave_out(self, path: str) -> bool:
        """Say whether a file, or a folder with a slash at the end, is left out.

        Of a folder that is left out nothing may be asked: all that is below is left out too.
        """
        for folder, rules in self.scopes:
            below = path[len(folder) :]
            for rule in rules:
                if rule.path.fullmatch(below):
                    return rule.leaves_out
        return False


def _parse(data: bytes, file: str) -> tuple[_Rule, ...]:
    if len(data) > MAX_IGNORE_FILE_SIZE:
        reason = f"{len(data)} bytes, more than {MAX_IGNORE_FILE_SIZE}: shorten it"
        raise IgnoreFileError(file, 1, reason)
    try:
        text = data.removeprefix(_BOM).decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise IgnoreFileError(file, line, "not UTF-8: save it as UTF-8") from None
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    try:
        return _rules(lines)
    except ValueError:
        number, reason = next(filter(None, map(_why_wrong, enumerate(lines, start=1))))
        raise IgnoreFileError(file, number, reason) from None


def _why_wrong(numbered: tuple[int, str]) -> tuple[int, str] | None:
    number, line = numbered
    try:
        _rules([line])
    except ValueError as error:
        return number, str(error)
    return None


def _rules(patterns: Iterable[str]) -> tuple[_Rule, ...]:
    """Return the rules, the last first, without blank lines and comments."""
    from pathspec import GitIgnoreSpec  # late: few repositories have patterns

    try:
        compiled = GitIgnoreSpec.from_lines(
            map(_for_one_level, patterns), backend="simple"
        ).patterns
    except ValueError as error:
        raise ValueError(f"not a gitignore pattern: {error}") from error
    return tuple(
        _Rule(re.compile(linear(pattern.regex.pattern)), pattern.include)
        for pattern in reversed(list(compiled))
        if pattern.regex is not None and pattern.include is not None
    )


def _for_one_level(pattern: str) -> str:
    """Write a pattern so that what the library makes of it can be matched with one whole path.

    The library asks of a file whether anything around it matches as well, and shortens patterns
    such as ``*`` and ``folder/**`` to that end. ``?*``, which means the same, it leaves alone.
    """
    negation = "!" if pattern.startswith("!") else ""
    body = pattern.rstrip().removeprefix("!")
    slash = "/" if body.endswith("/") else ""
    *folders, last = body.removesuffix("/").split("/")
    if last == "*":
        folders.append("?*")
    elif last == "**":
        folders += ["**", "?*"] if folders else ["?*"]
    else:
        return pattern
    return f"{negation}{'/'.join(folders)}{slash}"
