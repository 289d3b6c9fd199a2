"""Ranges of versions: what follows ``semver:`` in a track's reference.

Pure. The syntax is that of Masterminds/semver, which Flux and Helm users know::

    >=1.2 <2         both (a comma does as well)         1.2 - 2.3   >=1.2 <=2.3, blanks needed
    1.x || >=4.2     either                              ~1.2.3      >=1.2.3 and below 1.3.0
    != 1.4.*         anything but                        ^1.2.3      >=1.2.3 and below 2.0.0

``x``, ``X`` and ``*`` stand for any number, and so does a part that is left out: ``1.2`` is
``1.2.*``. ``^`` keeps the first number that is not zero (``^0.2.3`` is below 0.3.0), ``~`` the
minor one, if there is one. A prerelease (``1.3.0-rc.1``) counts only where one of the terms that
have to hold together names one: ``>=1.2-0`` takes them. Build metadata counts nowhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from semver import Version

_PREFIX: Final = "semver:"  # no ref of git has a colon in its name
_VERSION: Final = (
    r"v?([0-9]+|[xX*])(?:\.([0-9]+|[xX*]))?(?:\.([0-9]+|[xX*]))?"
    r"(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?(?=[\s,]|$)"
)
_TERM: Final = re.compile(rf"(=>|>=|=<|<=|!=|~>|[=<>~^]?)\s*{_VERSION}")
_HYPHEN: Final = re.compile(rf"{_VERSION}\s+-\s+{_VERSION}")
_BETWEEN: Final = re.compile(r"\s*,\s*|\s+|$")
_TAG: Final = re.compile(r"v?([0-9]+)\.([0-9]+)\.([0-9]+)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
_SPELLINGS: Final = {"": "=", "=>": ">=", "=<": "<=", "~>": "~"}
_LONGEST_NUMBER: Final = 18  # digits; nobody means more, and Python refuses thousands

_Numbers = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class _Term:
    """An operator and what it is about.

    ``low`` is the least version covered. ``end`` are the first numbers beyond, None where there
    are none; an ``exact`` term covers ``low`` alone and has no use for it.
    """

    operator: str
    low: Version
    end: _Numbers | None
    exact: bool

    def allows(self, version: Version) -> bool:
        match self.operator:
            case ">=":
                return bool(version >= self.low)
            case "<":
                return bool(version < self.low)
            case ">":
                return bool(version > self.low) if self.exact else not self._before_end(version)
            case "<=":
                return bool(version <= self.low) if self.exact else self._before_end(version)
            case "!=":
                return not self._covers(version)
        return self._covers(version)

    def _covers(self, version: Version) -> bool:
        if self.exact:
            return version.compare(self.low) == 0
        return bool(version >= self.low) and self._before_end(version)

    def _before_end(self, version: Version) -> bool:
        # By the numbers and not by precedence: 2.0.0-rc.1 is no 1.x.
        return self.end is None or (version.major, version.minor, version.patch) < self.end


@dataclass(frozen=True, slots=True)
class Range:
    """A set of versions: those that all terms of one of the ``groups`` allow."""

    groups: tuple[tuple[_Term, ...], ...]

    @classmethod
    def parse(cls, text: str, *, start: int = 0) -> Range:
        """Read a range from character ``start`` on.

        Raises ValueError with what is wrong, and at which character of ``text``, from 1.
        """
        groups = []
        for alternative in text[start:].split("||"):
            groups.append(_group(text, start, start + len(alternative)))
            start += len(alternative) + len("||")
        return cls(tuple(groups))

    def allows(self, version: Version) -> bool:
        """Say whether a version is in the range."""
        return any(
            all(term.allows(version) for term in group)
            for group in self.groups
            if not version.prerelease or any(term.low.prerelease for term in group)
        )


def range_of(reference: str) -> Range | None:
    """Return the range a track's reference is, None when it is none; ValueError as ``parse``."""
    if not reference.startswith(_PREFIX):
        return None
    return Range.parse(reference, start=len(_PREFIX))


def version_of(tag: str) -> Version | None:
    """Return the version that a tag's name is, None when it is none.

    A version is three numbers, perhaps with a ``v`` before them and a prerelease or build metadata
    after. Zeros before a number say nothing, since tags may be dates: ``2026.01.31``.
    """
    from semver import Version  # late: few tracks have a range, and it compiles for 60 ms

    match = _TAG.fullmatch(tag)
    if match is None:
        return None
    try:
        numbers = ".".join(str(_number(digits)) for digits in match.groups()[:3])
        return Version.parse(f"{numbers}{match[4] or ''}{match[5] or ''}")
    except ValueError:
        return None


def _group(text: str, start: int, end: int) -> tuple[_Term, ...]:
    """Read the terms between two places of ``text`` that have to hold together."""
    part = text[:end].rstrip()
    at = start + len(part[start:]) - len(part[start:].lstrip())
    terms: list[_Term] = []
    comma = False
    while at < len(part) or comma or not terms:
        try:
            at = _read_term(part, at, terms)
        except ValueError as error:
            raise ValueError(f"{error} at character {at + 1}") from None
        between = _BETWEEN.match(part, at)
        comma = between is not None and "," in between[0]
        at = between.end() if between else at
    return tuple(terms)


def _read_term(text: str, at: int, terms: list[_Term]) -> int:
    """Add the term, or the two of a hyphen range, that begins at ``at``; return where it ends."""
    if match := _HYPHEN.match(text, at):
        terms.append(_term(">=", *match.groups()[:4]))
        terms.append(_term("<=", *match.groups()[4:]))
        return match.end()
    if match := _TERM.match(text, at):
        terms.append(_term(*match.groups()))
        return match.end()
    rest = text[at:]
    raise ValueError(f'"{rest.split()[0]}" is no version' if rest else "a version is missing")


def _term(operator: str, *parts: str | None) -> _Term:
    from semver import Version

    operator = _SPELLINGS.get(operator, operator)
    given: list[int] = []
    for part in parts[:3]:
        if part is None or part in "xX*":
            break
        given.append(_number(part))
    major, minor, patch = (*given, 0, 0, 0)[:3]
    low = Version.parse(f"{major}.{minor}.{patch}" + (f"-{parts[3]}" if parts[3] else ""))
    if operator == "~":
        return _Term(operator, low, _after(given[:2]), exact=False)
    if operator == "^":
        leading = next((index for index, number in enumerate(given) if number), len(given) - 1)
        return _Term(operator, low, _after(given[: leading + 1]), exact=False)
    return _Term(operator, low, _after(given), exact=len(given) == 3)


def _after(given: list[int]) -> _Numbers | None:
    """Return the first numbers that do not begin with the given ones, None when there are none."""
    if not given:
        return None
    major, minor, patch = (*given[:-1], given[-1] + 1, 0, 0)[:3]
    return major, minor, patch


def _number(digits: str) -> int:
    if len(digits) > _LONGEST_NUMBER:
        raise ValueError("a number is too long")
    return int(digits)
