"""Templates and what is put into them: YAML that a person reads and that Go reads as it is meant.

A template has ``${name}`` for one value and, on a line of its own, ``@name@`` for lines, which get
the indentation of that line; no lines leave none behind. Nothing that was put in is looked at
again: a configuration may hold what looks like a placeholder.
"""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Mapping
from typing import Any, Final

import yaml

from agent.manifest import scalars
from agent.plan.errors import PlanError

_PLACEHOLDER: Final = re.compile(
    r"^(?P<indent> *)@(?P<lines>\w+)@\n|\$\{(?P<value>\w+)\}", re.MULTILINE
)
_NOT_LITERAL: Final = re.compile(
    r"[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd]"
)
_NOT_ON_ONE_LINE: Final = re.compile(rf"\n|{_NOT_LITERAL.pattern}")
_LONG_LINE: Final = 2**31 - 1  # never folded


def filled(template: str, parts: Mapping[str, str]) -> str:
    """Return a template of this package, by its file's name, with everything put in.

    Raises KeyError for a placeholder that stands for nothing.
    """

    def put_in(match: re.Match[str]) -> str:
        if match["value"]:
            return parts[match["value"]]
        return indented(parts[match["lines"]], len(match["indent"]))

    return _PLACEHOLDER.sub(put_in, _template(template))


def indented(lines: str, width: int) -> str:
    """Return lines moved to the right, each ended by a newline; empty ones stay empty."""
    if not lines:
        return ""
    return "".join(f"{' ' * width}{line}\n" if line else "\n" for line in lines.split("\n"))


def comment(text: str) -> str:
    """Return lines as comments of YAML and of systemd."""
    return "\n".join(f"# {line}".rstrip() for line in text.splitlines())


def block(value: Any) -> str:
    """Return a value as YAML in block style, lists of scalars on one line."""
    return yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_LONG_LINE
    ).rstrip("\n")


def scalar(text: str) -> str:
    """Return a text as a YAML scalar on one line, quoted where Go would take it for another."""
    return block({"k": text}).removeprefix("k: ")


def literal(key: str, text: str) -> str:
    """Return ``key`` with a text as it is below it; quoted where YAML cannot hold it as it is."""
    if not text.strip() or _NOT_LITERAL.search(text):
        return block({key: text})
    keep = "-" if not text.endswith("\n") else "+" if text.endswith("\n\n") else ""
    # Without the number, spaces that the first line begins with would be its indentation.
    width = "2" if text[0] in " \t\n" else ""
    lines = indented(text.removesuffix("\n"), 2).removesuffix("\n")
    return f"{scalar(key)}: |{width}{keep}\n{lines}"


def _template(name: str) -> str:
    data = pkgutil.get_data(__package__, f"templates/{name}")
    if data is None:
        raise PlanError(f"the agent was built without templates/{name}: reinstall it")
    return data.decode()


class Octal(int):
    """A file's mode, shown as people write it: 0440."""


class _Dumper(yaml.SafeDumper):
    """Block style with lists indented, as people write manifests."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, None if _is_text(text) else '"')


def _is_text(text: str) -> bool:
    """Tell whether Go reads a plain scalar as the text it is, for all that PyYAML can know."""
    return isinstance(scalars.resolve(text), str) and not _NOT_ON_ONE_LINE.search(text)


def _list(dumper: yaml.SafeDumper, items: list[Any]) -> yaml.SequenceNode:
    nested = any(isinstance(item, dict | list) for item in items)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=not nested)


def _octal(dumper: yaml.SafeDumper, mode: Octal) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:int", f"0{mode:o}")


_Dumper.add_representer(str, _text)
_Dumper.add_representer(Octal, _octal)
_Dumper.add_representer(list, _list)
