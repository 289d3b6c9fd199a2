"""A bare repository that tests commit to without a work tree, through ``git fast-import``."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

COMMITTED_AT = 1_700_000_000
"""Committer time of the first commit, Unix seconds; each later one is a minute after."""


def git(*arguments: str, repository: Path, stdin: bytes = b"") -> str:
    """Run git without the machine's own configuration; return what it prints, stripped."""
    environment = {
        "PATH": os.environ["PATH"],
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_COMMITTER_NAME": "Ada",
        "GIT_COMMITTER_EMAIL": "ada@example.org",
    }
    done = subprocess.run(
        ["git", f"--git-dir={repository}", *arguments],
        input=stdin,
        env=environment,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"git {arguments}: {done.stderr.decode()}")
    return done.stdout.decode().strip()


class Upstream:
    """The repository somebody else pushes to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._clock = COMMITTED_AT
        path.parent.mkdir(parents=True, exist_ok=True)
        git("init", "--quiet", "--bare", "--initial-branch=main", str(path), repository=path)
        git("config", "uploadpack.allowReachableSHA1InWant", "true", repository=path)

    def commit(  # a test says only what it is about
        self,
        files: Mapping[str, str],
        *,
        branch: str = "main",
        message: str = "Change",
        links: Mapping[str, str] | None = None,
        modules: Mapping[str, str] | None = None,
        remove: tuple[str, ...] = (),
        orphan: bool = False,
    ) -> str:
        """Commit on top of ``branch`` (anew with ``orphan``); return the commit's id.

        ``links`` maps a path to a symlink's target, ``modules`` to a submodule's commit.
        """
        ref = f"refs/heads/{branch}"
        lines = [f"commit {ref}", f"committer Ada <ada@example.org> {self._clock} +0000"]
        lines.append(f"data {len(message.encode())}\n{message}")
        if not orphan and self.head(branch):
            lines.append(f"from {ref}^0")
        lines += [f"D {path}" for path in remove]
        lines += [_entry("100644", path, body) for path, body in files.items()]
        lines += [_entry("120000", path, target) for path, target in (links or {}).items()]
        lines += [f"M 160000 {commit} {path}" for path, commit in (modules or {}).items()]
        stream = _bytes("\n".join(lines) + "\n\n")
        git("fast-import", "--quiet", "--force", repository=self.path, stdin=stream)
        self._clock += 60
        return self.head(branch)

    def head(self, branch: str = "main") -> str:
        """Return the id a branch points to, "" when there is no such branch."""
        return git("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}",
                   repository=self.path)  # fmt: skip

    def tag(self, name: str, commit: str, *, annotated: bool = False) -> None:
        """Create or move a tag."""
        annotation = ("--annotate", "--message", name) if annotated else ()
        git("tag", "--force", *annotation, name, commit, repository=self.path)

    def set_branch(self, name: str, commit: str) -> None:
        """Create a branch or force it to ``commit``."""
        git("update-ref", f"refs/heads/{name}", commit, repository=self.path)

    def delete_branch(self, name: str) -> None:
        """Delete a branch."""
        git("update-ref", "-d", f"refs/heads/{name}", repository=self.path)


def _entry(mode: str, path: str, body: str) -> str:
    return f"M {mode} inline {path}\ndata {len(_bytes(body))}\n{body}"


def _bytes(text: str) -> bytes:
    """Encode as UTF-8; a byte that is none is written as its lone surrogate, U+DC80 to U+DCFF."""
    return text.encode(errors="surrogateescape")
