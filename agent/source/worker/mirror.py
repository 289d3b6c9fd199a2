"""The bare mirror of one repository on disk: made, checked, read, repacked, rebuilt.

Whoever has it changed holds its lock, which is the agent's. Only the fetch itself is elsewhere (in
``remote``). Everything in it can be fetched again, so whatever looks wrong raises MirrorDamaged and
the mirror is rebuilt: another one is made beside it, which takes its place once it is whole.

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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from agent.source import durable
from agent.source.contents import Contents, Wanted
from agent.source.errors import MirrorDamaged
from agent.source.records import (
    FOLDER,
    REFS,
    Found,
    Record,
    Records,
    beside,
    incoming_ref,
    whole,
)
from agent.source.signatures.signed import Candidate
from agent.source.worker.folder import SCRATCH
from agent.source.worker.libgit import pygit2
from agent.source.worker.objects import (
    blob_of,
    commit_of,
    named,
    own,
    peel,
    revision_of,
    write_pack,
)
from agent.source.worker.tree import everything, select

_MACHINE_ERRORS: Final = (
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE
)  # fmt: skip


class Mirror:
    """One repository's mirror, at ``path``; nothing is kept open between calls."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._records = Records(path)

    def prepare(self) -> None:
        """Make the mirror if there is none, and sweep what a killed process left; raise OSError."""
        self._records.recover()
        for half_done in self.path.parent.glob(f"*.{self.path.name}.*"):
            shutil.rmtree(half_done, ignore_errors=True)
        if not self.path.exists():
            self._create()
            return
        packs = self.path / "objects" / "pack"
        leftovers = [*self.path.glob("*.lock"), *self.path.glob("refs/**/*.lock")]
        leftovers += self.path.glob(f"{FOLDER}/{durable.HALF_WRITTEN}*")
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
            for folder in (FOLDER, f"{REFS}incoming", f"{REFS}good"):
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

    def replace(self) -> None:
        """Put the mirror built ``beside`` in this one's place.

        At each moment one of the two is there, or is put there when it is asked for next.
        """
        fresh = Mirror(beside(self.path))
        durable.sync_tree(fresh.path)
        durable.rename(fresh.path, whole(self.path))
        doomed = self._moved_away()
        with suppress(FileNotFoundError):  # a reader was quicker
            os.rename(whole(self.path), self.path)
        durable.sync(self.path.parent)
        shutil.rmtree(doomed, ignore_errors=True)

    def carry_over(self, track: str) -> None:
        """Copy a track's last good revision to the mirror ``beside``, unless one is known there.

        Raises OSError, and MirrorDamaged when it is not whole here.
        """
        fresh = Mirror(beside(self.path))
        record = self._records.recall(track)
        if record is None or fresh._records.file(track).exists():
            return
        self.copy(record, fresh)
        fresh.remember(track, record)
        fresh._records.answered(track, self._records.last_answer(track) or 0)

    def copy(self, record: Record, other: Mirror) -> None:
        """Copy a revision with its tags and no history; raise MirrorDamaged if it is not whole."""
        with self._opened() as repository:
            for _ in everything(repository, commit_of(repository, record.commit).tree):
                pass
            write_pack(repository, other.path / "objects" / "pack", [named(repository, record)])
        known = other.path / "shallow"
        before = known.read_text().split() if known.exists() else []
        cut = dict.fromkeys([*before, record.commit])
        durable.write_atomically(known, "".join(f"{commit}\n" for commit in cut).encode())

    def holds(self, commit: str, tag: str = "") -> bool:
        """Whether some ref here is this commit, all of its objects and ``tag`` included."""
        with self._opened() as repository:
            return any(
                found.commit == commit and (not tag or tag in found.tags)
                for found in own(repository, below=REFS)
            )

    def forget_incoming(self, track: str) -> None:
        """Remove the incoming ref: fetching a ref that is gone writes nothing and says nothing."""
        with self._opened() as repository:
            name = incoming_ref(track)
            if name in repository.references:
                repository.references.delete(name)

    def incoming(self, track: str) -> Found | None:
        """Return what the last fetch brought; None when nothing, or nothing with files."""
        with self._opened() as repository:
            name = incoming_ref(track)
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

    def contents(self, record: Record, wanted: Wanted) -> Contents:
        """Return what a commit has for a track; raise IgnoreFileError."""
        with self._opened() as repository:
            found = commit_of(repository, record.commit)
            return Contents(revision_of(found, record), select(repository, found.tree, wanted))

    def blobs(self, ids: tuple[str, ...]) -> dict[str, bytes]:
        """Return blobs' contents by id."""
        with self._opened() as repository:
            return {blob_id: blob_of(repository, blob_id) for blob_id in ids}

    def remember(self, track: str, record: Record) -> None:
        """Make ``record`` the last good revision; in a power cut the one before stays."""
        with self._opened() as repository:
            name = f"{REFS}good/{track}"
            repository.references.create(name, record.tag or record.commit, force=True)
        durable.write_atomically(self._records.file(track), msgspec.json.encode(record))

    def forget(self, track: str) -> None:
        """Remove a track's record and refs; what only they needed goes with the next repack."""
        self._records.file(track).unlink(missing_ok=True)
        with self._opened() as repository:
            for name in (f"{REFS}good/{track}", incoming_ref(track)):
                if name in repository.references:
                    repository.references.delete(name)

    def is_sound(self) -> bool:
        """Whether everything the refs here need can be read."""
        try:
            with self._opened() as repository:
                for found in own(repository, below=REFS):
                    for _ in everything(repository, commit_of(repository, found.commit).tree):
                        pass
                    for _ in repository.walk(pygit2.Oid(hex=found.commit)):
                        pass  # as a fetch does: a history cut without a note in "shallow" raises
        except MirrorDamaged:
            return False
        return True

    def repack(self, more_than: int) -> None:
        """Put what refs and records need into one pack and drop the others, if those are too many.

        Each fetch adds one, libgit2 never removes any. In this order a crash, or a reader in
        another process, finds each object at every moment.
        """
        packs = self.path / "objects" / "pack"
        before = set(packs.iterdir())
        if sum(path.suffix == ".pack" for path in before) <= more_than:
            return
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
        records = (self._records.recall(file.stem) for file in self._records.files())
        recorded = {named(repository, record) for record in records if record is not None}
        return recorded.union(own(repository, below=REFS))

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


def _is_the_machines(error: Exception) -> bool:
    """Whether a full disk, missing rights or too many files are to blame, and not the mirror."""
    return any(os.strerror(code) in str(error) for code in _MACHINE_ERRORS)
