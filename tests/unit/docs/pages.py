"""The pages that people read, and what is in them as GitHub shows it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "packaging").rglob("*.md")),
]

_FENCE = re.compile(r"^ *```.*?^ *```", re.M | re.S)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)")
_LOG_LINE = "lightkeeper runs"  # which is no command
_HEADING = re.compile(r"^#{1,6} +(.*?) *$", re.M)


def place(page: Path) -> str:
    """A page's path in the repository."""
    return str(page.relative_to(ROOT))


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return _FENCE.sub("", page.read_text())


def links(page: Path) -> Iterator[str]:
    """Where the links of a page lead."""
    yield from _LINK.findall(_CODE.sub("``", prose(page)))


def headings(page: Path) -> list[str]:
    """The headings of a page, as written."""
    return _HEADING.findall(prose(page))


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    found: set[str] = set()
    for heading in headings(page):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", shown).replace(" ", "-")
        number, name = 0, slug
        while name in found:
            number += 1
            name = f"{slug}-{number}"
        found.add(name)
    return found


def commands(page: Path) -> Iterator[str]:
    """The command lines of ``lightkeeper`` in a page: in blocks after ``$``, and in the text."""
    text = page.read_text().replace("\\\n", " ")
    for line in re.findall(r"^ *\$ (?:[A-Z_]+=\S+ )*(.*\blightkeeper .*)$", text, re.M):
        yield from re.findall(r"(?:^|\| *|&& *)(lightkeeper [^|#>&]*)", line)
    for line in re.findall(r"`(lightkeeper [^`|#>…]*)`", prose(page)):
        if line != _LOG_LINE:
            yield line
