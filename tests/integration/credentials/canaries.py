"""Canaries: what of a credential must be seen nowhere, and a watch on what a program lets out."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, quote_plus

from agent.source.login import sshkeys
from agent.source.login.credentials import ssh_key
from tests.gitservers.proxies import USER as PROXY_USER
from tests.integration.credentials.kinds import PASSPHRASE, Kind

_PUBLIC = ("ca", "known-hosts", "client-certificate")
_SHORTEST = 8  # characters; less is found anywhere by chance
_PAUSE = 0.005  # seconds between two looks at a program


def canaries_of(kind: Kind) -> set[bytes]:
    """Return each text that would give a credential away, in all forms it might be written in."""
    found: set[bytes] = set()
    for key, value in kind.values.items():
        if key in _PUBLIC:
            continue
        if b"PRIVATE KEY" in value:
            found |= _lines(value)
            if key == "deploy-key" and "ssh://" in kind.url:
                found |= _lines(sshkeys.prepared(ssh_key(value, PASSPHRASE)).secret)
        elif key == "proxy":
            password = value.decode().rpartition("@")[0].rpartition(":")[2]
            found |= _forms(PROXY_USER, password)
        else:
            user, colon, password = value.decode().strip().partition(":")
            found |= _forms(user if colon else "", password if colon else user)
    return found


def _lines(pem: bytes) -> set[bytes]:
    """Return the lines of a key; the first and last few characters of one say nothing."""
    return {line for line in pem.split(b"\n") if len(line) > 20 and b"-----" not in line}


def _forms(user: str, password: str) -> set[bytes]:
    pair = base64.b64encode(f"{user}:{password}".encode())
    forms = {password, quote(password, safe=""), quote_plus(password)}
    return {form.encode() for form in forms if len(form) >= _SHORTEST} | {pair}


class Watch:
    """Looks at a program's children and at folders while it runs, and keeps all that it sees.

    ``seen`` maps where something was seen to what it was.
    """

    def __init__(self, pid: int, folders: Iterable[Path]) -> None:
        self.seen: dict[str, set[bytes]] = {}
        self.children: set[int] = set()
        self._pid = pid
        self._folders = list(folders)
        self._known: set[tuple[str, int, int]] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        self._look_at_files()

    def _watch(self) -> None:
        self._note(f"argv of {self._pid}", Path(f"/proc/{self._pid}/cmdline"))
        while not self._over.wait(_PAUSE):
            self._look_at_children(self._pid)
            self._look_at_files()

    def _look_at_children(self, pid: int) -> None:
        for task in _quietly(Path(f"/proc/{pid}/task")):
            for child in map(int, _content(task / "children").split()):
                if child not in self.children:
                    self.children.add(child)
                # Until it has become another program, a child shows what its parent was given.
                if _content(Path(f"/proc/{child}/cmdline")) != _content(
                    Path(f"/proc/{pid}/cmdline")
                ):
                    self._note(f"argv of {child}", Path(f"/proc/{child}/cmdline"))
                    self._note(f"environment of {child}", Path(f"/proc/{child}/environ"))
                self._look_at_children(child)

    def _look_at_files(self) -> None:
        for folder in self._folders:
            for path in _quietly(folder, below=True):
                if self._is_new(path):
                    self.seen.setdefault("names of files", set()).add(str(path).encode())
                    self._note(str(path), path)

    def _is_new(self, path: Path) -> bool:
        try:
            found = path.stat()
        except OSError:
            return False
        state = (str(path), found.st_mtime_ns, found.st_size)
        is_new = state not in self._known
        self._known.add(state)
        return is_new

    def _note(self, where: str, path: Path) -> None:
        if content := _content(path):
            self.seen.setdefault(where, set()).add(content)


def _quietly(folder: Path, *, below: bool = False) -> list[Path]:
    """Return what is in a folder, as far as it is still there."""
    try:
        return list(folder.rglob("*") if below else folder.iterdir())
    except OSError:
        return []


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes() if not path.is_dir() else b""
    except OSError:
        return b""
