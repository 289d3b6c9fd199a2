"""Make docs/configuration.md: every key, out of the model, its docstrings and the schema.

    python packaging/docs/generate.py             write the page (make docs)
    python packaging/docs/generate.py --check     exit 1 when the page is stale

Reads ``agent/config`` and ``agent/cli/options.py`` and nothing else: what a key means is said in
the docstring of its field, what it takes in the docstring of its converter.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Any, Final, get_args, get_origin, get_type_hints

from agent.cli.options import AGENT_FLAGS, CONFIG_VARIABLE, DEFAULT_PATHS
from agent.config import election, model
from agent.config.durations import format_duration
from agent.config.export import exported
from agent.config.load import variable
from agent.config.schema import (
    AGENT_ALIASES,
    TRACK_RETIRED,
    TRACK_SYNONYMS,
    agent_schema,
    track_schema,
)
from agent.config.tables import key_name
from agent.config.values import Converter, Paths

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"

_PATHS: Final = Paths(Path("/"), "")
_SOURCES: Final = re.compile(r"\s*\((?:faros|flux)\.md[^)]*\)")
_CODE: Final = re.compile(r"``(.*?)``", re.S)

_HEAD: Final = """\
# Configuration

<!-- Made by `make docs` out of agent/config; edit the docstrings there, not this page. -->

Every key of the TOML file, with what it takes, its default, its flag and its variable. The same as
a file to start from, with examples: [`config.example.toml`](../config.example.toml).
`lightkeeper validate` says every mistake at once, with file, line, key and what was probably meant,
and shows what is in force.

- **Which one counts**: flag, else variable of the environment, else the file, else the default.
- **Durations** are written as in Go: `"300ms"`, `"30s"`, `"5m"`, `"1h30m"`.
- **Paths** that are relative start at the folder of the file (in a flag or a variable, at the
  working directory); `~/` is the home directory.
- **Secrets** are never written here, only where to find them, see [places](#a-place-of-a-secret).
- **A changed file** takes effect without a restart, and at once after SIGHUP. One that is wrong is
  refused, with the reason in the log and in `lightkeeper_config_last_reload_successful`; the one
  before stays in force. Flags and variables are those of the start.
"""

_PLACE: Final = """\
A secret is in exactly one of a file, a variable of the environment and a Kubernetes Secret:
`{ file = "…" }`, `{ env = "NAME" }` or `{ secret-name = "…", secret-namespace = "…", key = "…" }`.
"""

_BIND: Final = '`"host:port"`, `":port"` for every interface, or `"0"` for none'


def main() -> int:
    """Run the script; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    options = parser.parse_args()
    text = page()
    if not options.check:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write(f"docs/{PAGE.name} is not what agent/config says any more: run make docs\n")
    return 1


def page() -> str:
    """Return the whole page."""
    sections = [
        _HEAD,
        _contents(),
        _table("[agent]", model.Agent, agent_schema(_PATHS), flag=_agent_flags),
        _table(
            "[leader-election]",
            model.LeaderElection,
            election.SCHEMA,
            flag=lambda key: [election.FLAGS[key]],
        ),
        _table("[[track]]", model.Track, track_schema(_PATHS)),
        _part("A place of a secret", model.Place, _PLACE),
        _part("deploy-key", model.DeployKey, _meaning(model.DeployKey), beyond=model.Place),
        _part("proxy, as a table", model.Proxy, _meaning(model.Proxy), beyond=model.Place),
        _part("verify, as a table", model.Verify, _meaning(model.Verify)),
        _part("Keys that are not in files", model.VerifyKeys, _meaning(model.VerifyKeys)),
        _part("An entry of ignore-fields", model.IgnoredFields, _meaning(model.IgnoredFields)),
        _environment(),
        _other_words(),
    ]
    return "\n".join(section.rstrip() + "\n" for section in sections)


def _contents() -> str:
    """Return the keys of the three tables as links."""
    lines = []
    for name, kind in _TABLES.items():
        links = ", ".join(f"[{key}](#{name}{key})" for key in _keys(kind))
        lines.append(_filled(f"- **`{_heading(name)}`**: {links}", indent="  "))
    return "\n".join(lines)


_TABLES: Final = {
    "agent": model.Agent,
    "leader-election": model.LeaderElection,
    "track": model.Track,
}


def _heading(name: str) -> str:
    return "[[track]]" if name == "track" else f"[{name}]"


def _keys(kind: type[Any]) -> list[str]:
    return [key_name(field.name) for field in fields(kind)]


def _table(
    title: str,
    kind: type[Any],
    schema: Mapping[str, Converter],
    *,
    flag: Callable[[str], list[str]] | None = None,
) -> str:
    """Return the section of a table of the file: a heading for each key."""
    name, said = title.strip("[]"), _docstrings(kind)
    defaults, types = _defaults(name), get_type_hints(kind)
    lines = [f"## {title}", "", _meaning(kind)]
    for field in fields(kind):
        key = key_name(field.name)
        facts = [f"takes {_takes(schema[key], types[field.name])}"]
        facts.append("no default" if _is_required(field) else f"default {_toml(defaults[key])}")
        if flag is not None:
            names = flag(key)
            facts += [f"`--{name}`" for name in names]
            facts.append(f"`{variable(key if names[-1] == key else names[0])}`")
        lines += [f"### {name}.{key}", "", _filled(said[field.name]), "", _filled(_list(facts)), ""]
        lines += _values(types[field.name])
    return "\n".join(lines)


def _part(title: str, kind: type[Any], intro: str, *, beyond: type[Any] | None = None) -> str:
    """Return the section of a table inside of a key; ``beyond`` are keys that were said already."""
    said, types = _docstrings(kind), get_type_hints(kind)
    known = set() if beyond is None else {field.name for field in fields(beyond)}
    lines = [f"## {title}", "", intro.strip(), ""]
    if beyond is not None:
        lines += ["Besides the keys of [a place](#a-place-of-a-secret):", ""]
    for field in fields(kind):
        if field.name in known:
            continue
        text = f"- **`{key_name(field.name)}`** ({_of_type(types[field.name])}). {said[field.name]}"
        lines.append(_filled(text, indent="  "))
        lines += [f"  {line}" if line else "" for line in _values(types[field.name])][:-1]
    return "\n".join(lines)


def _environment() -> str:
    searched = ", ".join(f"`{path}`" for path in DEFAULT_PATHS)
    rows = {
        f"`{CONFIG_VARIABLE}`, `--config`": f"the file; without it the first of {searched}",
        "`LIGHTKEEPER_LOG_LEVEL`, `--log-level`": "`debug`, `info` (default), `warning` or `error`",
        "`LIGHTKEEPER_LOG_FORMAT`, `--log-format`": "`text`, `json`, or `auto` (default): "
        "text on a terminal, else JSON lines",
        "`KUBECONFIG`": "where [agent.kubeconfig](#agentkubeconfig) is not set",
        "`HTTPS_PROXY`, `http_proxy`, `ALL_PROXY`, `NO_PROXY`": "the way to git servers, where a "
        "track has no [proxy](#trackproxy); all but `ALL_PROXY` also the way to the API server, "
        "where the kubeconfig has no `proxy-url`",
        "`SSH_KNOWN_HOSTS`": "files with host keys, separated by colons, where a track has no "
        "[known-hosts](#trackknown-hosts)",
        "`SSL_CERT_FILE`, `SSL_CERT_DIR`": "certificate authorities, where a track has no "
        "[ca](#trackca) and the kubeconfig none either",
        "`TMPDIR`": "where workers that talk to git servers keep their scratch files",
        "`NO_COLOR`, `TERM=dumb`": "no colours",
    }
    lines = ["## Other flags and variables", "", "| | |", "| --- | --- |"]
    lines += [f"| {name} | {meaning} |" for name, meaning in rows.items()]
    return "\n".join(lines)


def _other_words() -> str:
    """Return what other tools call keys of a track."""
    lines = ["## Words of other tools", "", "`lightkeeper validate` answers to these as well.", ""]
    lines += ["| found elsewhere | here |", "| --- | --- |"]
    for key in dict.fromkeys(TRACK_SYNONYMS.values()):
        words = ", ".join(f"`{word}`" for word, meant in TRACK_SYNONYMS.items() if meant == key)
        lines.append(f"| {words} | [`{key}`](#track{key}) |")
    lines += [f"| `{word}` | {text} |" for word, text in TRACK_RETIRED.items()]
    return "\n".join(lines)


def _agent_flags(key: str) -> list[str]:
    names = [name for name in AGENT_FLAGS if AGENT_ALIASES.get(name, name) == key]
    return ["ignore-resource", *names] if key == "ignore-resources" else names


def _defaults(name: str) -> dict[str, Any]:
    track = model.Track(name="-", repository="-")
    written = exported(model.Config(agent=model.Agent(), tracks=(track,)))[name]
    found: dict[str, Any] = written[0] if isinstance(written, list) else written
    if name == "agent":  # an empty path stands for none
        found = {key: "" if value is None else value for key, value in found.items()}
    return found


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _toml(value: object) -> str:
    """Return a default as it is written in the file."""
    return "none" if value is None else f"`{json.dumps(value, ensure_ascii=False)}`"


def _takes(converter: Converter, kind: Any) -> str:
    """Say what a key takes: by its type where that says all, else by its converter."""
    if _parts_of(kind) or _enum(kind):
        return _of_type(kind)
    bound = inspect.getclosurevars(converter).nonlocals if _is_closure(converter) else {}
    if "minimum" in bound:
        return f"a duration of at least `{format_duration(bound['minimum'])}`"
    if "item" in bound:
        return f"a list such as `{bound['example']}`"
    if converter.__qualname__.startswith("bind_address."):
        return _BIND
    if converter.__qualname__.startswith("Paths."):
        return "a path" if converter.__name__ == "required" else 'a path, or `""`'
    sentence = re.split(r"[.;](?:\s|$)|, as an integer", inspect.getdoc(converter) or "")[0]
    return _marked_down(sentence.removeprefix("Take "))


def _is_closure(converter: Converter) -> bool:
    return bool(getattr(converter, "__closure__", None))


def _of_type(kind: Any) -> str:
    """Say what a field takes by its annotation."""
    if (enum := _enum(kind)) is not None:
        return "one of " + ", ".join(f'`"{value}"`' for value in enum)
    links = {
        model.Place: "[a place](#a-place-of-a-secret)",
        model.DeployKey: "[a table](#deploy-key)",
        model.Proxy: "[a table](#proxy-as-a-table)",
        model.Verify: "[a table](#verify-as-a-table)",
        model.VerifyKeys: "[a table](#keys-that-are-not-in-files)",
        model.IgnoredFields: "a list of [tables](#an-entry-of-ignore-fields)",
    }
    plain = {str: "a string", Path: "a path", bool: "`true` or `false`"}
    lists = {Path: "a list of paths", model.IgnoredFields: links[model.IgnoredFields]}
    said = []
    for part in _alternatives(kind):
        if get_origin(part) is tuple:
            said.append(lists.get(get_args(part)[0], "a list of strings"))
        else:
            said.append(links.get(part) or plain[part])
    return " or ".join(said)


def _alternatives(kind: Any) -> list[Any]:
    options = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    return [option for option in options if option is not type(None)]


def _parts_of(kind: Any) -> list[Any]:
    """Return the tables in a type."""
    found = [get_args(k)[0] if get_origin(k) is tuple else k for k in _alternatives(kind)]
    return [part for part in found if is_dataclass(part)]


def _enum(kind: Any) -> type[StrEnum] | None:
    for part in _alternatives(kind):
        if isinstance(part, type) and issubclass(part, StrEnum):
            return part
    return None


def _values(kind: Any) -> list[str]:
    """Return a list of what each value of an enumeration means, and an empty line."""
    if (enum := _enum(kind)) is None:
        return []
    said = _docstrings(enum)
    return [_filled(f'- `"{one}"`: {said[one.name]}', indent="  ") for one in enum] + [""]


def _docstrings(kind: type[Any]) -> dict[str, str]:
    """Return what the source says below each field of a class and of those it is made from."""
    found: dict[str, str] = {}
    for part in reversed([base for base in kind.__mro__ if base.__module__ == model.__name__]):
        body = ast.parse(textwrap.dedent(inspect.getsource(part))).body[0]
        found |= dict(_below(body.body if isinstance(body, ast.ClassDef) else []))
    times = {name for name, hint in get_type_hints(kind).items() if hint is float}
    return {
        name: re.sub(r"^Seconds", "Time", _marked_down(text))
        if name in times
        else _marked_down(text)
        for name, text in found.items()
    }


def _below(statements: Iterable[ast.stmt]) -> Iterator[tuple[str, str]]:
    """Yield each assigned name with the string that stands after it."""
    name = ""
    for statement in statements:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            name = statement.target.id
        elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            name = statement.targets[0].id
        elif name and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            yield name, inspect.cleandoc(str(statement.value.value))
            name = ""
        else:
            name = ""


def _meaning(kind: type[Any]) -> str:
    paragraphs = (inspect.getdoc(kind) or "").split("\n\n")
    return "\n\n".join(_filled(_marked_down(text)) for text in paragraphs) + "\n"


def _marked_down(text: str) -> str:
    """Turn a docstring into Markdown, with keys in place of the fields of the model."""
    return _CODE.sub(lambda code: f"`{_FIELDS.get(code[1], code[1])}`", _SOURCES.sub("", text))


_FIELDS: Final = {
    field.name: key_name(field.name)
    for kind in vars(model).values()
    if isinstance(kind, type) and is_dataclass(kind)
    for field in fields(kind)
}


def _list(facts: Iterable[str]) -> str:
    return "*" + "; ".join(facts) + "*"


def _filled(text: str, *, indent: str = "") -> str:
    return textwrap.fill(
        " ".join(text.split()),
        width=100,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


if __name__ == "__main__":
    sys.exit(main())
