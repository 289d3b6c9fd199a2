"""What the pages point at is there: files, anchors, commands and flags."""

from __future__ import annotations

import argparse
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from agent.cli import options
from agent.cli.main import COMMANDS
from tests.unit.docs.pages import PAGES, ROOT, anchors, commands, links, place

KNOWN = {command.name: command.module for command in COMMANDS}


@pytest.mark.parametrize("page", PAGES, ids=place)
def test_every_relative_link_leads_to_a_file_and_a_heading_that_exist(page: Path) -> None:
    broken = []
    for link in links(page):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        inside = target.is_relative_to(ROOT) and target.exists()
        if not inside or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=place)
def test_every_command_that_is_shown_exists_with_its_flags(page: Path) -> None:
    unknown = []
    for line in commands(page):
        words = [word.strip("[]") for word in shlex.split(line)[1:]]
        name = next((word for word in words if word in KNOWN), "")
        given = {word.partition("=")[0] for word in words if word.startswith("-")}
        if not name or not given <= _flags(name):
            unknown.append(line)
    assert not unknown


def test_the_pages_show_every_command() -> None:
    shown = {word for page in PAGES for line in commands(page) for word in line.split()}
    assert KNOWN.keys() <= shown


def _flags(name: str) -> set[str]:
    """The flags of a command, those that all have included."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    options.add_global_options(parser)
    import_module(KNOWN[name]).register(parser)
    return {flag for action in parser._actions for flag in action.option_strings}
