"""Configuration files of the tests: written to a folder, and read as the agent reads them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.config.errors import ConfigError
from agent.config.load import load
from agent.config.model import Config

TRACK = '[[track]]\nname = "t"\nrepository = "https://example.org/r"\n'
OTHER_TRACK = TRACK.replace('"t"', '"u"')


def loaded(
    folder: Path,
    text: str,
    *,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
) -> Config:
    path = folder / "c.toml"
    path.write_text(text)
    return load(path, environment=environment or {}, flags=flags or {})


def problems(folder: Path, text: str, **sources: Any) -> list[str]:
    """The lines of the error, the file's folder left out."""
    with pytest.raises(ConfigError) as caught:
        loaded(folder, text, **sources)
    assert caught.value.exit_code == 2
    return str(caught.value).replace(f"{folder}/", "").splitlines()
