"""Verifier: decides whether a revision is signed as a track asks.

What has been verified is not verified again until the keys change or one of them ends. Light on
purpose: the libraries that check signatures are only imported by an agent that uses them.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.config.model import VerifyMode
from agent.source.errors import SignatureError
from agent.source.signatures.material import KeyMaterial
from agent.source.signatures.signed import Candidate, of_commit, of_tag, tag_name

if TYPE_CHECKING:
    from agent.source.records import Record
    from agent.source.signatures.keyring import Keyring
    from agent.source.signatures.signer import Signer

_KEYS_TIMEOUT: Final = 10.0
"""Seconds that reading the keys may take."""

_NO_KEYS: Final = "signatures cannot be checked, for want of keys"


@dataclass(frozen=True, slots=True)
class _Verdict:
    record: Record
    keys: bytes
    signers: str
    until: float


class Verifier:
    """The check of one track's revisions."""

    def __init__(self, *, keys: KeyMaterial, mode: VerifyMode) -> None:
        self._keys = keys
        self._mode = mode
        self._last: _Verdict | None = None

    @property
    def identity(self) -> str:
        """What is asked for, in words: equal for tracks that trust the same signatures."""
        return f"{self._mode.value} {self._keys.identity}"

    async def check(
        self, record: Record, load: Callable[[], Awaitable[Candidate]], *, fresh: bool = False
    ) -> str:
        """Return who signed a revision, for people; raise SignatureError.

        ``load`` reads its objects, and what that raises is let through. Keys are read anew for
        another revision than the last one, after it was refused, and when the caller says so.
        """
        last = self._last if self._last and self._last.record == record else None
        try:
            material = await self._read_keys(fresh=fresh or last is None)
            keys = _digest(material)
            if last and last.keys == keys and time.time() < last.until:
                return last.signers
            candidate = await load()
            signers, until = await asyncio.to_thread(self._check, candidate, material)
        except SignatureError:
            if last:
                self._last = None
            raise
        self._last = _Verdict(record, keys, signers, until)
        return signers

    async def _read_keys(self, *, fresh: bool) -> Mapping[str, bytes]:
        try:
            async with asyncio.timeout(_KEYS_TIMEOUT):
                return await self._keys.read(fresh=fresh)
        except TimeoutError:
            raise SignatureError(f"{_NO_KEYS}: no answer within {_KEYS_TIMEOUT:g}s") from None
        except SignatureError as error:
            raise SignatureError(f"{_NO_KEYS}: {error.reason}", hint=error.hint) from None

    def _check(self, candidate: Candidate, material: Mapping[str, bytes]) -> tuple[str, float]:
        keyring, now = _keyring(material), time.time()
        if self._mode is VerifyMode.HEAD:
            head = _check_commit(candidate, keyring, now)
            return str(head), head.until
        tag = _check_tag(candidate, keyring, now)
        if self._mode is VerifyMode.TAG:
            return str(tag), tag.until
        head = _check_commit(candidate, keyring, now)
        both = str(tag) if str(tag) == str(head) else f"tag: {tag}; commit: {head}"
        return both, min(tag.until, head.until)


def _keyring(material: Mapping[str, bytes]) -> Keyring:
    from agent.source.signatures.keyring import Keyring

    try:
        return Keyring.parse(material)
    except SignatureError as error:
        raise SignatureError(f"{_NO_KEYS}: {error.reason}", hint=error.hint) from None


def _check_commit(candidate: Candidate, keyring: Keyring, now: float) -> Signer:
    try:
        return keyring.check(of_commit(candidate.commit), now=now)
    except SignatureError as error:
        raise _about(f"commit {candidate.commit_id[:12]}", error) from None


def _check_tag(candidate: Candidate, keyring: Keyring, now: float) -> Signer:
    shown = candidate.reference.removeprefix("refs/tags/")
    if candidate.tag is None or shown == candidate.reference:
        raise SignatureError(
            f"{shown} is no annotated tag, and only such a tag can be signed",
            hint="make it with git tag -s, or set verify.mode to head",
        )
    named = tag_name(candidate.tag)
    if named != shown:
        # Else an old signed tag could be served under the name of a new one.
        raise SignatureError(
            f"tag {shown} is really the tag {named!r} under another name",
            hint="sign a tag of that name",
        )
    try:
        return keyring.check(of_tag(candidate.tag), now=now)
    except SignatureError as error:
        raise _about(f"tag {shown}", error) from None


def _about(what: str, error: SignatureError) -> SignatureError:
    return SignatureError(f"{what} is refused: {error.reason}", hint=error.hint)


def _digest(material: Mapping[str, bytes]) -> bytes:
    whole = hashlib.sha256()
    for name, data in material.items():
        whole.update(hashlib.sha256(name.encode(errors="surrogateescape")).digest())
        whole.update(hashlib.sha256(data).digest())
    return whole.digest()
