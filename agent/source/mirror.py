"""The bare mirror of one repository on disk: made, checked, read, repacked, rebuilt.

Synchronous: callers run it off the event loop, and hold the mirror's lock for whatever changes
it. Only the fetch itself happens elsewhere (in a worker). Everything in it can be fetched again,
so whatever looks wrong raises MirrorDamaged and the mirror is rebuilt: another one is made beside
it, which takes its place once it is whole.

Refs: ``refs/lightkeeper/incoming/<track>`` is what a fetch brought last,
``refs/lightkeeper/good/<track>`` the last good revision: a commit, or an annotated tag that leads
to one. ``lightkeeper/<track>.json``, the record, names the last good revision: its commit, the tag
it was found by, and which ref of the remote that was. Its modification time is when the source last
answered.

A power cut at any moment leaves the old record or the new one, and all objects of its revision:
what is named is on the disk before its name is, and nothing that a record or a ref names is
removed.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from agent.source import durable
from agent.source.errors import MirrorDamaged
from agent.source.folder import SCRATCH
from agent.source.libgit import pygit2
from agent.source.objects import (
    Found,
    Record,
    blob_of,
    commit_of,
    named,
    own,
    peel,
    revision_of,
    write_pack,
)
from agent.source.signatures.signed import Candidate
from agent.source.snapshot import Revision
from agent.source.tree import Filter, Selection, everything, select

_REFS: Final = "refs/lightkeeper/"
_RECORDS: Final = "lightkeeper"
_MACHINE_ERRORS: Final = (
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Contents:
    """What a commit has at a sub-path."""

    revision: Revision
    selection: Selection


class Mirror:
    """One repository's mirror, at ``path``; nothing is kept open between calls."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def incoming_ref(self, track: str) -> str:
        """Return the ref a fetch for ``track`` writes to."""
        return f"{_REFS}incoming/{track}"

    def prepare(self) -> None:
        """Make the mirror if there is none, and sweep what a killed process left; raise OSError."""
        self._recover()
        for half_done in self.path.parent.glob(f"*.{self.path.name}.*"):
            shutil.rmtree(half_done, ignore_errors=True)
        if not self.path.exists():
            self._create()
            return
        packs = self.path / "objects" / "pack"
        leftovers = [*self.path.glob("*.lock"), *self.path.glob("refs/**/*.lock")]
        leftovers += self.path.glob(f"{_RECORDS}/{durable.HALF_WRITTEN}*")
        leftovers += [path for path in packs.glob("*") if not path.name.startswith("pack-")]
        for half_done in [*self.path.glob(".repack-*"), *self.path.glob(f"{SCRATCH}*")]:
            shutil.rmtree(half_done, ignore_errors=True)
        for leftover in leftovers:
            leftover.unlink(missing_ok=True)

    def _create(self) -> None:
        durable.make_folder(self.path.parent)
        half_made = Path(tempfile.mkdtemp(prefix=f".{self.path.name}.", dir=self.path.parent))
        try:
            pygit2.init_repository(half_made, bare=True)
            shutil.rmtree(half_made / "hooks", ignore_errors=True)
            for folder in (_RECORDS, f"{_REFS}incoming", f"{_REFS}good"):
                (half_made / folder).mkdir(parents=True)
            durable.sync_tree(half_made)
            durable.rename(half_made, self.path)
        finally:
            shutil.rmtree(half_made, ignore_errors=True)  # renamed away if all went well

    def discard(self) -> None:
        """Remove the mirror, records included."""
        if self.path.exists():
            shutil.rmtree(self._moved_away(), ignore_errors=True)

    def _moved_away(self) -> str:
        doomed = tempfile.mkdtemp(prefix=f".{self.path.name}.", dir=self.path.parent)
        os.rename(self.path, doomed)
        return doomed

    def beside(self) -> Mirror:
        """Return a mirror that does not exist yet, to be made and to take this one's place."""
        fresh = Mirror(self.path.with_name(f".{self.path.name}.fresh"))
        fresh.discard()
        return fresh

    def replace(self, fresh: Mirror) -> None:
        """Put ``fresh`` in this mirror's place; what else is whole here moves there first.

        At each moment one of the two is there, or is put there when it is asked for next.
        """
        fresh.take_over(self)
        durable.sync_tree(fresh.path)
        durable.rename(fresh.path, self._whole)
        doomed = self._moved_away()
        with suppress(FileNotFoundError):  # a reader was quicker
            os.rename(self._whole, self.path)
        durable.sync(self.path.parent)
        shutil.rmtree(doomed, ignore_errors=True)

    def take_over(self, other: Mirror) -> None:
        """Copy last good revisions that are not known here, as far as they are whole in ``other``.

        Raises OSError when the machine cannot; damage there only means that there is less to take.
        """
        for file in other.record_files():
            track = file.stem
            if self.record_file(track).exists():
                continue
            with suppress(MirrorDamaged):
                record = other.recall(track)
                if record is not None:
                    other.copy(record, self)
                    self.remember(track, record)
                    self.answered(track, other.last_answer(track) or 0)

    def copy(self, record: Record, other: Mirror) -> None:
        """Copy a revision with its tags and no history; raise MirrorDamaged if it is not whole."""
        with self._opened() as repository:
            for _ in everything(commit_of(repository, record.commit).tree):
                pass
            write_pack(repository, other.path / "objects" / "pack", [named(repository, record)])
        known = other.path / "shallow"
        before = known.read_text().split() if known.exists() else []
        cut = dict.fromkeys([*before, record.commit])
        durable.write_atomically(known, "".join(f"{commit}\n" for commit in cut).encode())

    def record_files(self) -> list[Path]:
        """Return the files that name the last good revisions, one a track."""
        return sorted((self.path / _RECORDS).glob("[!.]*.json"))

    @property
    def _whole(self) -> Path:
        """Where a rebuilt mirror is for the moment in which the old one moves out of its way."""
        return self.path.with_name(f".{self.path.name}.whole")

    def _recover(self) -> None:
        if not self.path.exists():
            with suppress(FileNotFoundError):
                os.rename(self._whole, self.path)

    def holds(self, commit: str, tag: str = "") -> bool:
        """Whether some ref here is this commit, all of its objects and ``tag`` included."""
        with self._opened() as repository:
            return any(
                found.commit == commit and (not tag or tag in found.tags)
                for found in own(repository, below=_REFS)
            )

    def forget_incoming(self, track: str) -> None:
        """Remove the incoming ref: fetching a ref that is gone writes nothing and says nothing."""
        with self._opened() as repository:
            name = self.incoming_ref(track)
            if name in repository.references:
                repository.references.delete(name)

    def incoming(self, track: str) -> Found | None:
        """Return what the last fetch brought; None when nothing, or nothing with files."""
        with self._opened() as repository:
            name = self.incoming_ref(track)
            if name not in repository.references:
                return None
            return peel(repository, str(repository.references[name].target))

    def candidate(self, record: Record) -> Candidate:
        """Return the objects whose signatures may be asked for; raise MirrorDamaged."""
        with self._opened() as repository:
            commit = commit_of(repository, record.commit).read_raw()
            tag = named(repository, record).tag
            signed = repository[tag].read_raw() if tag else None
            return Candidate(record.commit, commit, record.reference, signed)

    def contents(self, record: Record, sub_path: str, wanted: Filter) -> Contents:
        """Return what a commit has at a clean sub-path, a folder or one file.

        Raises IgnoreFileError.
        """
        with self._opened() as repository:
            found = commit_of(repository, record.commit)
            return Contents(revision_of(found, record), select(found.tree, sub_path, wanted))

    def blobs(self, ids: Iterable[str]) -> dict[str, bytes]:
        """Return blobs' contents by id."""
        with self._opened() as repository:
            return {blob_id: blob_of(repository, blob_id) for blob_id in ids}

    def remember(self, track: str, record: Record) -> None:
        """Make ``record`` the last good revision; in a power cut the one before stays."""
        with self._opened() as repository:
            name = f"{_REFS}good/{track}"
            repository.references.create(name, record.tag or record.commit, force=True)
        durable.write_atomically(self.record_file(track), msgspec.json.encode(record))

    def recall(self, track: str) -> Record | None:
        """Return the last good revision's record, None when there is none."""
        self._recover()
        try:
            return msgspec.json.decode(self.record_file(track).read_bytes(), type=Record)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise MirrorDamaged(f"{self.record_file(track)}: {error}") from error

    def forget(self, track: str) -> None:
        """Remove a track's record and refs; what only they needed goes with the next repack."""
        self.record_file(track).unlink(missing_ok=True)
        with self._opened() as repository:
            for name in (f"{_REFS}good/{track}", self.incoming_ref(track)):
                if name in repository.references:
                    repository.references.delete(name)

    def answered(self, track: str, at: float) -> None:
        """Note when the track's source last answered, Unix seconds; nothing without a record.

        No write of its own is forced to the disk for it: a power cut may cost a few polls' news.
        """
        with suppress(FileNotFoundError):
            os.utime(self.record_file(track), (at, at))

    def last_answer(self, track: str) -> float | None:
        """Return when the track's source last answered; None without a record."""
        try:
            return self.record_file(track).stat().st_mtime
        except FileNotFoundError:
            return None

    def is_sound(self) -> bool:
        """Whether everything the refs here need can be read."""
        try:
            with self._opened() as repository:
                for found in own(repository, below=_REFS):
                    for _ in everything(commit_of(repository, found.commit).tree):
                        pass
                    for _ in repository.walk(pygit2.Oid(hex=found.commit)):
                        pass  # as a fetch does: a history cut without a note in "shallow" raises
        except MirrorDamaged:
            return False
        return True

    def pack_count(self) -> int:
        """Return the number of packs: each fetch adds one, libgit2 never removes any."""
        return sum(1 for _ in (self.path / "objects" / "pack").glob("*.pack"))

    def repack(self) -> None:
        """Put what refs and records need into one pack and drop the others.

        In this order a crash, or a reader in another thread, finds each object at every moment.
        """
        packs = self.path / "objects" / "pack"
        before = set(packs.iterdir())
        with tempfile.TemporaryDirectory(prefix=".repack-", dir=self.path) as fresh:
            with self._opened() as repository:
                needed = self._needed(repository)
                write_pack(repository, Path(fresh), needed)
            # The pack has no parents, and git must not look for them.
            shallow = "".join(f"{commit}\n" for commit in sorted({f.commit for f in needed}))
            durable.write_atomically(self.path / "shallow", shallow.encode())
            # The ".pack" before the ".idx": with the latter a pack begins to exist for others.
            made = sorted(Path(fresh).iterdir(), reverse=True)
            for file in made:
                file.rename(packs / file.name)
        durable.sync(packs)
        for old in before - {packs / file.name for file in made}:
            old.unlink(missing_ok=True)

    def _needed(self, repository: pygit2.Repository) -> set[Found]:
        """Return what refs and records name; raise MirrorDamaged for a broken record.

        A crash between a ref and its record leaves the record's revision without a ref.
        """
        records = (self.recall(file.stem) for file in self.record_files())
        recorded = {named(repository, record) for record in records if record is not None}
        return recorded.union(own(repository, below=_REFS))

    @contextmanager
    def _opened(self) -> Iterator[pygit2.Repository]:
        repository = None
        try:
            repository = pygit2.Repository(
                str(self.path), pygit2.enums.RepositoryOpenFlag.NO_SEARCH
            )
            yield repository
        except (pygit2.GitError, KeyError, ValueError, OSError) as error:
            # libgit2 reports damage, and the machine's own failures, as any of these.
            if _is_the_machines(error):
                raise OSError(f"{self.path}: {error}") from error
            raise MirrorDamaged(f"{self.path}: {error}") from error
        finally:
            if repository is not None:
                # The object itself waits for the garbage collector, and until then libgit2 would
                # read packs that are no longer on disk, or were replaced, from its cache.
                repository.free()

    def record_file(self, track: str) -> Path:
        """Return where a track's record is, or would be."""
        return self.path / _RECORDS / f"{track}.json"


def _is_the_machines(error: Exception) -> bool:
    """Whether a full disk, missing rights or too many files are to blame, and not the mirror."""
    return any(os.strerror(code) in str(error) for code in _MACHINE_ERRORS)
