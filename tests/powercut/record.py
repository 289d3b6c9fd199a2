"""Runs a program under strace and returns what it did to the files below one folder."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_CALLS = (
    "openat,creat,write,pwrite64,writev,pwritev,fsync,fdatasync,sync,syncfs,"
    "rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,"
    "mkdir,mkdirat,rmdir,truncate,ftruncate,fallocate,copy_file_range,sendfile"
)
_LINE = re.compile(r"(?P<pid>\d+) +(?P<rest>.*)")
_DONE = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+|\?)(?P<more>.*)")
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>")
_UNFINISHED = " <unfinished ...>"
_ARGUMENT = re.compile(r'"(?:\\x[0-9a-f]{2})*"|[^",][^,]*')


@dataclass(frozen=True)
class Call:
    """A system call that succeeded: its arguments as strace shows them, strings as bytes."""

    name: str
    arguments: tuple[str | bytes, ...]

    def text(self, index: int) -> str:
        """Return an argument that is no string."""
        argument = self.arguments[index]
        if not isinstance(argument, str):
            raise TypeError(f"{self}: argument {index}")
        return argument

    def data(self, index: int) -> bytes:
        """Return an argument that is a string."""
        argument = self.arguments[index]
        if not isinstance(argument, bytes):
            raise TypeError(f"{self}: argument {index}")
        return argument


def record(command: Sequence[str], *, cwd: Path, log: Path) -> list[Call]:
    """Run the command to its end, which must be good, and return its calls in order."""
    strace = ["strace", "-f", "-qq", "-y", "-xx", "-s", str(1 << 26), "-o", str(log),
              "-e", f"trace={_CALLS}", "-e", "signal=none", "--"]  # fmt: skip
    subprocess.run([*strace, *command], cwd=cwd, check=True)
    return list(_calls(log.read_text().splitlines()))


def _calls(lines: Sequence[str]) -> Iterator[Call]:
    begun: dict[str, str] = {}
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"not understood: {line[:200]}")
        pid, rest = match["pid"], match["rest"]
        if rest.endswith(_UNFINISHED):
            begun[pid] = rest.removesuffix(_UNFINISHED)
            continue
        if (resumed := _RESUMED.match(rest)) is not None:
            rest = begun.pop(pid) + rest[resumed.end() :]
        done = _DONE.fullmatch(rest)
        if done is not None and not done["result"].startswith(("-", "?")):
            found = [_argument(text.strip()) for text in _ARGUMENT.findall(done["arguments"])]
            yield Call(done["name"], (*found, f"{done['result']}{_plain(done['more'])}"))


def _argument(text: str) -> str | bytes:
    if text.startswith('"'):
        return bytes.fromhex(text.strip('"').replace("\\x", ""))
    return _plain(text)


def _plain(text: str) -> str:
    """Undo the escapes in what ``-y`` says about descriptors."""
    escaped = re.compile(r"\\x([0-9a-f]{2})")
    return escaped.sub(lambda match: chr(int(match[1], 16)), text)
