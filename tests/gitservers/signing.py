"""Signs commits and tags as people do: real git with ssh-keygen or gpg, keys made for the test."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.gitservers.upstream import Upstream, git


class Key(Protocol):
    """Something that git can sign with."""

    @property
    def settings(self) -> dict[str, str]:
        """The git configuration that signs with it."""
        ...


@dataclass(frozen=True)
class SshKey:
    """A pair of keys made by ssh-keygen; ``line`` is the public one."""

    path: Path
    line: str

    @classmethod
    def make(cls, path: Path, *options: str) -> SshKey:
        """Make a pair at ``path``; ``options`` say its type."""
        path.parent.mkdir(parents=True, exist_ok=True)
        _run("ssh-keygen", "-q", "-N", "", "-C", f"{path.name}@example.org", "-f", str(path),
             *(options or ("-t", "ed25519")))  # fmt: skip
        return cls(path, path.with_name(f"{path.name}.pub").read_text().strip())

    @property
    def settings(self) -> dict[str, str]:
        return {"gpg.format": "ssh", "user.signingKey": str(self.path)}

    @property
    def fingerprint(self) -> str:
        """What ``ssh-keygen -l`` calls it."""
        return _run("ssh-keygen", "-l", "-f", str(self.path)).split()[1]


class Gpg:
    """A home of GnuPG of its own; ``close`` ends its agent and removes it."""

    def __init__(self) -> None:
        # Not below pytest's folder: the path of the agent's socket has to be short.
        self.home = Path(tempfile.mkdtemp(prefix="gnupg-"))

    def run(self, *arguments: str, stdin: str = "", at: str = "") -> str:
        """Run gpg without questions, at another time (20200101T000000) if given."""
        return _run("gpg", *self._options(at), *arguments, stdin=stdin)

    def make(self, name: str, algorithm: str, *, until: str = "never", at: str = "") -> GpgKey:
        """Make a key that can sign; return it."""
        self.run("--quick-gen-key", f"{name} <{name}@example.org>", algorithm, "sign", until, at=at)
        return GpgKey(self, self._fingerprints(name)[0], at)

    def key(self, name: str) -> GpgKey:
        """Return a key that was made by other means."""
        return GpgKey(self, self._fingerprints(name)[0])

    def add_subkey(self, key: GpgKey, algorithm: str, *, until: str = "never") -> GpgKey:
        """Add a subkey that can sign; return it."""
        self.run("--quick-add-key", key.fingerprint, algorithm, "sign", until, at=key.at)
        return GpgKey(self, self._fingerprints(key.fingerprint)[-1], key.at)

    def revoke(self, key: GpgKey) -> None:
        """Revoke a primary key by the certificate that gpg made with it."""
        revocation = self.home / "openpgp-revocs.d" / f"{key.fingerprint}.rev"
        self.run("--import", stdin=revocation.read_text().replace(":-----BEGIN", "-----BEGIN"))

    def revoke_subkey(self, key: GpgKey) -> None:
        """Revoke the first subkey."""
        answers = "key 1\nrevkey\ny\n0\n\ny\nsave\n"
        self.run("--command-fd", "0", "--edit-key", key.fingerprint, stdin=answers)

    def close(self) -> None:
        _run("gpgconf", "--homedir", str(self.home), "--kill", "gpg-agent")
        shutil.rmtree(self.home, ignore_errors=True)

    def program(self, at: str) -> Path:
        """Return a program that is gpg with this home, for git."""
        path = self.home / f"gpg-{at or 'now'}"
        path.write_text(f'#!/bin/sh\nexec gpg {" ".join(self._options(at))} "$@"\n')
        path.chmod(0o755)
        return path

    def _options(self, at: str) -> list[str]:
        # One word each: they are also written into a script.
        time = [f"--faked-system-time={at}!"] if at else []
        quiet = ["--batch", "--quiet"]
        return [
            f"--homedir={self.home}",
            *quiet,
            "--pinentry-mode=loopback",
            "--passphrase=",
            *time,
        ]

    def _fingerprints(self, name: str) -> list[str]:
        listing = self.run("--list-keys", "--with-colons", name)
        return re.findall(r"(?m)^fpr:+([0-9A-F]+):", listing)


@dataclass(frozen=True)
class GpgKey:
    """A key in a home of GnuPG; ``at`` is when it signs, "" for now."""

    gpg: Gpg
    fingerprint: str
    at: str = ""

    @property
    def settings(self) -> dict[str, str]:
        return {
            "gpg.format": "openpgp",
            "gpg.program": str(self.gpg.program(self.at)),
            "user.signingKey": f"{self.fingerprint}!",
        }

    def public(self, *, armored: bool = True) -> bytes:
        """Return what ``gpg --export`` prints."""
        options = ["--armor"] if armored else []
        return subprocess.run(
            ["gpg", f"--homedir={self.gpg.home}", "--batch", *options, "--export",
             self.fingerprint.rstrip("!")],
            capture_output=True, check=True,
        ).stdout  # fmt: skip


def sign_commit(upstream: Upstream, key: Key, *, branch: str = "main") -> str:
    """Replace a branch's newest commit by the same one, signed; return its id."""
    tip = upstream.head(branch)
    parents = git("rev-list", "--parents", "-1", tip, repository=upstream.path).split()[1:]
    signed = git(
        *_settings(key),
        "commit-tree",
        "-S",
        *(word for parent in parents for word in ("-p", parent)),
        "-m",
        "Signed",
        f"{tip}^{{tree}}",
        repository=upstream.path,
    )
    upstream.set_branch(branch, signed)
    return signed


def sign_tag(upstream: Upstream, key: Key, name: str, target: str) -> str:
    """Make a signed tag; return the id of the tag object."""
    git(*_settings(key), "tag", "--force", "-s", "-m", name, name, target,
        repository=upstream.path)  # fmt: skip
    return git("rev-parse", f"refs/tags/{name}", repository=upstream.path)


def raw(upstream: Upstream, object_id: str) -> bytes:
    """Return an object as git hashes it, without the prefix."""
    kind = git("cat-file", "-t", object_id, repository=upstream.path)
    return subprocess.run(
        ["git", f"--git-dir={upstream.path}", "cat-file", kind, object_id],
        capture_output=True, check=True,
    ).stdout  # fmt: skip


def write_object(upstream: Upstream, kind: str, content: bytes) -> str:
    """Write an object that git itself would not make; return its id."""
    return git("hash-object", "-t", kind, "-w", "--stdin", "--literally",
               repository=upstream.path, stdin=content)  # fmt: skip


def _settings(key: Key) -> list[str]:
    settings = {"user.name": "Ada", "user.email": "ada@example.org", **key.settings}
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]


def _run(*command: str, stdin: str = "") -> str:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command}: {done.stderr}")
    return done.stdout
