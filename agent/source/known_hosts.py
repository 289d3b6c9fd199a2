"""known_hosts: find the machine's own, and tell a stranger from an impostor.

Whether a key is right is libssh2's verdict, not ours; this module only helps to say why it is not.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
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


def names_host(text: str, host: str, port: int | None) -> bool:
    """Whether some line of a known_hosts file, plain or hashed, is about this host."""
    entry = host_entry(host, port)
    for line in text.splitlines():
        fields = line.split()
        if fields and fields[0].startswith("@"):  # @cert-authority, @revoked
            fields = fields[1:]
        if len(fields) < 3 or fields[0].startswith("#"):
            continue
        if any(_matches(pattern, entry) for pattern in fields[0].split(",")):
            return True
    return False


def keyscan_command(host: str, port: int | None) -> str:
    """Return the command that prints a host's keys in known_hosts form."""
    return f"ssh-keyscan -p {port} {host}" if port and port != 22 else f"ssh-keyscan {host}"


def _matches(pattern: str, entry: str) -> bool:
    if not pattern.startswith("|1|"):
        # fnmatch would read the brackets of [host]:port as a set of characters.
        return fnmatchcase(entry, pattern.replace("[", "[[]"))
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
