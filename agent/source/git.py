"""GitSource: one track's view of one repository.

Duty: poll (list refs; fetch only what moved), fall back to the last good revision on disk, read
files by blob id. Network calls go through the Fetcher, disk work through the Mirror in a thread;
this module decides which, and what the outcome is worth.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from agent import log
from agent.manifest.paths import clean_sub_path, is_manifest_path
from agent.source.credentials import CredentialProvider, Credentials, for_url
from agent.source.errors import (
    AuthError,
    CredentialsError,
    FetchError,
    FetchTimeout,
    MirrorDamaged,
    PathNotFound,
    ReferenceNotFound,
    SignatureError,
    SourceError,
    VerificationError,
)
from agent.source.fetcher import Deadline, Fetcher, timed_out
from agent.source.known_hosts import keyscan_command, machine_known_hosts
from agent.source.mirror import Contents, Mirror, Record
from agent.source.resolve import Target, resolve, wanted_commit
from agent.source.signatures.verifier import Verifier
from agent.source.snapshot import Revision, Snapshot, TreeFile, Trust
from agent.source.url import GitUrl, parse_url

_log = logging.getLogger(__name__)

_PACK_LIMIT: Final = 50
"""Packs, that is fetches, after which a mirror is repacked."""

P = ParamSpec("P")
T = TypeVar("T")


class GitSource:
    """What one track reads from git: a repository, a reference in it, a folder below that.

    Tracks of one URL share a mirror under ``state_dir``/repositories. ``reference`` is a tag, a
    branch, a ref's name, a full commit id, or "" for the remote's HEAD. ``timeout`` bounds the
    network side of one poll, in seconds. ``verifier`` has to find each revision well signed before
    anything of it is used; None asks for no signature. Raises UnsupportedUrl and manifest's
    SubPathError.
    """

    def __init__(  # noqa: PLR0913 - each is a fact of its own
        self,
        *,
        url: str,
        reference: str,
        sub_path: str,
        state_dir: Path,
        credentials: CredentialProvider,
        timeout: float,
        fetcher: Fetcher,
        verifier: Verifier | None = None,
    ) -> None:
        self._url: GitUrl = parse_url(url)
        self._reference = reference
        self._sub_path = clean_sub_path(sub_path)
        self._credentials = credentials
        self._timeout = timeout
        self._fetcher = fetcher
        self._mirror = Mirror(state_dir / "repositories" / self._url.mirror_name())
        self._lock = fetcher.lock(self._mirror.path)
        self._verifier = verifier
        # A record is for those who ask for the same signatures, lest one track's good revision
        # replaces another's; one that was made before any were asked for may pass the check.
        self._unverified_track = _track_key(reference, self._sub_path)
        self._track = _track_key(reference, self._sub_path, verifier.identity if verifier else "")
        self._last: Snapshot | None = None
        self._good: Snapshot | None = None
        self._said: set[str] = set()

    @property
    def url(self) -> str:
        """The repository's URL, redacted."""
        return self._url.redacted()

    async def poll(self) -> Snapshot:
        """Ask the remote, fetch what moved, and say what is there.

        Never raises for what is wrong with the source: it is the snapshot's ``error``, and the
        files are then those of the last good revision (STALE), or none (UNREADABLE, EMPTY).
        """
        try:
            return await self._poll(Deadline.after(self._timeout))
        except SourceError as error:
            good = await self._still_good() or await self.last_good()
            if good is None:
                return Snapshot(Trust.UNREADABLE, error=error)
            return replace(good, trust=Trust.STALE, error=error)

    async def last_good(self) -> Snapshot | None:
        """Return the last good revision from disk (STALE), without network; None without one."""
        self._good = await self._recall(self._track)
        if self._good is None and self._verifier is not None:
            self._good = await self._recall(self._unverified_track)
        return self._good

    async def _recall(self, track: str) -> Snapshot | None:
        try:
            record = await self._on_disk(self._mirror.recall, track)
            if record is None:
                return None
            verified = await self._verified(record)
            contents = await self._contents(record)
        except (MirrorDamaged, SourceError) as error:
            if str(error) not in self._said:  # it is the same at each poll
                _log.warning("%s: the last good revision cannot be used: %s", self.url, error)
            self._said.add(str(error))
            return None
        return _snapshot(Trust.STALE, contents, checked_at=None, verified=verified)

    async def _still_good(self) -> Snapshot | None:
        """Return the last good revision if its signature still counts: keys are taken away."""
        good = self._good
        if good is None or good.revision is None or self._verifier is None:
            return good
        try:
            return replace(good, verified=await self._verified(_record(good.revision)))
        except (MirrorDamaged, SourceError):
            return None

    async def read(self, files: Sequence[TreeFile]) -> dict[str, bytes]:
        """Return the files' contents by blob id; raise FetchError when the mirror lost one.

        The next poll then finds out what else is lost, and rebuilds the mirror.
        """
        try:
            return await self._on_disk(self._mirror.blobs, {file.blob_id for file in files})
        except MirrorDamaged as damage:
            self._last = None
            raise FetchError(
                self.url,
                f"the repository on disk is damaged: {damage}",
                hint="it is rebuilt at the next poll",
            ) from damage

    async def close(self) -> None:
        """Forget what was read; the workers are the fetcher's, which its owner closes."""
        self._last = self._good = None

    async def _poll(self, deadline: Deadline) -> Snapshot:
        credentials = await self._ready_credentials(deadline)
        target = await self._resolve(credentials, deadline)
        checked_at = time.time()
        snapshot = await self._unchanged(target, checked_at)
        if snapshot is None:
            async with self._exclusive(deadline):
                snapshot = await self._advance(target, credentials, deadline, checked_at)
        self._last = snapshot
        if snapshot.may_prune:
            self._good = snapshot
        self._said.clear()
        return snapshot

    async def _unchanged(self, target: Target, checked_at: float) -> Snapshot | None:
        """Return the last snapshot again if ``target`` is what it shows; None otherwise."""
        last = self._last
        if last is None or last.revision is None or not _is_at(last.revision, target):
            return None
        try:
            verified = await self._verified(_record(last.revision))
        except MirrorDamaged:
            return None
        trust = Trust.EMPTY if last.trust is Trust.EMPTY else Trust.UNCHANGED
        return replace(last, trust=trust, checked_at=checked_at, verified=verified)

    async def _ready_credentials(self, deadline: Deadline) -> Credentials:
        try:
            async with asyncio.timeout(deadline.left()):
                given = await self._credentials.get()
        except TimeoutError:
            raise timed_out(self._url, deadline) from None
        except CredentialsError as error:
            raise AuthError(self.url, f"unable to retrieve git credentials: {error}") from error
        credentials = for_url(given, self._url)
        if not self._url.is_ssh or credentials.known_hosts.strip():
            return credentials
        trusted = await asyncio.to_thread(machine_known_hosts, os.environ)
        if not trusted.strip():
            command = keyscan_command(self._url.host, self._url.port)
            raise AuthError(
                self.url,
                "there is no known_hosts, so the server's host key cannot be verified",
                hint=f"make one with `{command} > known_hosts`, compare the fingerprint with the "
                "server's owner, and give it to the track or put it in ~/.ssh/known_hosts",
            )
        return replace(credentials, known_hosts=trusted)

    async def _resolve(self, credentials: Credentials, deadline: Deadline) -> Target:
        listing = await self._fetcher.list_refs(
            self._url, credentials, reference=self._reference, deadline=deadline
        )
        target = resolve(self._reference, listing)
        if target is not None:
            return target
        if self._reference in {"", "HEAD"}:
            raise ReferenceNotFound(
                self.url,
                "the remote has no HEAD: it is empty, or its default branch does not exist",
                hint="push something, or set reference",
            )
        raise ReferenceNotFound(
            self.url,
            f"unable to resolve reference {self._reference!r}: no tag, branch or ref of that name",
            hint="check reference; a commit is named by its full 40-digit id",
        )

    @asynccontextmanager
    async def _exclusive(self, deadline: Deadline) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(deadline.left()):
                await self._lock.acquire()
        except TimeoutError:
            raise timed_out(self._url, deadline) from None
        try:
            yield
        finally:
            self._lock.release()

    async def _advance(
        self, target: Target, credentials: Credentials, deadline: Deadline, checked_at: float
    ) -> Snapshot:
        """Bring the mirror to ``target`` and record it; rebuild the mirror once if it is broken."""
        try:
            return await self._bring(target, credentials, deadline, checked_at)
        except MirrorDamaged as damage:
            _log.warning("%s: rebuilding the mirror, it is damaged: %s", self.url, damage)
        await self._on_disk(self._mirror.discard)
        try:
            return await self._bring(target, credentials, deadline, checked_at)
        except MirrorDamaged as damage:
            raise FetchError(
                self.url,
                f"the mirror is damaged again right after it was rebuilt: {damage}",
                hint="check the disk under state-dir",
            ) from damage

    async def _bring(
        self, target: Target, credentials: Credentials, deadline: Deadline, checked_at: float
    ) -> Snapshot:
        await self._on_disk(self._mirror.prepare)
        record = Record(target.commit, target.name, target.tag)
        if not await self._on_disk(self._mirror.holds, record.commit, record.tag):
            record = await self._fetch(target, credentials, deadline)
        verified = await self._verified(record)
        contents = await self._contents(record)
        if not contents.files:
            snapshot = _snapshot(Trust.EMPTY, contents, checked_at=checked_at, verified=verified)
            return replace(snapshot, error=self._nothing_there(record.commit))
        previous = await self._on_disk(self._mirror.recall, self._track)
        if record != previous:
            await self._on_disk(self._mirror.remember, self._track, record)
        known = previous is not None and previous.commit == record.commit
        if verified and not known:
            signed = log.fields(repository=self.url, commit=record.commit, signer=verified)
            _log.info("revision verified", extra=signed)
        trust = Trust.UNCHANGED if known else Trust.NEW
        return _snapshot(trust, contents, checked_at=checked_at, verified=verified)

    async def _verified(self, record: Record) -> str:
        """Return who signed a revision, "" when nobody asks; raise VerificationError.

        Raises MirrorDamaged too, when its objects have to be read for that.
        """
        if self._verifier is None:
            return ""
        try:
            return await self._verifier.check(
                record, partial(self._on_disk, self._mirror.candidate, record)
            )
        except SignatureError as error:
            raise VerificationError(self.url, error.reason, hint=error.hint) from error

    async def _fetch(self, target: Target, credentials: Credentials, deadline: Deadline) -> Record:
        """Fetch the target and return what came, which may be newer than the listing."""
        await self._on_disk(self._mirror.forget_incoming, self._track)
        try:
            await self._fetcher.fetch(
                self._url,
                credentials,
                mirror=self._mirror.path,
                refspec=f"+{target.source}:{self._mirror.incoming_ref(self._track)}",
                deadline=deadline,
            )
        except FetchTimeout:
            raise
        except FetchError as error:
            if not await self._on_disk(self._mirror.is_sound):
                raise MirrorDamaged(error.reason) from error
            raise
        found = await self._on_disk(self._mirror.incoming, self._track)
        by_id = wanted_commit(target.name)
        if found is None or (by_id and found.commit != target.commit):
            raise ReferenceNotFound(
                self.url,
                f"{target.name} is not a commit, or went away while it was fetched",
                hint="check reference; the next poll tries again",
            )
        if await self._on_disk(self._mirror.pack_count) > _PACK_LIMIT:
            await self._on_disk(self._mirror.repack)
        return Record(found.commit, target.name, "" if by_id else found.tag)

    async def _contents(self, record: Record) -> Contents:
        return await self._on_disk(self._mirror.contents, record, self._sub_path, self._accepts)

    def _accepts(self, path: str) -> bool:
        return is_manifest_path(path, self._sub_path)

    def _nothing_there(self, commit: str) -> PathNotFound:
        return PathNotFound(
            self.url,
            f"no files for sub-path {self._sub_path!r} in commit {commit[:12]}",
            hint="nothing is deleted for it; check sub-path: a folder with .yaml, .yml or .json",
        )

    async def _on_disk(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run disk work off the loop; the machine's own failures become a FetchError."""
        try:
            return await asyncio.to_thread(call, *args, **kwargs)
        except OSError as error:
            raise FetchError(
                self.url,
                f"the mirror cannot be used: {error}",
                hint="check space, permissions and owner of state-dir",
            ) from error


def _is_at(revision: Revision, target: Target) -> bool:
    return _record(revision) == Record(target.commit, target.name, target.tag)


def _record(revision: Revision) -> Record:
    return Record(revision.commit, revision.reference, revision.tag)


def _snapshot(
    trust: Trust, contents: Contents, *, checked_at: float | None, verified: str
) -> Snapshot:
    return Snapshot(
        trust,
        contents.revision,
        contents.tree_id,
        contents.files,
        checked_at=checked_at,
        verified=verified,
    )


def _track_key(reference: str, sub_path: str, verify: str = "") -> str:
    parts = (reference, sub_path, verify) if verify else (reference, sub_path)
    return hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()[:16]
