"""Trusted SSH keys, as lines of authorized_keys (sshd(8)) or allowed_signers (ssh-keygen(1)). Pure.

The form of a line is told by what stands before the key: nothing, options of authorized_keys, or
principals and perhaps options of allowed_signers. Principals are only a name to show: git, too,
asks no more than that the key is listed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Final

from agent.source.errors import SignatureError
from agent.source.signatures import sshsig

_INSIDE: Final = r'(?:\\"|\\(?!")|[^"\\])*'  # of quotes; only \" is an escape
_WORD: Final = re.compile(rf'(?:[^\s"]|"{_INSIDE}")+')
_OPTION: Final = re.compile(rf'([A-Za-z0-9-]+)(?:="({_INSIDE})")?(?:,|$)')
_STAMP: Final = re.compile(r"([0-9]{8}(?:[0-9]{4}(?:[0-9]{2})?)?)(Z?)")
_STAMP_FORMS: Final = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_KEY_TYPE: Final = re.compile(r"(?:sk-)?(?:ssh|ecdsa|x509|webauthn|rsa|null)-[A-Za-z0-9@.-]+")
_OPTION_NAMES: Final = frozenset({
    # of authorized_keys
    "agent-forwarding", "cert-authority", "command", "environment", "expiry-time", "from",
    "no-agent-forwarding", "no-port-forwarding", "no-pty", "no-touch-required", "no-user-rc",
    "no-x11-forwarding", "permitlisten", "permitopen", "port-forwarding", "principals", "pty",
    "restrict", "tunnel", "user-rc", "verify-required", "x11-forwarding",
    # of allowed_signers
    "namespaces", "valid-after", "valid-before",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A key that may sign, and under which conditions.

    ``blob`` is its encoding, ``name`` whose it is. Times are Unix seconds. ``namespaces`` are the
    patterns of what it may sign for, none for everything. A security key has to be touched, and
    ``pin`` if it has to know by whom.
    """

    blob: bytes
    name: str = ""
    namespaces: str = ""
    valid_after: float = -math.inf
    valid_before: float = math.inf
    touch: bool = True
    pin: bool = False

    @property
    def fingerprint(self) -> str:
        """The fingerprint as ``ssh-keygen -l`` prints it."""
        digest = base64.b64encode(hashlib.sha256(self.blob).digest())
        return f"SHA256:{digest.decode().rstrip('=')}"

    def objection(self, *, at: float | None, now: float, flags: int | None) -> str:
        """Return why a signature by this key does not count, "" when it does.

        The key has to be valid now and at ``at``, when the object says it was made: somebody with
        an old key can write any date.
        """
        if self.namespaces and not _allows(self.namespaces, sshsig.NAMESPACE.decode()):
            return f"may not sign for git, only for {self.namespaces}"
        for moment in (now, now if at is None else at):
            if moment < self.valid_after:
                return f"is not valid before {_shown(self.valid_after)}"
            if moment >= self.valid_before:
                return f"is not valid from {_shown(self.valid_before)} on"
        if flags is not None and self.touch and not flags & sshsig.TOUCHED:
            return "was not touched; add no-touch-required to its line if that is meant"
        if flags is not None and self.pin and not flags & sshsig.PIN_GIVEN:
            return "was used without PIN or fingerprint, which its line requires"
        return ""


def parse_lines(text: str, *, source: str) -> tuple[TrustedKey, ...]:
    """Read all lines; raise SignatureError with ``source:line`` for the first that is no good."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        try:
            found.append(_parse_line(stripped))
        except SignatureError as error:
            raise SignatureError(f"{source}:{number}: {error.reason}", hint=error.hint) from None
    return tuple(found)


def _parse_line(line: str) -> TrustedKey:
    words = _WORD.findall(line)
    place = next((i for i, word in enumerate(words[:3]) if _KEY_TYPE.fullmatch(word)), None)
    if place is None or len(words) < place + 2:
        raise SignatureError(
            "not a public SSH key", hint='write "ssh-ed25519 AAAA… name" or an allowed_signers line'
        )
    blob = _blob(words[place], words[place + 1])
    before, comment = words[:place], " ".join(words[place + 2 :])
    options = _options(before[-1]) if before else None
    if len(before) == 2 and options is None:
        raise SignatureError("its options cannot be read")
    principals = "" if not before or (len(before) == 1 and options is not None) else before[0]
    return _with_options(blob, principals.strip('"') or comment, options or {})


def _blob(kind: str, encoded: str) -> bytes:
    if "-cert-v" in kind:
        raise SignatureError("SSH certificates are not supported", hint="list the key itself")
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise SignatureError("the key is not base64") from None
    if sshsig.key_type(blob) != kind:
        raise SignatureError(f"the key is not of the type that the line says, {kind}")
    sshsig.load_key(blob)
    return blob


def _options(word: str) -> dict[str, str] | None:
    """Read a list of options; None when the word is something else."""
    found: dict[str, str] = {}
    end = 0
    while end < len(word):
        match = _OPTION.match(word, end)
        if match is None or match[1].lower() not in _OPTION_NAMES:
            return None
        found[match[1].lower()] = match[2] or ""
        end = match.end()
    return found


def _with_options(blob: bytes, name: str, options: dict[str, str]) -> TrustedKey:
    if "cert-authority" in options:
        raise SignatureError(
            "certificate authorities (cert-authority) are not supported",
            hint="list the keys that sign",
        )
    before = [_time(options[key]) for key in ("valid-before", "expiry-time") if key in options]
    return TrustedKey(
        blob,
        name=name,
        namespaces=options.get("namespaces", ""),
        valid_after=_time(options["valid-after"]) if "valid-after" in options else -math.inf,
        valid_before=min(before, default=math.inf),
        touch="no-touch-required" not in options,
        pin="verify-required" in options,
    )


def _time(stamp: str) -> float:
    """Read YYYYMMDD[HHMM[SS]][Z]: with Z it is UTC, without the machine's time."""
    match = _STAMP.fullmatch(stamp)
    try:
        if match is None:
            raise ValueError
        moment = datetime.strptime(match[1], _STAMP_FORMS[len(match[1])])
        return (moment.replace(tzinfo=UTC) if match[2] else moment).timestamp()
    except (ValueError, OverflowError, OSError):
        raise SignatureError(
            f"{stamp[:40]!r} is not a time", hint="write YYYYMMDD or YYYYMMDDHHMM[SS], Z for UTC"
        ) from None


def _allows(patterns: str, namespace: str) -> bool:
    """Match as OpenSSH does (ssh_config(5), PATTERNS): one that starts with ! refuses."""
    allowed = False
    for pattern in patterns.split(","):
        if fnmatchcase(namespace, pattern.removeprefix("!").replace("[", "[[]")):
            if pattern.startswith("!"):
                return False
            allowed = True
    return allowed


def _shown(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
