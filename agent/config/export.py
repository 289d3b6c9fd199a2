"""A Config back in the words of the TOML file, for people and for programs that read JSON.

Pure. Shows where secrets are, which is all that a Config knows of them.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from agent.config.durations import format_duration
from agent.config.model import Config, IgnoredResource
from agent.config.pointers import Pointer
from agent.config.tables import key_name

_PERCENTAGES = frozenset({"prune_limit"})


def exported(config: Config) -> dict[str, Any]:
    """Return ``agent``, ``leader-election`` and ``track`` with all their keys, as in the file.

    Times are durations ("5m"), absent tables and paths None.
    """
    tracks = [_table(track) for track in config.tracks]
    election = _table(config.leader_election)
    return {"agent": _table(config.agent), "leader-election": election, "track": tracks}


def _table(value: Any) -> dict[str, Any]:
    return {key_name(f.name): _value(f.name, getattr(value, f.name)) for f in fields(value)}


def _value(name: str, value: object) -> object:
    if isinstance(value, Path | IgnoredResource | Pointer):
        return str(value)
    if is_dataclass(value):
        return {key: part for key, part in _table(value).items() if part}
    if isinstance(value, tuple):
        return [_value(name, item) for item in value]
    if isinstance(value, float):
        return format_duration(value)
    if name in _PERCENTAGES:
        return f"{value}%"
    return value
