"""known_hosts: find the machine's own, pick a host's lines, tell a stranger from an impostor.

Whether a key is right is libssh2's verdict, not ours. It knows no patterns and no markers, so it is
given the lines about one host only, and under the name it connects to.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

SYSTEM_FILE: Final = Path("/etc/ssh/ssh_known_hosts")


def machine_known_hosts(environ: Mapping[str, str], *, system: Path = SYSTEM_FILE) -> str:
    """Return the text of the machine's known_hosts files, "" when there is none.

    ``SSH_KNOWN_HOSTS`` (a colon list of files) replaces ``~/.ssh/known_hosts`` and the system's,
    as in Faros (faros.md section 4.1).
    """
    listed = environ.get("SSH_KNOWN_HOSTS", "")
    if listed:
        candidates = [Path(part) for part in listed.split(":") if part]
    else:
        home = environ.get("HOME", "")
        candidates = [Path(home, ".ssh", "known_hosts")] if home else []
        candidates.append(system)
    return "".join(_text(path) for path in candidates)


def host_entry(host: str, port: int | None) -> str:
    """Return the name known_hosts uses for a host: ``host``, or ``[host]:port`` off port 22."""
    return f"[{host}]:{port}" if port and port != 22 else host


def trusted_keys(text: str, host: str, port: int | None, *, entry: str) -> str:
    """Return the lines that say which keys a host has, each naming ``entry`` alone (sshd(8)).

    As with OpenSSH a line about the bare host counts for any port if none names the port, a
    negated pattern excludes its line, and a key marked ``@revoked`` is no key of anybody.
    Certificate authorities are left out: libssh2 cannot use them.
    """
    lines = list(_lines(text))
    revoked = {line.key for line in lines if line.marker == "@revoked"}
    plain = [line for line in lines if not line.marker and line.key not in revoked]
    for name in (host_entry(host, port), host):
        found = [line for line in plain if _names(line, name)]
        if found:
            return "".join(f"{entry} {' '.join(line.key)}\n" for line in found)
    return ""


def keyscan_command(host: str, port: int | None) -> str:
    """Return the command that prints a host's keys in known_hosts form."""
    return f"ssh-keyscan -p {port} {host}" if port and port != 22 else f"ssh-keyscan {host}"


@dataclass(frozen=True, slots=True)
class _Line:
    marker: str
    hosts: tuple[str, ...]
    key: tuple[str, str]


def _lines(text: str) -> Iterator[_Line]:
    for line in text.splitlines():
        fields = line.split()
        marker = fields.pop(0) if fields and fields[0].startswith("@") else ""
        if len(fields) >= 3 and not fields[0].startswith("#"):
            yield _Line(marker, tuple(fields[0].split(",")), (fields[1], fields[2]))


def _names(line: _Line, entry: str) -> bool:
    negated = [host[1:] for host in line.hosts if host.startswith("!")]
    if any(_matches(pattern, entry) for pattern in negated):
        return False
    return any(_matches(pattern, entry) for pattern in line.hosts if not pattern.startswith("!"))


def _matches(pattern: str, entry: str) -> bool:
    if not pattern.startswith("|1|"):
        # fnmatch would read the brackets of [host]:port as a set of characters.
        return fnmatchcase(entry, pattern.lower().replace("[", "[[]"))
    try:
        salt, digest = (base64.b64decode(part) for part in pattern[3:].split("|", 1))
    except (ValueError, binascii.Error):
        return False
    return hmac.compare_digest(hmac.digest(salt, entry.encode(), hashlib.sha1), digest)


def _text(path: Path) -> str:
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return ""
    return text if text.endswith("\n") or not text else f"{text}\n"
