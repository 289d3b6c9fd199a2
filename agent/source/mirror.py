"""The bare mirror of one repository on disk: made, checked, read, repacked, thrown away.

Synchronous: callers run it off the event loop, and hold the mirror's lock for whatever changes
it. Only the fetch itself happens elsewhere (in a worker). Everything in it can be fetched again,
so whatever looks wrong raises MirrorDamaged and the mirror is rebuilt.

Refs: ``refs/lightkeeper/incoming/<track>`` is what a fetch brought last,
``refs/lightkeeper/good/<track>`` the last good revision: a commit, or an annotated tag that leads
to one. A ref is only there once all its objects are. ``lightkeeper/<track>.json`` says which ref of
the remote the good revision was.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from agent.source.errors import MirrorDamaged
from agent.source.libgit import pygit2
from agent.source.signatures.signed import Candidate
from agent.source.snapshot import Revision
from agent.source.tree import Filter, Selection, everything, select

_REFS: Final = "refs/lightkeeper/"
_RECORDS: Final = "lightkeeper"
_MACHINE_ERRORS: Final = (
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE
)  # fmt: skip


class Record(msgspec.Struct, frozen=True):
    """The last good revision of a track: commit id and the remote ref's full name.

    ``tag`` is the id of the annotated tag that the ref is, "" when it is none.
    """

    commit: str
    reference: str
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What a ref leads to: a commit, by way of annotated tags, outermost first."""

    commit: str
    tags: tuple[str, ...] = ()

    @property
    def tag(self) -> str:
        """The id of the annotated tag that the ref is, "" when it is none."""
        return self.tags[0] if self.tags else ""


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
        """Make the mirror if there is none, and sweep what a killed fetch left; raise OSError."""
        for half_done in self.path.parent.glob(f".{self.path.name}.*"):
            shutil.rmtree(half_done, ignore_errors=True)
        if not self.path.exists():
            self._create()
            return
        packs = self.path / "objects" / "pack"
        leftovers = [*self.path.glob("*.lock"), *self.path.glob("refs/**/*.lock")]
        leftovers += [path for path in packs.glob("*") if not path.name.startswith("pack-")]
        for half_done in self.path.glob(".repack-*"):
            shutil.rmtree(half_done, ignore_errors=True)
        for leftover in leftovers:
            leftover.unlink(missing_ok=True)

    def _create(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        half_made = tempfile.mkdtemp(prefix=f".{self.path.name}.", dir=self.path.parent)
        try:
            pygit2.init_repository(half_made, bare=True)
            shutil.rmtree(Path(half_made, "hooks"), ignore_errors=True)
            os.rename(half_made, self.path)
        finally:
            shutil.rmtree(half_made, ignore_errors=True)  # renamed away if all went well

    def discard(self) -> None:
        """Remove the mirror, records included."""
        if self.path.exists():
            doomed = tempfile.mkdtemp(prefix=f".{self.path.name}.", dir=self.path.parent)
            os.rename(self.path, doomed)
            shutil.rmtree(doomed, ignore_errors=True)

    def holds(self, commit: str, tag: str = "") -> bool:
        """Whether some ref here is this commit, all of its objects and ``tag`` included."""
        with self._opened() as repository:
            return any(
                found.commit == commit and (not tag or tag in found.tags)
                for found in _own(repository)
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
            return _peel(repository, str(repository.references[name].target))

    def candidate(self, record: Record) -> Candidate:
        """Return the objects whose signatures may be asked for; raise MirrorDamaged."""
        with self._opened() as repository:
            commit = _commit(repository, record.commit).read_raw()
            tag = None
            if record.tag:
                found = _peel(repository, record.tag)
                if found is None or (found.commit, found.tag) != (record.commit, record.tag):
                    raise MirrorDamaged(f"{record.tag} is not a tag of {record.commit}")
                tag = repository[record.tag].read_raw()
            return Candidate(record.commit, commit, record.reference, tag)

    def contents(self, record: Record, sub_path: str, wanted: Filter) -> Contents:
        """Return what a commit has at a clean sub-path, a folder or one file.

        Raises IgnoreFileError.
        """
        with self._opened() as repository:
            found = _commit(repository, record.commit)
            return Contents(_revision(found, record), select(found.tree, sub_path, wanted))

    def blobs(self, ids: Iterable[str]) -> dict[str, bytes]:
        """Return blobs' contents by id."""
        with self._opened() as repository:
            return {blob_id: _blob(repository, blob_id) for blob_id in ids}

    def remember(self, track: str, record: Record) -> None:
        """Make ``record`` the last good revision: the ref first, then atomically the file."""
        with self._opened() as repository:
            name = f"{_REFS}good/{track}"
            repository.references.create(name, record.tag or record.commit, force=True)
        _write_atomically(self._record_file(track), msgspec.json.encode(record))

    def recall(self, track: str) -> Record | None:
        """Return the last good revision's record, None when there is none."""
        try:
            return msgspec.json.decode(self._record_file(track).read_bytes(), type=Record)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise MirrorDamaged(f"{self._record_file(track)}: {error}") from error

    def is_sound(self) -> bool:
        """Whether everything the refs here need can be read."""
        try:
            with self._opened() as repository:
                for found in _own(repository):
                    for _ in everything(_commit(repository, found.commit).tree):
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
        """Put what the refs need into one pack and drop the others.

        In this order a crash, or a reader in another thread, finds each object at every moment.
        """
        packs = self.path / "objects" / "pack"
        before = set(packs.iterdir())
        with tempfile.TemporaryDirectory(prefix=".repack-", dir=self.path) as fresh:
            with self._opened() as repository:
                _write_pack(repository, Path(fresh))
            # The ".pack" before the ".idx": with the latter a pack begins to exist for others.
            made = sorted(Path(fresh).iterdir(), reverse=True)
            for file in made:
                file.rename(packs / file.name)
        for old in before - {packs / file.name for file in made}:
            old.unlink(missing_ok=True)

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

    def _record_file(self, track: str) -> Path:
        return self.path / _RECORDS / f"{track}.json"


def _is_the_machines(error: Exception) -> bool:
    """Whether a full disk, missing rights or too many files are to blame, and not the mirror."""
    return any(os.strerror(code) in str(error) for code in _MACHINE_ERRORS)


def _write_pack(repository: pygit2.Repository, folder: Path) -> None:
    held = list(_own(repository))
    commits = sorted({found.commit for found in held})
    builder = pygit2.PackBuilder(repository)
    for commit in commits:
        builder.add_recur(pygit2.Oid(hex=commit))
    for tag in sorted({tag for found in held for tag in found.tags}):
        builder.add(pygit2.Oid(hex=tag))
    builder.write(folder)
    # The pack has no parents, and git must not look for them.
    shallow = "".join(f"{commit}\n" for commit in commits)
    _write_atomically(Path(repository.path, "shallow"), shallow.encode())


def _own(repository: pygit2.Repository) -> Iterator[Found]:
    """Yield what our refs lead to; those that lead to no commit are nothing to us."""
    for name in repository.references:
        if name.startswith(_REFS):
            found = _peel(repository, str(repository.references[name].target))
            if found is not None:
                yield found


def _peel(repository: pygit2.Repository, object_id: str) -> Found | None:
    """Follow annotated tags to their commit; None when they lead to something else."""
    tags: list[str] = []
    found = repository[object_id]
    while isinstance(found, pygit2.Tag):
        tags.append(str(found.id))
        found = repository[found.target]
    return Found(str(found.id), tuple(tags)) if isinstance(found, pygit2.Commit) else None


def _commit(repository: pygit2.Repository, commit: str) -> pygit2.Commit:
    found = repository[commit]
    if not isinstance(found, pygit2.Commit):
        raise MirrorDamaged(f"{commit} is not a commit")
    return found


def _blob(repository: pygit2.Repository, blob_id: str) -> bytes:
    found = repository[blob_id]
    if not isinstance(found, pygit2.Blob):
        raise MirrorDamaged(f"{blob_id} is not a file")
    return found.data


def _revision(commit: pygit2.Commit, record: Record) -> Revision:
    name = commit.author.raw_name.decode(errors="replace")
    email = commit.author.raw_email.decode(errors="replace")
    message = commit.raw_message.decode(errors="replace").strip()
    return Revision(
        commit=str(commit.id),
        reference=record.reference,
        committed_at=commit.commit_time,
        author=f"{name} <{email}>",
        subject=message.partition("\n")[0].rstrip(),
        tag=record.tag,
    )


def _write_atomically(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".new-", delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.rename(file.name, path)
        finally:
            Path(file.name).unlink(missing_ok=True)  # renamed away if all went well
