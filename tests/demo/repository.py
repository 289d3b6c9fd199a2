"""The git repository of the demo: a work tree that somebody edits and commits."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.demo.failure import DemoError

_NOBODY_IN_PARTICULAR = {
    # Neither the person's own configuration nor their signing key has a place in a demo.
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Demo",
    "GIT_AUTHOR_EMAIL": "demo@example.com",
    "GIT_COMMITTER_NAME": "Demo",
    "GIT_COMMITTER_EMAIL": "demo@example.com",
}


class Repository:
    """A repository in ``path`` that holds copies of ``folders``; nothing is committed yet.

    Paths of files are relative to it. Raises :class:`DemoError` when git fails.
    """

    def __init__(self, path: Path, *folders: Path) -> None:
        self.path = path
        for folder in folders:
            shutil.copytree(folder, path / folder.name)
        self._git("init", "--quiet", "--initial-branch=main")

    @property
    def url(self) -> str:
        """The ``file://`` URL that the agent tracks."""
        return self.path.as_uri()

    def write(self, file: str, text: str) -> None:
        """Write one file, new or not."""
        (self.path / file).write_text(text)

    def replace(self, file: str, old: str, new: str) -> None:
        """Replace a piece of text that is there exactly once."""
        text = (self.path / file).read_text()
        if text.count(old) != 1:
            raise DemoError(
                f"{file} should hold {old!r} once, and holds it {text.count(old)} times"
            )
        self.write(file, text.replace(old, new))

    def remove(self, file: str) -> None:
        """Delete one file."""
        (self.path / file).unlink()

    def commit(self, message: str) -> str:
        """Commit whatever was edited; return the commit's id."""
        self._git("add", "--all")
        self._git("commit", "--quiet", f"--message={message}")
        return self._git("rev-parse", "HEAD")

    def _git(self, *arguments: str) -> str:
        # A variable such as GIT_DIR, set where make was called from, means another repository.
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            env=inherited | _NOBODY_IN_PARTICULAR,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise DemoError(f"git {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout.strip()
