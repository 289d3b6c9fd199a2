"""Verdicts: which desired object was found, or made, equal to which live one.

While neither of the two changes, an object costs no request and no merge. Verdicts are kept on
disk as well, so that a restart on a converged cluster asks the API server about no single object.
A lost or foreign file costs those questions, nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection
from pathlib import Path

import msgspec

from agent import __version__
from agent.manifest.keys import ObjectKey
from agent.plan.ownership import Record

logger = logging.getLogger(__name__)

WATCH_LAG = 30.0
"""Seconds for which an event older than the verdict is taken for a late one. After that it is
news, whatever its resourceVersion: a restored etcd counts anew from an earlier one."""


_LONG_AGO = -1e9


class Verdict(msgspec.Struct, frozen=True):
    """A desired object's digest, the live object it is in step with, and when that was seen.

    ``in_vain`` is whether a patch of it once changed nothing, as the server made of it what was
    there (Outcome.in_vain).
    """

    desired: bytes
    live: Record
    note: str  # how it was brought in step, when that is worth telling
    seen_at: float  # on the monotonic clock; a verdict from disk is _LONG_AGO
    in_vain: bool = False

    def covers(self, desired: bytes, live: Record) -> bool:
        """True when nothing that matters changed since."""
        return (
            self.desired == desired
            and self.live.uid == live.uid
            and not live.deleting
            and (self.live.digest == live.digest or self._is_late(live))
        )

    def accepted(self, desired: bytes) -> str:
        """Return the UID of the object for which the server took this manifest as it is, or ""."""
        return self.live.uid if self.desired == desired and not self.in_vain else ""

    def is_about(self, desired: bytes, uid: str) -> bool:
        """True when this very manifest was judged, and this very object."""
        return (self.desired, self.live.uid) == (desired, uid)

    def is_of(self, live: Record) -> bool:
        """True when this is the object that was judged, at most its status being another."""
        mine = (self.live.uid, self.live.digest, self.live.owner, self.live.deleting)
        same = mine == (live.uid, live.digest, live.owner, live.deleting)
        return same and not self._is_late(live)

    def _is_late(self, live: Record) -> bool:
        """Tell an event that the watch delivers after our own write (KEP-5504 on the order)."""
        if time.monotonic() - self.seen_at > WATCH_LAG:
            return False
        try:
            return int(live.resource_version) < int(self.live.resource_version)
        except ValueError:
            return False


class _File(msgspec.Struct):
    """What is on disk. ``made_by``: another version or context may judge otherwise."""

    made_by: str
    verdicts: list[Verdict]


class Verdicts:
    """The verdicts of one track, kept in ``path``.

    ``context`` is what they depend on besides the objects (cluster, inventory, options of the
    track): what was judged in another one is judged anew.
    """

    def __init__(self, path: Path, *, context: str = "") -> None:
        self._path = path
        self._made_by = f"lightkeeper/{__version__} {context}"
        self._verdicts: dict[ObjectKey, Verdict] = {}
        self._saved = True

    def get(self, key: ObjectKey) -> Verdict | None:
        """Return the verdict on an object, None when there is none."""
        return self._verdicts.get(key)

    def put(
        self, desired: bytes, live: Record, *, note: str = "", in_vain: bool = False
    ) -> Verdict:
        """Remember that ``live`` is what the desired object of this digest asks for.

        What was once ``in_vain`` is so until the manifest or the object is another.
        """
        if before := self._verdicts.get(live.key):
            in_vain = in_vain or (before.in_vain and before.is_about(desired, live.uid))
        verdict = Verdict(desired, live, note, time.monotonic(), in_vain)
        self._verdicts[live.key] = verdict
        self._saved = False
        return verdict

    def share(self, record: Record) -> None:
        """Keep the watch's record in place of one of the same content, instead of both."""
        verdict = self._verdicts.get(record.key)
        if verdict is not None and verdict.live is not record and verdict.is_of(record):
            self._verdicts[record.key] = msgspec.structs.replace(verdict, live=record)

    def drop(self, key: ObjectKey) -> None:
        """Forget an object."""
        if self._verdicts.pop(key, None) is not None:
            self._saved = False

    def retain(self, keys: Collection[ObjectKey]) -> None:
        """Forget all other objects."""
        for key in self._verdicts.keys() - keys:
            self.drop(key)

    def objects(self) -> set[ObjectKey]:
        """Return the objects there is a verdict on."""
        return set(self._verdicts)

    async def load(self) -> None:
        """Take over what an earlier process left. An unusable file is left aside."""
        try:
            content = await asyncio.to_thread(self._path.read_bytes)
            file = msgspec.msgpack.decode(content, type=_File)
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError) as error:
            logger.warning("%s is left aside: %s; every object is compared anew", self._path, error)
            return
        if file.made_by == self._made_by:
            self._verdicts = {verdict.live.key: verdict for verdict in file.verdicts}

    async def save(self) -> None:
        """Write the file, whole or not at all, if anything changed.

        A failure is logged; what is lost is only a saving.
        """
        if self._saved:
            return
        self._saved = True
        verdicts = [msgspec.structs.replace(v, seen_at=_LONG_AGO) for v in self._verdicts.values()]
        content = msgspec.msgpack.encode(_File(self._made_by, verdicts))
        try:
            await asyncio.to_thread(self._write, content)
        except OSError as error:
            logger.warning("%s cannot be written: %s", self._path, error.strerror)

    def _write(self, content: bytes) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_name(f".{self._path.name}.new")
        temporary.touch(mode=0o600)  # digests of whole Secrets are nobody else's business
        temporary.write_bytes(content)
        temporary.replace(self._path)
