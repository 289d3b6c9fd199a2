"""Revisions: what a track makes of a commit in its mirror, and the last one that was good.

Duty: have the signature checked, select the files, record what is good, and go back to that when
the remote cannot be asked. Works on the disk only; what is fetched, and when, is
``git``'s business.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from agent import log
from agent.manifest.ignore import IgnoreRules
from agent.source.contents import Contents, Wanted
from agent.source.errors import (
    ContentsRefused,
    ContentsUndecided,
    FetchError,
    MirrorDamaged,
    PathNotFound,
    SignatureError,
    SourceError,
    VerificationError,
)
from agent.source.listing import FOLDER
from agent.source.ondisk import OnDisk
from agent.source.pool import WorkerDied
from agent.source.records import Record
from agent.source.signatures.verifier import Verifier
from agent.source.snapshot import Revision, Snapshot, Trust

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Revisions:
    """What one track sees of the mirror of ``url``.

    ``reference``, ``ignore``, ``verifier`` and ``agent`` are as GitSource has them, ``sub_path`` is
    a clean one. Raises ValueError for a pattern that is none.
    """

    def __init__(
        self,
        mirror: OnDisk,
        *,
        url: str,
        reference: str,
        sub_path: str,
        ignore: Sequence[str],
        verifier: Verifier | None,
        agent: str,
    ) -> None:
        self._mirror = mirror
        self._url = url
        self._sub_path = sub_path
        IgnoreRules.configured(ignore)  # a pattern that is none is better found out now
        self._wanted = Wanted(sub_path, tuple(ignore))
        self._verifier = verifier
        self._agent = agent
        # A record is for those who ask for the same signatures, lest one track's good revision
        # replaces another's; one that was made before any were asked for may pass the check.
        self._unverified_track = _track_key(reference, sub_path)
        self.track = _track_key(reference, sub_path, verifier.identity if verifier else "")
        self._good: Snapshot | None = None
        self._said: set[str] = set()

    @property
    def record_files(self) -> tuple[Path, ...]:
        """Where the last good revision may be recorded; there need not be such files."""
        tracks = dict.fromkeys((self.track, self._unverified_track))
        return tuple(self._mirror.records.file(track) for track in tracks)

    def record(self, commit: str, reference: str, tag: str) -> Record:
        """Return a revision as it is recorded for this track."""
        return Record(commit, reference, tag, self._agent)

    def check_can_be_signed(self, reference: str) -> None:
        """Raise VerificationError if a signature is asked for of what a listing calls a folder."""
        if self._verifier is not None and reference == FOLDER:
            raise VerificationError(
                self._url,
                "a plain folder cannot be signed",
                hint="track a git repository or a bundle, or remove verify",
            )

    async def judge(self, record: Record, *, checked_at: float) -> Snapshot:
        """Return the files of a revision that the mirror holds, and record it as good.

        NEW or UNCHANGED; EMPTY without files. Raises VerificationError, ContentsUndecided,
        FetchError and MirrorDamaged.
        """
        verified = await self._verified(record)
        contents = await self._contents(record)
        if not contents.selection.files:
            snapshot = _snapshot(Trust.EMPTY, contents, checked_at=checked_at, verified=verified)
            return replace(snapshot, error=self._nothing_there(contents))
        previous = await self.on_disk(self._mirror.recall(self.track))
        if record != previous:
            await self.on_disk(self._mirror.remember(self.track, record))
        known = previous is not None and previous.commit == record.commit
        if verified and not known:
            signed = log.fields(repository=self._url, commit=record.commit, signer=verified)
            _log.info("revision verified", extra=signed)
        trust = Trust.UNCHANGED if known else Trust.NEW
        return self._kept(_snapshot(trust, contents, checked_at=checked_at, verified=verified))

    async def confirm(self, last: Snapshot, *, checked_at: float, fresh: bool) -> Snapshot | None:
        """Return a snapshot again, for its revision is still the newest; None to look anew.

        Its signature has to hold by the keys of now, read anew if ``fresh``; raises
        VerificationError.
        """
        if last.revision is None:
            return None
        try:
            verified = await self._verified(self._record_of(last.revision), fresh=fresh)
        except MirrorDamaged:
            return None
        trust = Trust.EMPTY if last.trust is Trust.EMPTY else Trust.UNCHANGED
        return self._kept(replace(last, trust=trust, checked_at=checked_at, verified=verified))

    async def fall_back(self) -> Snapshot | None:
        """Return the last good revision if its signature still counts: keys are taken away."""
        return await self._still_good() or await self.last_good()

    async def last_good(self) -> Snapshot | None:
        """Return the last good revision from disk (STALE); None without one."""
        self._good = await self._recalled(self.track)
        if self._good is None and self._verifier is not None:
            self._good = await self._recalled(self._unverified_track)
        return self._good

    def forget(self) -> None:
        """Remember nothing any more but what is on disk."""
        self._good = None

    async def on_disk(self, work: Awaitable[T]) -> T:
        """Await work on the mirror; the machine's own failures become a FetchError."""
        try:
            return await work
        except (OSError, WorkerDied) as error:
            raise self.unusable(error) from error

    def unusable(self, error: Exception) -> FetchError:
        """Return the error for a mirror that the machine keeps from being used."""
        return FetchError(
            self._url,
            f"the mirror cannot be used: {error}",
            hint="check space, permissions and owner of state-dir",
        )

    def _kept(self, snapshot: Snapshot) -> Snapshot:
        if snapshot.may_prune:
            self._good = snapshot
        self._said.clear()
        return snapshot

    async def _still_good(self) -> Snapshot | None:
        good = self._good
        if good is None or good.revision is None or self._verifier is None:
            return good
        try:
            return replace(good, verified=await self._verified(self._record_of(good.revision)))
        except (MirrorDamaged, SourceError):
            return None

    async def _recalled(self, track: str) -> Snapshot | None:
        try:
            record = await self.on_disk(self._mirror.recall(track))
            if record is None:
                return None
            verified = await self._verified(record)
            contents = await self._contents(record)
            checked_at = await self.on_disk(self._mirror.last_answer(track))
        except (MirrorDamaged, SourceError) as error:
            if str(error) not in self._said:  # it is the same at each poll
                _log.warning("%s: the last good revision cannot be used: %s", self._url, error)
            self._said.add(str(error))
            return None
        return _snapshot(Trust.STALE, contents, checked_at=checked_at, verified=verified)

    async def _verified(self, record: Record, *, fresh: bool = False) -> str:
        """Return who signed a revision, "" when nobody asks; raise VerificationError.

        Raises MirrorDamaged too, when its objects have to be read for that.
        """
        if self._verifier is None:
            return ""
        try:
            return await self._verifier.check(
                record, lambda: self.on_disk(self._mirror.candidate(record)), fresh=fresh
            )
        except SignatureError as error:
            raise VerificationError(self._url, error.reason, hint=error.hint) from error

    def _record_of(self, revision: Revision) -> Record:
        return self.record(revision.commit, revision.reference, revision.tag)

    async def _contents(self, record: Record) -> Contents:
        try:
            return await self.on_disk(self._mirror.contents(record, self._wanted))
        except ContentsRefused as error:
            raise ContentsUndecided(
                self._url,
                f"commit {record.commit[:12]}: {error}",
                hint="until it is mended the last good revision is kept and nothing is deleted",
            ) from error

    def _nothing_there(self, contents: Contents) -> PathNotFound:
        why = contents.selection.nothing
        check = "" if why else "; check sub-path: a folder with .yaml, .yml or .json"
        return PathNotFound(
            self._url,
            f"no files for sub-path {self._sub_path!r} in commit {contents.revision.commit[:12]}"
            + (f": {why}" if why else ""),
            hint=f"nothing is deleted for it{check}",
        )


def _snapshot(
    trust: Trust, contents: Contents, *, checked_at: float | None, verified: str
) -> Snapshot:
    selection = contents.selection
    return Snapshot(
        trust,
        contents.revision,
        selection.tree_id,
        selection.files,
        checked_at=checked_at,
        notes=selection.notes,
        verified=verified,
    )


def _track_key(reference: str, sub_path: str, verify: str = "") -> str:
    parts = (reference, sub_path, verify) if verify else (reference, sub_path)
    return hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()[:16]
