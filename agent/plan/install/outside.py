"""What a configuration names that lies outside of it: files, folders, variables, repositories.

Wherever the agent is to run, these have to be there. Shows where secrets are, never what they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from agent.config.model import Config, DeployKey, Place, Proxy, Track
from agent.config.repository import transport
from agent.plan.rights import places_of

_NOT_IN_A_KEY: Final = re.compile(r"[^-._a-zA-Z0-9]")
_NOT_IN_A_NAME: Final = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Outside:
    """What is named, each once and in order.

    ``folders`` hold what a whole Secret holds; ``repositories`` are paths of this machine.
    """

    files: tuple[Path, ...]
    folders: tuple[Path, ...]
    variables: tuple[str, ...]
    repositories: tuple[Path, ...]


def named(config: Config) -> Outside:
    """Return what a configuration names. The kubeconfig is not in it: a Pod needs none."""
    places = [place for track in config.tracks for place in places_of(track)]
    serving = (config.agent.metrics_cert_file, config.agent.metrics_key_file)
    files = {place.file for place in places if isinstance(place, Place) and place.file}
    files |= {path for path in serving if path}
    files |= {path for track in config.tracks for path in _signers(track)}
    folders = {place.dir for place in places if isinstance(place, DeployKey | Proxy) and place.dir}
    variables = {place.env for place in places if place.env}
    local = {_path(t.repository) for t in config.tracks if transport(t.repository) == "file"}
    return Outside(
        tuple(sorted(files)), tuple(sorted(folders)), tuple(sorted(variables)), tuple(sorted(local))
    )


def keys_of_a_secret(files: Collection[Path], *, taken: Collection[str]) -> dict[Path, str]:
    """Return for each file the key of the one Secret that holds them all: its name, if it may be.

    ``taken`` are keys that stand for something else.
    """
    return _apart(files, lambda text: _NOT_IN_A_KEY.sub("-", text), taken)


def names_of_secrets(folders: Collection[Path]) -> dict[Path, str]:
    """Return for each folder what the name of its Secret ends with."""
    return _apart(folders, lambda text: _NOT_IN_A_NAME.sub("-", text.lower()).strip("-"), ())


def _apart(
    paths: Collection[Path], spelled: Callable[[str], str], taken: Collection[str]
) -> dict[Path, str]:
    """Name each path after its last part, or after all of it where another has that name."""
    found: dict[Path, str] = {}
    for path in sorted(paths):
        whole = "-".join(path.parts[1:])
        names = map(spelled, chain((path.name, whole), (f"{whole}-{n}" for n in count(2))))
        found[path] = next(name for name in names if name not in {*found.values(), *taken})
    return found


def _signers(track: Track) -> tuple[Path, ...]:
    keys = track.verify.keys if track.verify else ()
    return keys if isinstance(keys, tuple) else ()


def _path(repository: str) -> Path:
    return Path(unquote(urlsplit(repository).path) if "://" in repository else repository)
