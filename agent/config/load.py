"""The one reading of a user's configuration: flag > environment > file > default.

Reads the file it is given and nothing else; the environment and the flags come in as mappings.
Every mistake is found in one go: one in the file is reported even where a flag overrides it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from agent.config import election
from agent.config.errors import ConfigError, Problem
from agent.config.lines import key_lines, line_of, show_path
from agent.config.model import Agent, Config, LeaderElection, Track
from agent.config.places import check_credentials, settle_namespaces
from agent.config.schema import (
    AGENT_ALIASES,
    TRACK_REQUIRED,
    TRACK_RETIRED,
    TRACK_SYNONYMS,
    agent_schema,
    track_schema,
)
from agent.config.serving import check_serving
from agent.config.tables import Reading, Schema, field_name, read, suggest
from agent.config.values import Fault, Paths, show, type_of
from agent.config.verify import check_verify

ENVIRONMENT_PREFIX = "LIGHTKEEPER_"
"""Variables that start so and go on with no known key are left alone: Kubernetes itself sets
LIGHTKEEPER_PORT and the like in every pod beside a Service called lightkeeper."""

_SYNTAX_PLACE = re.compile(r"(.*) \(at (?:line ([0-9]+), column ([0-9]+)|end of document)\)", re.S)
# As strconv.ParseBool, which reads the flags of kubectl and Faros.
_BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}
_NO_TRACK = 'nothing to track, add a [[track]] with name = "…" and repository = "…"'


def load(
    path: Path,
    *,
    environment: Mapping[str, str],
    flags: Mapping[str, Any],
    folder: Path | None = None,
) -> Config:
    """Return what a file, the environment and the flags say together.

    ``flags`` maps keys of ``[agent]`` (kebab-case) to a text, a list of texts or a boolean; None
    stands for a flag that was not given. ``folder`` is where relative paths in the file start, by
    default its own: for a file that will lie elsewhere. Raises ConfigError with every problem
    found.
    """
    content = _read_text(path)
    document = _parse(path, content)
    home = environment.get("HOME", "")
    beside_file = Paths(folder or path.parent.absolute(), home)
    agent, tracks, faults = _read_document(document, beside_file)
    overriding, elsewhere = _overrides(environment, flags, agent_schema(Paths(Path(), home)))
    values = agent.values | overriding
    _settle_scopes(tracks, values.get("namespace", ""))
    for track in tracks:
        settle_namespaces(track)
    agent.faults += check_serving(values)
    leader, elsewhere = _read_election(document, environment, flags, elsewhere)
    faults += _all_faults(agent, leader, tracks)
    problems = _in_file(path, content, faults) + elsewhere
    if problems:
        raise ConfigError(tuple(problems))
    return Config(
        agent=Agent(**values),
        tracks=tuple(Track(**track.values) for track in tracks),
        leader_election=LeaderElection(**leader.values),
    )


def variable(key: str) -> str:
    """Return the environment variable of an ``[agent]`` key: ``LIGHTKEEPER_SYNC_PERIOD``."""
    return ENVIRONMENT_PREFIX + field_name(key).upper()


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        message = f"cannot read the configuration: {reason}"
        raise ConfigError((Problem(str(path), message),)) from error
    try:
        return content.decode("utf-8-sig")  # some editors on Windows put a byte-order mark
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f"not UTF-8 (byte 0x{content[error.start]:02x}), save the file as UTF-8"
        raise ConfigError((Problem(str(path), message, line),)) from error


def _parse(path: Path, content: str) -> dict[str, Any]:
    try:
        return tomllib.loads(content)
    except RecursionError as error:
        raise ConfigError((Problem(str(path), "not TOML: nested too deeply"),)) from error
    except ValueError as error:  # TOMLDecodeError, or int() on a number with thousands of digits
        message, line, column = str(error), 0, 0
        if place := _SYNTAX_PLACE.fullmatch(message):
            message = place[1]
            at_end = (content.count("\n") + 1, len(content) - content.rfind("\n"))
            line, column = (int(place[2]), int(place[3])) if place[2] else at_end
        raise ConfigError((Problem(str(path), f"not TOML: {message}", line, column),)) from error


def _read_document(
    document: dict[str, Any], paths: Paths
) -> tuple[Reading, list[Reading], list[Fault]]:
    """Return what ``[agent]`` and each ``[[track]]`` say, and what is wrong around them."""
    for_agent, for_track = agent_schema(paths), track_schema(paths)
    faults = [
        Fault(_unknown_at_top(key, for_agent, for_track), (key,))
        for key in document
        if key not in ("agent", "track", election.TABLE)
    ]
    misplaced = dict.fromkeys(for_track, "unknown key here, it belongs to a [[track]]")
    agent = _read_agent(document.get("agent", {}), for_agent, unknown=misplaced)
    raw_tracks = document.get("track", [])
    if not isinstance(raw_tracks, list):
        found = "[track]" if isinstance(raw_tracks, dict) else type_of(raw_tracks)
        faults.append(Fault(f"not a list of tables (got {found}), write [[track]]", ("track",)))
        return agent, [], faults
    if not raw_tracks:
        faults.append(Fault(_NO_TRACK, ("track",)))
    misplaced = dict.fromkeys(for_agent, "unknown key here, it belongs to [agent]")
    misplaced |= {k: f'unknown key, did you mean "{v}"?' for k, v in TRACK_SYNONYMS.items()}
    misplaced |= TRACK_RETIRED
    tracks = [
        read(raw, for_track, required=TRACK_REQUIRED, unknown=misplaced) for raw in raw_tracks
    ]
    _check_names(tracks)
    for track in tracks:
        check_credentials(track)
        check_verify(track)
    return agent, tracks, faults


def _unknown_at_top(key: str, for_agent: Schema, for_track: Schema) -> str:
    schemas = {"[agent]": for_agent, "a [[track]]": for_track}
    homes = [title for title, schema in schemas.items() if key in schema]
    if homes:
        return f"unknown key here, it belongs to {' or '.join(homes)}"
    return f"unknown key, {suggest(key, dict.fromkeys(('agent', 'track', election.TABLE)))}"


def _read_agent(
    raw: object, schema: Schema, *, unknown: Mapping[str, str] | None = None
) -> Reading:
    """Read the keys of ``[agent]``, from wherever they come, under their own or their old name."""
    aliases = {alias: schema[key] for alias, key in AGENT_ALIASES.items()}
    reading = read(raw, {**schema, **aliases}, unknown=unknown)
    for alias, key in AGENT_ALIASES.items():
        if isinstance(raw, dict) and alias in raw and key in raw:
            reading.faults.append(Fault(f'the same as "{key}", give only one of them', (alias,)))
        if field_name(alias) in reading.values:
            reading.values[field_name(key)] = reading.values.pop(field_name(alias))
    return reading


def _overrides(
    environment: Mapping[str, str], flags: Mapping[str, Any], schema: Schema
) -> tuple[dict[str, Any], list[Problem]]:
    """Return the values that variables and flags give, flags winning, and what is wrong there."""
    keys = (*schema, *AGENT_ALIASES)
    variables = {key: environment[variable(key)] for key in keys if variable(key) in environment}
    of_others = election.FLAGS.values()
    given = {k: value for k, value in flags.items() if value is not None and k not in of_others}
    values: dict[str, Any] = {}
    problems = []
    for raw, named in ((variables, variable), (given, "--{}".format)):
        reading = _read_agent({key: _from_text(key, value) for key, value in raw.items()}, schema)
        values |= reading.values
        problems += [Problem(named(str(f.path[0])), f.message) for f in reading.faults]
    return values, problems


def _read_election(
    document: dict[str, Any],
    environment: Mapping[str, str],
    flags: Mapping[str, Any],
    elsewhere: list[Problem],
) -> tuple[Reading, list[Problem]]:
    """Return what file, variables and flags say of the election, and what is wrong elsewhere."""
    leader = read(document.get(election.TABLE, {}), election.SCHEMA)
    problems = list(elsewhere)
    for source, named in ((environment, variable), (flags, str)):
        names = {key: named(flag) for key, flag in election.FLAGS.items()}
        raw = {
            key: _from_text(key, source[name])
            for key, name in names.items()
            if source.get(name) is not None
        }
        reading = read(raw, election.SCHEMA)
        leader.values |= reading.values
        prefix = "--" if source is flags else ""
        problems += [Problem(prefix + names[str(f.path[0])], f.message) for f in reading.faults]
    if not leader.faults and problems == elsewhere:
        election.check_times(leader)
    return leader, problems


def _from_text(key: str, value: object) -> object:
    """Give a text, or a list of texts, the type that its key has in TOML."""
    default = _DEFAULTS.get(field_name(key))
    if isinstance(default, bool):
        return _BOOLEANS.get(value, value) if isinstance(value, str) else value
    if isinstance(default, tuple):
        texts = [value] if isinstance(value, str) else value
        if isinstance(texts, list | tuple):
            return [item for text in texts for item in _split(str(text))]
    return value


_DEFAULTS = {field.name: field.default for field in (*fields(Agent), *fields(LeaderElection))}


def _split(text: str) -> list[str]:
    return [item for part in text.split(",") if (item := part.strip())]


def _check_names(tracks: list[Reading]) -> None:
    first: dict[str, int] = {}
    for index, track in enumerate(tracks):
        name = track.values.get("name")
        if name is None:
            continue
        if (other := first.setdefault(name, index)) != index:
            message = f"track[{other}] has this name too (got {show(name)}), names are unique"
            track.faults.append(Fault(message, ("name",)))


def _settle_scopes(tracks: list[Reading], namespace: str) -> None:
    """Under an agent that is restricted to a namespace, every track is (faros.md section 6)."""
    if not namespace:
        return
    for track in tracks:
        scope = track.values.setdefault("scope", namespace)
        if scope != namespace:
            message = (
                f'outside of what the agent is restricted to: namespace is "{namespace}" '
                f"(got {show(scope)}), leave scope out or set it to that"
            )
            track.faults.append(Fault(message, ("scope",)))


def _all_faults(agent: Reading, leader: Reading, tracks: list[Reading]) -> list[Fault]:
    faults = [Fault(fault.message, ("agent", *fault.path)) for fault in agent.faults]
    faults += [Fault(fault.message, (election.TABLE, *fault.path)) for fault in leader.faults]
    for index, track in enumerate(tracks):
        faults += [Fault(fault.message, ("track", index, *fault.path)) for fault in track.faults]
    return faults


def _in_file(path: Path, content: str, faults: list[Fault]) -> list[Problem]:
    lines = key_lines(content) if faults else {}
    problems = [
        Problem(str(path), fault.message, line_of(fault.path, lines), key=show_path(fault.path))
        for fault in faults
    ]
    return sorted(problems, key=lambda problem: problem.line)
