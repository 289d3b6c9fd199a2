"""The key of the digests that stand for Secret values in last-applied annotations.

It stays on this machine: without it, a short Secret value could be guessed from its digest. When
it is lost a new one is made, and no object is written because of that (plan.lastapplied).
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from agent.errors import AgentError

_NAME = "digest.key"
_BYTES = 32


def load(state_dir: Path) -> bytes:
    """Return the key kept in ``state_dir``, making folder and key when they are missing.

    Raises AgentError with what to do when the folder cannot be written.
    """
    path = state_dir / _NAME
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        if path.exists() and len(key := path.read_bytes()) == _BYTES:
            return key
        return _make(path)
    except OSError as error:
        raise AgentError(
            f"state-dir {state_dir} cannot be used: {error.strerror}; "
            "set --state-dir to a folder that this user may write"
        ) from error


def _make(path: Path) -> bytes:
    """Write a new key whole or not at all."""
    key = secrets.token_bytes(_BYTES)
    temporary = path.with_name(f".{_NAME}.new")  # one name: no pile after crashes
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key)
        os.fsync(file.fileno())
    temporary.replace(path)
    return key
