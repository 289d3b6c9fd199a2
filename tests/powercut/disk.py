"""A model of a file system that knows what would be left after a power cut.

What POSIX promises and no more: a file's content is safe up to its last fsync, a folder's names up
to the folder's.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path, PurePosixPath

from tests.powercut.record import Call

_DESCRIPTOR = re.compile(r"(?:\d+|AT_FDCWD)<(?P<path>.*?)>(?P<deleted>\(deleted\))?")


class Cut(Enum):
    """How much of what was not synced is gone."""

    KILLED = "only the process died, the machine did not"
    DATA_LOST = "all names are there, and of the contents what was synced"
    STRICT = "only what was synced is there, names and contents"


class File:
    """A file's content, now and as it was last synced; b"" when it never was."""

    def __init__(self, content: bytes = b"", *, synced: bool = False) -> None:
        self.content = bytearray(content)
        self.safe = content if synced else b""
        self.position = 0


class Folder:
    """A folder's names, now and as they were last synced."""

    def __init__(self) -> None:
        self.names: dict[str, File | Folder] = {}
        self.safe: dict[str, File | Folder] = {}


class Disk:
    """The files below one folder, which is itself safe."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._top = _load(root)

    def carry_out(self, call: Call) -> bool:
        """Do what a call did; False when that was not below the folder, or changes nothing."""
        act = getattr(self, f"_{call.name}", None)
        if act is None:
            return self._refuse(call)
        done: bool = act(call)
        return done

    def after(self, cut: Cut, target: Path) -> None:
        """Write what a power cut leaves into an empty folder."""
        _write(self._top, cut, target)

    def digest(self, cut: Cut) -> str:
        """Return what is the same for two disks of which a power cut leaves the same."""
        found = hashlib.blake2b()
        _digest(self._top, cut, found)
        return found.hexdigest()

    def _refuse(self, call: Call) -> bool:
        if any(str(self._root) in str(_text(argument)) for argument in call.arguments):
            raise NotImplementedError(f"the model does not know {call}")
        return False

    def _openat(self, call: Call) -> bool:
        flags, place = call.text(2), self._at(call, 0)
        if place is None or "O_TMPFILE" in flags:
            return False
        folder, name = place
        if "O_CREAT" in flags and name not in folder.names:
            folder.names[name] = File()
            return True
        found = folder.names.get(name)
        if isinstance(found, File) and not flags.startswith("O_RDONLY"):
            found.position = 0
            if "O_TRUNC" in flags:
                found.content.clear()
                return True
        return False

    def _write(self, call: Call) -> bool:
        file = self._opened(call)
        if not isinstance(file, File):
            return False
        data = call.data(1)
        file.content[file.position : file.position + len(data)] = data
        file.position += len(data)
        return True

    def _pwrite64(self, call: Call) -> bool:
        file = self._opened(call)
        if not isinstance(file, File):
            return False
        data, offset = call.data(1), int(call.text(3))
        file.content.extend(bytes(max(0, offset - len(file.content))))
        file.content[offset : offset + len(data)] = data
        return True

    def _ftruncate(self, call: Call) -> bool:
        file = self._opened(call)
        if not isinstance(file, File):
            return False
        size = int(call.text(1))
        del file.content[size:]
        file.content.extend(bytes(size - len(file.content)))
        return True

    def _fsync(self, call: Call) -> bool:
        found = self._opened(call)
        if isinstance(found, File):
            found.safe = bytes(found.content)
        elif found is not None:
            found.safe = dict(found.names)
        return found is not None

    _fdatasync = _fsync

    def _mkdir(self, call: Call) -> bool:
        place = self._place(_text(call.arguments[0]))
        if place is not None:
            place[0].names[place[1]] = Folder()
        return place is not None

    def _symlink(self, call: Call) -> bool:
        """A link is a name like any other; nothing below the folder is reached through one."""
        place = self._place(_text(call.arguments[1]))
        if place is not None:
            place[0].names[place[1]] = File(call.data(0), synced=True)
        return place is not None

    def _unlink(self, call: Call) -> bool:
        return self._remove(self._place(_text(call.arguments[0])))

    _rmdir = _unlink

    def _unlinkat(self, call: Call) -> bool:
        return self._remove(self._at(call, 0))

    def _rename(self, call: Call) -> bool:
        return self._name_again(call, keep=False)

    def _link(self, call: Call) -> bool:
        return self._name_again(call, keep=True)

    def _name_again(self, call: Call, *, keep: bool) -> bool:
        old, new = (self._place(_text(argument)) for argument in call.arguments[:2])
        if old is None or new is None:
            return False
        new[0].names[new[1]] = old[0].names[old[1]]
        if not keep:
            del old[0].names[old[1]]
        return True

    def _remove(self, place: tuple[Folder, str] | None) -> bool:
        return place is not None and place[0].names.pop(place[1], None) is not None

    def _at(self, call: Call, index: int) -> tuple[Folder, str] | None:
        match = _DESCRIPTOR.fullmatch(call.text(index))
        above = match["path"] if match else "/"
        return self._place(str(PurePosixPath(above) / _text(call.arguments[index + 1])))

    def _opened(self, call: Call) -> File | Folder | None:
        match = _DESCRIPTOR.fullmatch(call.text(0))
        if match is None or match["deleted"]:
            return None
        if match["path"] == str(self._root):
            return self._top
        place = self._place(match["path"])
        return place[0].names.get(place[1]) if place else None

    def _place(self, path: str) -> tuple[Folder, str] | None:
        """Return the folder in which a path's last name is; None for what is not below ours."""
        try:
            *above, name = PurePosixPath(path).relative_to(self._root).parts
        except ValueError:
            return None
        folder = self._top
        for part in above:
            found = folder.names.get(part)
            if not isinstance(found, Folder):
                return None
            folder = found
        return folder, name


def _load(path: Path) -> Folder:
    folder = Folder()
    for below in path.iterdir():
        found = _load(below) if below.is_dir() else File(below.read_bytes(), synced=True)
        folder.names[below.name] = folder.safe[below.name] = found
    return folder


def _write(folder: Folder, cut: Cut, target: Path) -> None:
    for name, found in (folder.safe if cut is Cut.STRICT else folder.names).items():
        if isinstance(found, Folder):
            (target / name).mkdir()
            _write(found, cut, target / name)
        else:
            content = found.content if cut is Cut.KILLED else found.safe
            (target / name).write_bytes(content)


def _digest(folder: Folder, cut: Cut, into: hashlib.blake2b) -> None:
    for name, found in sorted((folder.safe if cut is Cut.STRICT else folder.names).items()):
        into.update(repr(name).encode())
        if isinstance(found, Folder):
            into.update(b"{")
            _digest(found, cut, into)
            into.update(b"}")
        else:
            content = found.content if cut is Cut.KILLED else found.safe
            into.update(b"%d:" % len(content) + content)


def _text(argument: str | bytes) -> str:
    return argument if isinstance(argument, str) else argument.decode(errors="surrogateescape")


def states(root: Path, calls: list[Call]) -> Iterator[tuple[str, Disk]]:
    """Yield the disk as it was at first, and after each call that changed it, with that call."""
    disk = Disk(root)
    yield "before", disk
    for number, call in enumerate(calls):
        if disk.carry_out(call):
            yield f"{number} {call.name} {str(call.arguments)[:200]}", disk
