"""A git bundle as a source: its header read here, its pack by libgit2.

Runs in the git worker, whose deadline holds. libgit2 knows no bundles, but it does know how to
fetch: for the length of one fetch it is served what is in the file, over the loopback interface,
as a git server would (gitprotocol-pack(5)). So the pack is checked, and the objects that a pack
without its bases needs are found, by the same code as for any server. Format: gitformat-bundle(5),
version 2, and version 3 with SHA-1 and no filter.
"""

from __future__ import annotations

import re
import secrets
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, cast

from agent.source.listing import Listing
from agent.source.protocol import Rejected
from agent.source.wire.pktline import Marker, marker, packet
from agent.source.worker.libgit import pygit2

_SIGNATURE: Final = re.compile(rb"# v(\d+) git bundle\n")
_LINE: Final = re.compile(rb"(-?)([0-9a-f]{40})(?: (.*))?")
_LONGEST_LINE: Final = 4096
_MOST_LINES: Final = 100_000
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Header:
    """What a bundle says of itself: refs by name, and the commits one must already have."""

    refs: Mapping[str, str]
    needs: tuple[str, ...]


def is_bundle(file: BinaryIO) -> bool:
    """Whether the file begins as a bundle, of whatever version."""
    file.seek(0)
    return _SIGNATURE.fullmatch(file.readline(_LONGEST_LINE)) is not None


def read_header(file: BinaryIO) -> Header:
    """Read the header; the file is then at its pack. Raises Rejected for what cannot be used."""
    file.seek(0)
    signature = _SIGNATURE.fullmatch(file.readline(_LONGEST_LINE))
    version = int(signature[1]) if signature else 0
    if version not in (2, 3):
        raise Rejected("bundle", f"version {version} of the bundle format is not known")
    refs: dict[str, str] = {}
    needs: list[str] = []
    for _ in range(_MOST_LINES):
        line = file.readline(_LONGEST_LINE)
        if line == b"\n":
            return Header(refs, tuple(needs))
        if version == 3 and line.startswith(b"@"):
            _check_capability(line[1:].strip())
            continue
        match = _LINE.fullmatch(line.removesuffix(b"\n"))
        if match is None or not line.endswith(b"\n"):
            break
        if match[1]:
            needs.append(match[2].decode())
        else:
            refs[(match[3] or b"").decode(errors="backslashreplace")] = match[2].decode()
    raise Rejected("bundle", "its header is damaged or cut off")


def listing(header: Header) -> Listing:
    """Return the refs as a server would list them.

    A bundle does not say where HEAD points; and one without HEAD that has one branch means that.
    """
    branches = [name for name in header.refs if name.startswith("refs/heads/")]
    refs = dict(header.refs)
    if "HEAD" not in refs and len(branches) == 1:
        refs["HEAD"] = refs[branches[0]]
    at_head = [name for name in branches if refs[name] == refs.get("HEAD")]
    return Listing(refs, head=at_head[0] if len(at_head) == 1 else "")


def fetch(file: BinaryIO, *, mirror: Path, refspec: str, listed: str, timeout: float) -> None:
    """Fetch one ref, which was ``listed`` as this id, into the mirror.

    Raises Rejected, and what pygit2 does.
    """
    header = read_header(file)
    source = refspec.removeprefix("+").partition(":")[0]
    if listing(header).refs.get(source) != listed:
        raise Rejected("bundle", f"has no {source}, or was replaced while it was read")
    repository = pygit2.Repository(str(mirror))
    try:
        if listed not in repository:
            _check_needs(header, repository)
        with _served(file, {source: listed}, timeout) as url:
            repository.remotes.create_anonymous(url).fetch([refspec])
    except pygit2.GitError as error:
        told = " ".join(str(error).split())
        raise Rejected("bundle", f"its pack is damaged or cut off: {told}") from error
    finally:
        repository.free()


def _check_capability(capability: bytes) -> None:
    if capability != b"object-format=sha1":
        shown = capability.decode(errors="backslashreplace")
        raise Rejected("bundle", f"needs {shown!r}, which is not supported: only SHA-1, unfiltered")


def _check_needs(header: Header, repository: pygit2.Repository) -> None:
    missing = [commit for commit in header.needs if commit not in repository]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise Rejected("bundle-base", f"builds on commit {missing[0]}{more}, which is not here")


@contextmanager
def _served(file: BinaryIO, refs: Mapping[str, str], timeout: float) -> Iterator[str]:
    """Serve the pack at which ``file`` is to one client that knows the URL; yield that."""
    path = f"/{secrets.token_urlsafe(16)}"
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(timeout)
        thread = threading.Thread(target=_accept, args=(server, path, refs, file), daemon=True)
        thread.start()
        try:
            yield f"git://127.0.0.1:{server.getsockname()[1]}{path}"
        finally:
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)  # wakes the thread if nobody came
            thread.join(timeout)


def _accept(server: socket.socket, path: str, refs: Mapping[str, str], file: BinaryIO) -> None:
    with suppress(OSError, ValueError):  # the client sees the connection end, and says so
        while True:
            connection, _ = server.accept()
            connection.settimeout(server.gettimeout())
            with connection, cast(BinaryIO, connection.makefile("rwb")) as stream:
                if _read_packet(stream).startswith(f"git-upload-pack {path}\0".encode()):
                    _upload_pack(stream, refs, file)
                    return


def _upload_pack(stream: BinaryIO, refs: Mapping[str, str], file: BinaryIO) -> None:
    """Answer one fetch: whatever the client wants and has, it gets the whole pack."""
    capabilities = "\0ofs-delta"
    for name, found in refs.items():
        stream.write(packet(f"{found} {name}{capabilities}\n".encode()))
        capabilities = ""
    stream.write(marker(Marker.FLUSH))
    stream.flush()
    if not _read_packet(stream):
        return  # it has everything
    while _read_packet(stream):
        pass
    while (asked := _read_packet(stream)) != b"done\n":
        if not asked:  # the end of some of what it has
            stream.write(packet(b"NAK\n"))
            stream.flush()
    stream.write(packet(b"NAK\n"))
    while chunk := file.read(_CHUNK):
        stream.write(chunk)
    stream.flush()


def _read_packet(stream: BinaryIO) -> bytes:
    """Return a packet's content, "" for a flush (gitprotocol-common(5)); OSError at the end."""
    length = stream.read(4)
    if len(length) < 4:
        raise ConnectionError("the client is gone")
    return stream.read(max(0, int(length, 16) - 4))
