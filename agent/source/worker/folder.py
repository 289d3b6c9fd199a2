"""A plain folder as a source: its files as they lie on the disk, committed into the mirror.

Only reads the folder, never follows a symlink in it (it is committed as one, which ``tree`` passes
over and notes), but for the one in kubelet's volumes (``walk``). What is committed is one state of
the files, not a mixture of two, and a file that somebody is still writing is waited for: half a
file could look as if objects were gone.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from agent.manifest.limits import MAX_FILE_SIZE
from agent.source.listing import FOLDER, Listing
from agent.source.protocol import Rejected
from agent.source.walk import accepts, folders
from agent.source.worker import libgit
from agent.source.worker.libgit import pygit2

T = TypeVar("T")

SCRATCH: Final = ".folder-"
"""How the names of folders begin in which new objects are gathered before they are packed."""

_Entry = tuple[pygit2.Oid, pygit2.enums.FileMode]
"""What a name in a tree stands for."""

_QUIET: Final = 0.1  # seconds without a change, after which nobody is in the middle of one
_PATIENCE: Final = 2.0  # seconds to wait for that
_CLOCK_STEP: Final = 2.0  # seconds between two changes that may have one time (on FAT; Linux: 4 ms)
_WRITING: Final = 10.0  # seconds since its last change that an open file counts as unfinished


@dataclass(frozen=True, slots=True)
class Found:
    """A file: its path from the folder's root, where it really is, and what tells its versions."""

    path: str
    place: str
    state: tuple[int, ...]
    is_link: bool


@dataclass(frozen=True, slots=True)
class Scan:
    """The files that count at one moment; times are Unix seconds."""

    files: tuple[Found, ...]
    committed_at: int
    changed_at: float

    def fingerprint(self) -> str:
        """Return 40 digits that are the same again only if nothing has changed meanwhile."""
        text = repr([(file.path, file.state) for file in self.files])
        if not time.time() - self.changed_at > _CLOCK_STEP:
            text += str(time.time_ns())  # one more change may have left all times as they are
        return hashlib.sha1(
            text.encode(errors="surrogateescape"), usedforsecurity=False
        ).hexdigest()


class _Changing(Exception):
    """The files change while they are looked at."""


def listing(root: str, sub_path: str) -> Listing:
    """Return the folder as if it had one commit; its id is good for comparison only.

    Raises Rejected.
    """
    give_up = time.monotonic() + _PATIENCE
    scan = _retried(root, give_up, lambda: _scan(root, sub_path))
    return Listing({"HEAD": scan.fingerprint()}, head=FOLDER)


def commit(root: str, sub_path: str, *, mirror: Path, ref: str) -> None:
    """Commit the files that count into the mirror, and point ``ref`` there.

    The same files and times give the same commit. Raises Rejected when there is no one state of
    them to be had, and what pygit2 and the machine raise.
    """
    give_up = time.monotonic() + _PATIENCE

    def bring() -> None:
        scan = _settled(root, sub_path, give_up)
        _bring(scan, mirror, ref, lambda: _scan(root, sub_path).files == scan.files)

    _retried(root, give_up, bring)


def _retried(root: str, give_up: float, look: Callable[[], T]) -> T:
    """Look again until the files hold still; raise Rejected at the monotonic time ``give_up``."""
    while True:
        try:
            return look()
        except PermissionError as error:
            raise Rejected("folder", f"{error.filename}: {error.strerror}") from None
        except (_Changing, FileNotFoundError, NotADirectoryError) as change:
            if not os.path.isdir(root):
                raise Rejected("local", "went away while it was read") from None
            if time.monotonic() > give_up:
                what = str(change) if isinstance(change, _Changing) else "its files keep changing"
                raise Rejected("folder", what) from None
        time.sleep(_QUIET)


def _scan(root: str, sub_path: str) -> Scan:
    found: list[Found] = []
    newest_change = newest_content = 0
    for path, place in folders(root, sub_path):
        newest_change = max(newest_change, os.stat(place).st_ctime_ns)
        for file in _files(path, place, sub_path):
            found.append(file)
            newest_change = max(newest_change, file.state[-1])
            if not file.is_link:
                newest_content = max(newest_content, file.state[1])
    ordered = tuple(sorted(found, key=lambda file: file.path))
    return Scan(ordered, newest_content // 10**9, newest_change / 10**9)


def _files(path: str, place: str, sub_path: str) -> Iterator[Found]:
    with os.scandir(place) as entries:
        for entry in entries:
            below = f"{path}/{entry.name}" if path else entry.name
            is_link = entry.is_symlink()
            if not is_link and not entry.is_file(follow_symlinks=False):
                continue
            if accepts(below, sub_path) or (is_link and f"{sub_path}/".startswith(f"{below}/")):
                state = _state(entry.stat(follow_symlinks=False))
                yield Found(below, entry.path, state, is_link)


def _state(status: os.stat_result) -> tuple[int, ...]:
    return status.st_size, status.st_mtime_ns, status.st_dev, status.st_ino, status.st_ctime_ns


def _settled(root: str, sub_path: str, give_up: float) -> Scan:
    """Scan when nothing changed for a moment, and no git is at work; or when patience is over."""
    while True:
        scan = _scan(root, sub_path)
        busy = os.path.exists(os.path.join(root, ".git", "index.lock"))
        busy |= 0 <= time.time() - scan.changed_at < _QUIET
        if not busy or time.monotonic() > give_up:
            return scan
        time.sleep(_QUIET)


def _bring(scan: Scan, mirror: Path, ref: str, is_still_so: Callable[[], bool]) -> None:
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=mirror) as scratch:
        with libgit.without_fsync():  # what is lost here is only the scratch folder
            repository = pygit2.init_repository(scratch, bare=True)
            repository.odb.add_disk_alternate(str(mirror / "objects"))
            entries = {file.path: _entry(repository, file) for file in scan.files}
            if not is_still_so():
                raise _Changing("its files keep changing")
            made = _commit(repository, entries, scan.committed_at)
        _pack_new(repository, Path(scratch, "objects"), mirror / "objects" / "pack")
        repository.free()
    _point(mirror, ref, made)


def _entry(repository: pygit2.Repository, file: Found) -> _Entry:
    modes = pygit2.enums.FileMode
    return repository.create_blob(_content(file)), modes.LINK if file.is_link else modes.BLOB


def _content(file: Found) -> bytes:
    """Return the content of exactly the version that was found.

    Of a file that is too large to be a manifest, as much as shows that it is; of a symlink, where
    it leads.
    """
    if file.is_link:
        return _target(file)
    try:
        descriptor = os.open(file.place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ELOOP:  # a symlink has taken its place
            raise _Changing(f"{file.path} keeps changing") from None
        raise
    with open(descriptor, "rb") as opened:
        if _state(os.fstat(descriptor)) != file.state:
            raise _Changing(f"{file.path} keeps changing")
        written_at = file.state[1] / 10**9
        if _is_open_for_writing(descriptor) and 0 <= time.time() - written_at < _WRITING:
            raise _Changing(f"{file.path} is being written")
        return opened.read(MAX_FILE_SIZE + 1)


def _target(file: Found) -> bytes:
    try:
        return os.fsencode(os.readlink(file.place))
    except OSError as error:
        if error.errno == errno.EINVAL:  # something else has taken its place
            raise _Changing(f"{file.path} keeps changing") from None
        raise


def _is_open_for_writing(descriptor: int) -> bool:
    """Ask the system for a read lease, which it grants only when nobody writes (fcntl(2)).

    Some network file systems always refuse, others have no leases and are believed.
    """
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def _commit(repository: pygit2.Repository, entries: Mapping[str, _Entry], at: int) -> str:
    signature = pygit2.Signature(FOLDER, FOLDER, max(0, at), 0)
    tree = _tree(repository, {tuple(path.split("/")): entry for path, entry in entries.items()})
    message = "The files as they lie in the folder"
    return str(repository.create_commit(None, signature, signature, message, tree, []))


def _tree(repository: pygit2.Repository, files: Mapping[tuple[str, ...], _Entry]) -> pygit2.Oid:
    builder = repository.TreeBuilder()
    inside: dict[str, dict[tuple[str, ...], _Entry]] = {}
    for (name, *rest), entry in files.items():
        if rest:
            inside.setdefault(name, {})[tuple(rest)] = entry
        else:
            builder.insert(_printable(name), *entry)
    for name, below in inside.items():
        builder.insert(_printable(name), _tree(repository, below), pygit2.enums.FileMode.TREE)
    return builder.write()


def _printable(name: str) -> str:
    """Return a name that is not UTF-8 as ``tree`` shows it too: paths are only shown."""
    return os.fsencode(name).decode(errors="backslashreplace")


def _pack_new(repository: pygit2.Repository, loose: Path, packs: Path) -> None:
    """Put the objects that the mirror did not have into one pack there."""
    builder = pygit2.PackBuilder(repository)
    new = [pygit2.Oid(hex=file.parent.name + file.name) for file in loose.glob("??/*")]
    for found in new:
        builder.add(found)
    if new:
        builder.write(packs)


def _point(mirror: Path, ref: str, made: str) -> None:
    repository = pygit2.Repository(str(mirror))
    try:
        repository.references.create(ref, made, force=True)
    finally:
        repository.free()
