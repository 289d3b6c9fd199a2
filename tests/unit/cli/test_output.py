"""What is printed cannot steer a terminal, whoever wrote it."""

from __future__ import annotations

import json

import pytest

from agent.cli import output


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("evil \x1b]0;title\x07", "evil \\u001b]0;title\\u0007"),
        ("\x1b[2J\x1b[1;1Hgone", "\\u001b[2J\\u001b[1;1Hgone"),
        ("back\rspace\x08", "back\\u000dspace\\u0008"),
        ("eight bits \x9b2J", "eight bits \\u009b2J"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("Ünïcödé 🚢", "Ünïcödé 🚢"),
        ("\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m"),
    ],
    ids=["title", "clear screen", "overwrite", "8 bit", "lines", "letters", "colours"],
)
def test_control_characters_are_spelt_out(
    text: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output.write(text)
    output.complain(text)
    captured = capsys.readouterr()
    assert captured.out == captured.err == f"{shown}\n"


def test_json_stays_json(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"author": "\x9b2J \x1b[31m \x00 ü"}
    output.write_json(value)
    text = capsys.readouterr().out
    assert "\x9b" not in text
    assert json.loads(text) == value
