"""Takes a git object apart into what was signed and the signature over it. Pure.

A commit's signature is its ``gpgsig`` header, whatever the kind of signature; what was signed is
the object without that header. A tag's signature is the end of its message. Both as git's own
commit.c and gpg-interface.c have it (gitformat-signature(5)).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from agent.source.errors import SignatureError

_GPGSIG: Final = b"gpgsig"
_OTHER: Final = b"gpgsig-sha256"  # over the commit's form in SHA-256; git leaves it out likewise
_BEGIN: Final = re.compile(
    rb"(?m)^-----BEGIN (?:PGP SIGNATURE|PGP MESSAGE|SSH SIGNATURE|SIGNED MESSAGE)-----"
)
_TIME: Final = re.compile(rb"(?m)^(?:committer|tagger) [^\n]*> ([0-9]{1,12}) [+-][0-9]{4}$")
_TAG_NAME: Final = re.compile(rb"object [0-9a-f]+\ntype [a-z]+\ntag ([^\n]*)\n")
_HINT: Final = "sign it (git commit -S, git tag -s), or take verify out of the track"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A revision that wants to be trusted: its objects as git hashes them, without git's prefix.

    ``commit_id`` and ``reference`` name it; ``tag`` is the annotated tag that the reference is,
    None when it is none.
    """

    commit_id: str
    commit: bytes
    reference: str
    tag: bytes | None = None


@dataclass(frozen=True, slots=True)
class Signed:
    """What was signed, and the signature in its armor.

    ``at`` is when the object says it was made, Unix seconds; None when it does not.
    """

    payload: bytes
    signature: bytes
    at: int | None


def of_commit(raw: bytes) -> Signed:
    """Take a commit apart; raise SignatureError when it is not signed, or twice."""
    header, blank, message = raw.partition(b"\n\n")
    kept: list[bytes] = []
    taken: dict[bytes, list[bytes]] = {}
    name = b""
    for line in header.split(b"\n"):
        continued = line.startswith(b" ")
        if not continued:
            name = line.partition(b" ")[0]
        if name not in (_GPGSIG, _OTHER):
            kept.append(line)
        elif continued:
            taken[name].append(line[1:])
        elif name in taken:
            raise SignatureError(f"it has two {name.decode()} headers, so it is not git's work")
        else:
            taken[name] = [line[len(name) + 1 :]]
    if _GPGSIG not in taken:
        raise SignatureError("it is not signed", hint=_HINT)
    payload = b"\n".join(kept) + blank + message
    return Signed(payload, b"\n".join(taken[_GPGSIG]), _time(b"\n".join(kept)))


def of_tag(raw: bytes) -> Signed:
    """Take an annotated tag apart; raise SignatureError when it is not signed."""
    begins = [match.start() for match in _BEGIN.finditer(raw)]
    if not begins:
        raise SignatureError("it is not signed", hint=_HINT)
    payload = raw[: begins[-1]]
    return Signed(payload, raw[begins[-1] :], _time(payload.partition(b"\n\n")[0]))


def tag_name(raw: bytes) -> str:
    """Return the name that an annotated tag gives itself, "" when it has none."""
    match = _TAG_NAME.match(raw)
    return match[1].decode(errors="replace") if match else ""


def _time(header: bytes) -> int | None:
    match = _TIME.search(header)
    return int(match[1]) if match else None
