"""Revisions as objects of a git repository: commits, and the annotated tags that lead to them.

Synchronous; works on a repository that is open, and lets through what pygit2 raises for objects
that are missing or broken: the mirror knows what that means. Never writes but a pack.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from agent.manifest.limits import MAX_FILE_SIZE
from agent.source.errors import MirrorDamaged
from agent.source.records import Found, Record
from agent.source.snapshot import Revision
from agent.source.worker.libgit import pygit2


def own(repository: pygit2.Repository, *, below: str) -> Iterator[Found]:
    """Yield what the refs ``below`` lead to; those that lead to no commit are nothing to us."""
    for name in repository.references:
        if name.startswith(below):
            found = peel(repository, str(repository.references[name].target))
            if found is not None:
                yield found


def peel(repository: pygit2.Repository, object_id: str) -> Found | None:
    """Follow annotated tags to their commit; None when they lead to something else."""
    tags: list[str] = []
    found = repository[object_id]
    while isinstance(found, pygit2.Tag):
        tags.append(str(found.id))
        found = repository[found.target]
    return Found(str(found.id), tuple(tags)) if isinstance(found, pygit2.Commit) else None


def named(repository: pygit2.Repository, record: Record) -> Found:
    """Return a record's revision with the whole chain of its tags; raise MirrorDamaged."""
    found = peel(repository, record.tag or record.commit)
    if found is None or (found.commit, found.tag) != (record.commit, record.tag):
        raise MirrorDamaged(f"{record.tag or record.commit} does not lead to {record.commit}")
    return found


def commit_of(repository: pygit2.Repository, commit: str) -> pygit2.Commit:
    """Return a commit by its id; raise MirrorDamaged when it is something else."""
    found = repository[commit]
    if not isinstance(found, pygit2.Commit):
        raise MirrorDamaged(f"{commit} is not a commit")
    return found


def blob_of(repository: pygit2.Repository, blob_id: str) -> bytes:
    """Return a file's content by its id; raise MirrorDamaged when it is something else."""
    found = repository[blob_id]
    if not isinstance(found, pygit2.Blob):
        raise MirrorDamaged(f"{blob_id} is not a file")
    return found.data


def size_of(repository: pygit2.Repository, found: pygit2.Blob) -> int:
    """Return a file's size in bytes; what may be a manifest is read for it, so damage raises.

    What is larger is not: its bytes, of which a small pack may hold any number, would fill memory.
    """
    size = int(repository.odb.read_header(found.id)[1])
    return size if size > MAX_FILE_SIZE else found.size


def revision_of(commit: pygit2.Commit, record: Record) -> Revision:
    """Return a recorded commit as it is shown to people."""
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


def write_pack(repository: pygit2.Repository, folder: Path, wanted: Iterable[Found]) -> None:
    """Write the files of these commits, and the tags that lead there, but no history."""
    builder = pygit2.PackBuilder(repository)
    for found in wanted:
        builder.add_recur(pygit2.Oid(hex=found.commit))
        for tag in found.tags:
            builder.add(pygit2.Oid(hex=tag))
    builder.write(folder)
