"""GitSource: one track's view of one repository.

Duty: poll (list refs; fetch only what moved), fall back to the last good revision on disk, read
files by blob id. Network calls go through the Fetcher, disk work through the Mirror in a thread;
this module decides which, and what the outcome is worth.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

import msgspec

from agent.manifest.errors import IgnoreFileError
from agent.manifest.ignore import IgnoreRules
from agent.manifest.paths import clean_sub_path, is_manifest_path
from agent.source.access import Access
from agent.source.credentials import CredentialProvider, Credentials
from agent.source.errors import (
    AuthError,
    FetchError,
    FetchTimeout,
    MirrorDamaged,
    PathNotFound,
    ProxyError,
    ReferenceNotFound,
    RulesUnreadable,
    SourceError,
)
from agent.source.fetcher import Deadline, Fetcher, timed_out
from agent.source.mirror import Contents, Mirror, Record
from agent.source.protocol import Plain
from agent.source.resolve import Target, is_range, resolve, wanted_commit
from agent.source.snapshot import Snapshot, TreeFile, Trust
from agent.source.tree import Filter
from agent.source.url import GitUrl, parse_url
from agent.source.versions import why_none
from agent.source.watch import PathWatch

_log = logging.getLogger(__name__)

_PACK_LIMIT: Final = 50
"""Packs, that is fetches, after which a mirror is repacked."""

P = ParamSpec("P")
T = TypeVar("T")


class GitSource:
    """What one track reads from git: a repository, a reference in it, a folder below that.

    Tracks of one URL share a mirror under ``state_dir``/repositories. ``reference`` is a tag, a
    branch, a ref's name, a full commit id, a range of versions, or "" for the remote's HEAD.
    ``timeout`` bounds the network side of one poll, in seconds. ``ignore`` are gitignore patterns
    that win over the repository's own. ``agent`` is the name of whose track it is. Raises
    UnsupportedUrl, manifest's SubPathError, and ValueError for a pattern that is none.
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
        agent: str = "",
    ) -> None:
        self._url: GitUrl = parse_url(url)
        self._reference = reference
        self._sub_path = clean_sub_path(sub_path)
        self._wanted = Filter(
            accept=lambda path: is_manifest_path(path, self._sub_path),
            rules=IgnoreRules.configured(ignore),
            identity="\n".join(ignore),
        )
        self._access = Access(self._url, credentials)
        self._timeout = timeout
        self._fetcher = fetcher
        self._agent = agent
        self._mirror = Mirror(state_dir / "repositories" / self._url.mirror_name())
        self._lock = fetcher.lock(self._mirror.path)
        self._track = _track_key(reference, self._sub_path)
        self._last: Snapshot | None = None
        self._good: Snapshot | None = None
        self._checked_at: float | None = None
        self._renamed: tuple[str, str] = ("", "")
        self._plain: Plain | None = None
        if self._url.plain:
            self._plain = Plain(self._sub_path, has_reference=bool(reference))

    @property
    def url(self) -> str:
        """The repository's URL, redacted."""
        return self._url.redacted()

    @property
    def record_file(self) -> Path:
        """The file that names the track's last good revision, which may not be there yet."""
        return self._mirror.record_file(self._track)

    async def poll(self, *, fresh: bool = False) -> Snapshot:
        """Ask the remote, fetch what moved, and say what is there.

        Credentials are remembered as long as polls go well, unless they shall be ``fresh``.
        Never raises for what is wrong with the source: it is the snapshot's ``error``, and the
        files are then those of the last good revision (STALE), or none (UNREADABLE, EMPTY).
        """
        try:
            return await self._poll(Deadline.after(self._timeout), fresh=fresh)
        except SourceError as error:
            good = self._good or await self.last_good()
            if good is None:
                return Snapshot(Trust.UNREADABLE, error=error, checked_at=self._checked_at)
            checked_at = self._checked_at or good.checked_at
            return replace(good, trust=Trust.STALE, error=error, checked_at=checked_at)

    async def last_good(self) -> Snapshot | None:
        """Return the last good revision from disk (STALE), without network; None without one."""
        try:
            record = await self._on_disk(self._mirror.recall, self._track)
            if record is None:
                return None
            contents = await self._contents(record.commit, record.reference)
            checked_at = await self._on_disk(self._mirror.last_answer, self._track)
        except (MirrorDamaged, SourceError) as error:
            _log.warning("%s: the last good revision cannot be read: %s", self.url, error)
            return None
        self._good = _snapshot(Trust.STALE, contents, checked_at=checked_at)
        return self._good

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

    def changes(self) -> AsyncGenerator[None, None] | None:
        """Yield whenever a poll would find something new; None when only a poll can tell.

        That is for a plain path, which is watched; the interval's polls go on all the same.
        """
        if self._plain is None:
            return None
        return PathWatch(Path(self._url.path), sub_path=self._sub_path).changes()

    async def close(self) -> None:
        """Forget what was read; the workers are the fetcher's, which its owner closes."""
        self._last = self._good = None

    async def _poll(self, deadline: Deadline, *, fresh: bool) -> Snapshot:
        credentials = await self._access.begin(deadline, fresh=fresh)
        try:
            snapshot = await self._look(credentials, deadline)
        except (AuthError, ProxyError):
            renewed = await self._access.after_refusal(deadline)
            if renewed is None:
                raise
            snapshot = await self._look(renewed, deadline)
        self._access.worked()
        self._last, self._checked_at = snapshot, snapshot.checked_at
        if snapshot.checked_at is not None:
            await self._on_disk(self._mirror.answered, self._track, snapshot.checked_at)
        if snapshot.may_prune:
            self._good = snapshot
        return snapshot

    async def _look(self, credentials: Credentials, deadline: Deadline) -> Snapshot:
        target = await self._resolve(credentials, deadline)
        checked_at = time.time()
        last = self._last
        if last is not None and _is_at(last, target):
            trust = Trust.EMPTY if last.trust is Trust.EMPTY else Trust.UNCHANGED
            return replace(last, trust=trust, checked_at=checked_at)
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
            listed, commit = self._renamed
            return replace(target, commit=commit) if target.commit == listed else target
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
        damaged, self._mirror = self._mirror, await self._on_disk(self._mirror.beside)
        try:
            snapshot = await self._bring(target, credentials, deadline, checked_at)
            await self._on_disk(damaged.replace, self._mirror)
        except MirrorDamaged as damage:
            raise FetchError(
                self.url,
                f"the mirror is damaged again right after it was rebuilt: {damage}",
                hint="check the disk under state-dir",
            ) from damage
        finally:
            self._mirror = damaged
        return snapshot

    async def _bring(
        self, target: Target, credentials: Credentials, deadline: Deadline, checked_at: float
    ) -> Snapshot:
        await self._on_disk(self._mirror.prepare)
        commit = target.commit
        if not await self._on_disk(self._mirror.holds, commit):
            commit = await self._fetch(target, credentials, deadline)
        contents = await self._contents(commit, target.name)
        if not contents.selection.files:
            snapshot = _snapshot(Trust.EMPTY, contents, checked_at=checked_at)
            return replace(snapshot, error=self._nothing_there(contents))
        previous = await self._on_disk(self._mirror.recall, self._track)
        record = Record(commit, target.name, self._agent)
        if record != previous:
            await self._on_disk(self._mirror.remember, self._track, record)
        known = previous is not None and previous.commit == commit
        trust = Trust.UNCHANGED if known else Trust.NEW
        return _snapshot(trust, contents, checked_at=checked_at)

    async def _fetch(self, target: Target, credentials: Credentials, deadline: Deadline) -> str:
        """Fetch the target and return the commit that came, which may be newer than the listing."""
        await self._on_disk(self._mirror.forget_incoming, self._track)
        plain = msgspec.structs.replace(self._plain, listed=target.commit) if self._plain else None
        try:
            as_listed = await self._fetcher.fetch(
                self._url,
                credentials,
                mirror=self._mirror.path,
                refspec=f"+{target.source}:{self._mirror.incoming_ref(self._track)}",
                deadline=deadline,
                plain=plain,
            )
        except FetchTimeout:
            raise
        except FetchError as error:
            if not await self._on_disk(self._mirror.is_sound):
                raise MirrorDamaged(error.reason) from error
            raise
        commit = await self._on_disk(self._mirror.incoming, self._track)
        if commit is None or (wanted_commit(target.name) and commit != target.commit):
            raise ReferenceNotFound(
                self.url,
                f"{target.name} is not a commit, or went away while it was fetched",
                hint="check reference; the next poll tries again",
            )
        if as_listed:
            self._renamed = (target.commit, commit)
        if await self._on_disk(self._mirror.pack_count) > _PACK_LIMIT:
            await self._on_disk(self._mirror.repack)
        return commit

    async def _contents(self, commit: str, reference: str) -> Contents:
        try:
            return await self._on_disk(
                self._mirror.contents, commit, self._sub_path, self._wanted, reference=reference
            )
        except IgnoreFileError as error:
            raise RulesUnreadable(
                self.url,
                f"commit {commit[:12]}: {error}",
                hint="until it is mended the last good revision is kept and nothing is deleted",
            ) from error

    def _nothing_there(self, contents: Contents) -> PathNotFound:
        why = contents.selection.nothing
        check = "" if why else "; check sub-path: a folder with .yaml, .yml or .json"
        return PathNotFound(
            self.url,
            f"no files for sub-path {self._sub_path!r} in commit {contents.revision.commit[:12]}"
            + (f": {why}" if why else ""),
            hint=f"nothing is deleted for it{check}",
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


def _is_at(snapshot: Snapshot, target: Target) -> bool:
    revision = snapshot.revision
    return (
        revision is not None
        and revision.commit == target.commit
        and revision.reference == target.name
    )


def _snapshot(trust: Trust, contents: Contents, *, checked_at: float | None) -> Snapshot:
    selection = contents.selection
    return Snapshot(
        trust,
        contents.revision,
        selection.tree_id,
        selection.files,
        checked_at=checked_at,
        notes=selection.notes,
    )


def _track_key(reference: str, sub_path: str) -> str:
    return hashlib.sha256(f"{reference}\0{sub_path}".encode()).hexdigest()[:16]
