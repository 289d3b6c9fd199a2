"""GitSource: one track's view of one repository.

Duty: poll (list refs; fetch only what moved), read files by blob id. Network calls go through the
Fetcher, disk work through OnDisk; this module decides which, and ``revisions`` what the outcome is
worth.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from agent.manifest.paths import clean_sub_path
from agent.source.access import Access
from agent.source.errors import (
    AuthError,
    FetchError,
    FetchTimeout,
    MirrorDamaged,
    ProxyError,
    ReferenceNotFound,
    SourceError,
)
from agent.source.fetcher import Deadline, Fetcher, timed_out
from agent.source.login.credentials import CredentialProvider, Credentials
from agent.source.mirrorlock import MirrorBusy
from agent.source.ondisk import OnDisk
from agent.source.protocol import Plain
from agent.source.records import Record, incoming_ref
from agent.source.resolve import Target, is_range, resolve, wanted_commit
from agent.source.revisions import Revisions
from agent.source.signatures.verifier import Verifier
from agent.source.snapshot import Revision, Snapshot, TreeFile, Trust
from agent.source.url import GitUrl, parse_url
from agent.source.versions import why_none

_log = logging.getLogger(__name__)

_PACK_LIMIT: Final = 50
"""Packs, that is fetches, after which a mirror is repacked."""


class GitSource:
    """What one track reads from git: a repository, a reference in it, a folder below that.

    Tracks of one URL share a mirror under ``state_dir``/repositories. ``reference`` is a tag, a
    branch, a ref's name, a full commit id, a range of versions, or "" for the remote's HEAD.
    ``timeout`` bounds the network side of one poll, in seconds. ``ignore`` are gitignore patterns
    that win over the repository's own. ``verifier`` has to find each revision well signed before
    anything of it is used; None asks for no signature. ``agent`` is the name of whose track it is.
    Raises UnsupportedUrl, manifest's SubPathError, and ValueError for a pattern that is none.
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
        ignore: Sequence[str] = (),
        verifier: Verifier | None = None,
        agent: str = "",
    ) -> None:
        self._url: GitUrl = parse_url(url)
        self._reference = reference
        self._sub_path = clean_sub_path(sub_path)
        self._access = Access(self._url, credentials)
        self._timeout = timeout
        self._fetcher = fetcher
        self._mirror = fetcher.mirror(state_dir / "repositories" / self._url.mirror_name())
        self._lock = fetcher.lock(self._mirror.path)
        self._revisions = Revisions(
            self._mirror,
            url=self.url,
            reference=reference,
            sub_path=self._sub_path,
            ignore=ignore,
            verifier=verifier,
            agent=agent,
        )
        self._track = self._revisions.track
        self._on_disk = self._revisions.on_disk
        self._last: Snapshot | None = None
        self._checked_at: float | None = None
        self._came: tuple[str, Record] | None = None
        self._plain: Plain | None = None
        if self._url.plain:
            self._plain = Plain(self._sub_path, has_reference=bool(reference))

    @property
    def url(self) -> str:
        """The repository's URL, redacted."""
        return self._url.redacted()

    @property
    def record_files(self) -> tuple[Path, ...]:
        """The files that may name the track's last good revision; they need not be there yet."""
        return self._revisions.record_files

    async def poll(self, *, fresh: bool = False) -> Snapshot:
        """Ask the remote, fetch what moved, and say what is there.

        Credentials are remembered as long as polls go well, and Secrets with public keys as long
        as the revision stays, unless they shall be ``fresh``.
        Never raises for what is wrong with the source: it is the snapshot's ``error``, and the
        files are then those of the last good revision (STALE), or none (UNREADABLE, EMPTY).
        """
        try:
            return await self._poll(Deadline.after(self._timeout), fresh=fresh)
        except SourceError as error:
            good = await self._revisions.fall_back()
            if good is None:
                return Snapshot(Trust.UNREADABLE, error=error, checked_at=self._checked_at)
            checked_at = self._checked_at or good.checked_at
            return replace(good, trust=Trust.STALE, error=error, checked_at=checked_at)

    async def last_good(self) -> Snapshot | None:
        """Return the last good revision from disk (STALE), without network; None without one."""
        return await self._revisions.last_good()

    async def read(self, files: Sequence[TreeFile]) -> dict[str, bytes]:
        """Return the files' contents by blob id; raise FetchError when the mirror lost one.

        The next poll then finds out what else is lost, and rebuilds the mirror.
        """
        try:
            return await self._on_disk(self._mirror.blobs(files))
        except MirrorDamaged as damage:
            self._last = None
            raise FetchError(
                self.url,
                f"the repository on disk is damaged: {damage}",
                hint="it is rebuilt at the next poll",
            ) from damage

    def changes(self) -> AsyncGenerator[None, None] | None:
        """Yield whenever a poll would find something new; None when only a poll can tell.

        That is for a plain path, which is watched; the interval's polls go on all the same.
        """
        if self._plain is None:
            return None
        # Imported here: that runs ldconfig to find the C library, and few tracks are a plain path.
        from agent.source.watch import PathWatch

        return PathWatch(Path(self._url.path), sub_path=self._sub_path).changes()

    async def close(self) -> None:
        """Forget what was read; the workers are the fetcher's, which its owner closes."""
        self._last = None
        self._revisions.forget()

    async def _poll(self, deadline: Deadline, *, fresh: bool) -> Snapshot:
        credentials = await self._access.begin(deadline, fresh=fresh)
        try:
            snapshot = await self._look(credentials, deadline, fresh=fresh)
        except (AuthError, ProxyError):
            renewed = await self._access.after_refusal(deadline)
            if renewed is None:
                raise
            snapshot = await self._look(renewed, deadline, fresh=fresh)
        self._access.worked()
        self._last, self._checked_at = snapshot, snapshot.checked_at
        if snapshot.checked_at is not None:
            await self._on_disk(self._mirror.answered(self._track, snapshot.checked_at))
        return snapshot

    async def _look(self, credentials: Credentials, deadline: Deadline, *, fresh: bool) -> Snapshot:
        target = await self._resolve(credentials, deadline)
        checked_at = time.time()
        self._revisions.check_can_be_signed(target.name)
        last = self._last
        if last is not None and _is_at(last.revision, target):
            again = await self._revisions.confirm(last, checked_at=checked_at, fresh=fresh)
            if again is not None:
                return again
        credentials = await self._access.for_fetch(deadline)
        async with self._exclusive(deadline):
            return await self._advance(target, credentials, deadline, checked_at)

    async def _resolve(self, credentials: Credentials, deadline: Deadline) -> Target:
        listing = await self._fetcher.list_refs(
            self._url,
            credentials,
            reference=self._reference,
            deadline=deadline,
            plain=self._plain,
        )
        target = resolve(self._reference, listing)
        if target is not None and len(target.commit) == len(wanted_commit(self._reference)) == 64:
            raise ReferenceNotFound(
                self.url,
                f"{target.commit} is a SHA-256 id, and this repository has SHA-1 ids",
                hint="check reference; a commit is named by its full 40-digit id",
            )
        if target is not None:
            return self._as_it_came(target)
        if self._reference in {"", "HEAD"}:
            raise ReferenceNotFound(
                self.url,
                "the remote has no HEAD: it is empty, or its default branch does not exist",
                hint="push something, or set reference",
            )
        if is_range(self._reference):
            raise ReferenceNotFound(
                self.url,
                why_none(self._reference, listing),
                hint='prereleases count only where the range names one: "semver: >=1.2-0"',
            )
        raise ReferenceNotFound(
            self.url,
            f"unable to resolve reference {self._reference!r}: no tag, branch or ref of that name",
            hint="check reference; a commit is named by its full 40-digit id",
        )

    def _as_it_came(self, target: Target) -> Target:
        """Return a target by the ids that it turned out to have when it was fetched."""
        if self._came is None or target.commit != self._came[0]:
            return target
        listed, record = self._came
        return replace(target, commit=record.commit, tag=record.tag, listed=listed)

    @asynccontextmanager
    async def _exclusive(self, deadline: Deadline) -> AsyncIterator[None]:
        async with AsyncExitStack() as held:
            try:
                await held.enter_async_context(self._lock.hold(deadline.left()))
            except MirrorBusy as busy:
                hint = "does another lightkeeper that hangs use this state-dir?"
                raise FetchTimeout(
                    self.url, f"{busy} for {deadline.seconds:g}s", hint=hint
                ) from busy
            except TimeoutError:
                raise timed_out(self._url, deadline) from None
            except OSError as error:
                raise self._revisions.unusable(error) from error
            yield

    async def _advance(
        self, target: Target, credentials: Credentials, deadline: Deadline, checked_at: float
    ) -> Snapshot:
        """Bring the mirror to ``target`` and record it; rebuild the mirror once if it is broken."""
        try:
            record = await self._bring(self._mirror, target, credentials, deadline)
            return await self._revisions.judge(record, checked_at=checked_at)
        except MirrorDamaged as damage:
            _log.warning("%s: rebuilding the mirror, it is damaged: %s", self.url, damage)
        try:
            fresh = self._mirror.beside()
            await self._on_disk(fresh.discard())
            record = await self._bring(fresh, target, credentials, deadline)
            # Whatever the revision is worth: if it is refused, it need not be fetched once more.
            await self._on_disk(self._mirror.replace())
            self._revisions.forget()  # what is good is now what could be saved
            return await self._revisions.judge(record, checked_at=checked_at)
        except MirrorDamaged as damage:
            raise FetchError(
                self.url,
                f"the mirror is damaged again right after it was rebuilt: {damage}",
                hint="check the disk under state-dir",
            ) from damage

    async def _bring(
        self, mirror: OnDisk, target: Target, credentials: Credentials, deadline: Deadline
    ) -> Record:
        """Have the mirror hold the target; return what that is by now."""
        await self._on_disk(mirror.prepare())
        if await self._on_disk(mirror.holds(target.commit, target.tag)):
            return self._revisions.record(target.commit, target.name, target.tag)
        await self._on_disk(mirror.forget_incoming(self._track))
        try:
            as_listed = await self._fetch(mirror, target, credentials, deadline)
        except FetchTimeout:
            raise
        except FetchError as error:
            if not await self._on_disk(mirror.is_sound()):
                raise MirrorDamaged(error.reason) from error
            raise
        record = await self._brought(mirror, target)
        if as_listed:
            self._came = (target.listed or target.commit, record)
        await self._on_disk(mirror.repack(more_than=_PACK_LIMIT))
        return record

    async def _fetch(
        self, mirror: OnDisk, target: Target, credentials: Credentials, deadline: Deadline
    ) -> bool:
        listed = target.listed or target.commit
        return await self._fetcher.fetch(
            self._url,
            credentials,
            mirror=mirror.path,
            refspec=f"+{target.source}:{incoming_ref(self._track)}",
            deadline=deadline,
            plain=msgspec.structs.replace(self._plain, listed=listed) if self._plain else None,
        )

    async def _brought(self, mirror: OnDisk, target: Target) -> Record:
        """Return what a fetch brought, which may be newer than the listing."""
        found = await self._on_disk(mirror.incoming(self._track))
        by_id = wanted_commit(target.name)
        if found is None or (by_id and found.commit != target.commit):
            raise ReferenceNotFound(
                self.url,
                f"{target.name} is not a commit, or went away while it was fetched, or there is a "
                "branch or tag of that name",
                hint="check reference; the next poll tries again",
            )
        return self._revisions.record(found.commit, target.name, "" if by_id else found.tag)


def _is_at(revision: Revision | None, target: Target) -> bool:
    if revision is None:
        return False
    shown = (revision.commit, revision.reference, revision.tag)
    return shown == (target.commit, target.name, target.tag)
