"""What the agent and its git worker say to each other: one JSON document a line.

Requests go over the worker's standard input, credentials included, so that no secret is ever in an
argument or an environment variable.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from agent.source.listing import Listing
from agent.source.login.credentials import Credentials

FailureKind = Literal[
    "auth", "host-key", "timeout", "unreachable", "sha-refused", "object-format", "mirror",
    "local", "folder", "bundle", "bundle-base", "contents", "machine",
]  # fmt: skip
"""Who said no: the server to us (auth), we to the server (host-key), libgit2's own clock (timeout),
the network or the server's git (unreachable), the server to a fetch by id, libgit2 to the
repository's kind of ids (object-format), or the repository on our disk. The rest is about plain
paths: nothing of use there, a folder, a bundle, and the commit it builds on; and about mirrors: a
.sourceignore that cannot be read, and our own disk, its space and rights."""


class Rejected(Exception):
    """Raised in a worker, also through libgit2's callbacks; it becomes a Failure."""

    def __init__(self, kind: FailureKind, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class Plain(msgspec.Struct, frozen=True):
    """Of a URL that is a plain absolute path, what decides how that is read.

    ``listed`` is the id that the listing had for what is fetched, "" in a listing.
    """

    sub_path: str
    has_reference: bool
    listed: str = ""


class ListRefs(msgspec.Struct, tag="list", frozen=True):
    """List the refs that start with one of ``prefixes`` or point to ``commit``, not over HTTP.

    ``timeout`` bounds a connect and each read, in seconds; the caller keeps the real deadline.
    """

    url: str
    prefixes: tuple[str, ...]
    commit: str
    credentials: Credentials
    timeout: float
    plain: Plain | None = None


class FetchRef(msgspec.Struct, tag="fetch", frozen=True):
    """Fetch ``refspec`` into the bare repository ``mirror``; ``depth`` 0 is the whole history."""

    url: str
    mirror: str
    refspec: str
    depth: int
    credentials: Credentials
    timeout: float
    plain: Plain | None = None


class OnMirror(msgspec.Struct, tag="mirror", frozen=True):
    """Call ``method`` of the Mirror at ``mirror``; its arguments have the types written there."""

    mirror: str
    method: str
    arguments: dict[str, Any]


class Refs(msgspec.Struct, tag="refs", frozen=True):
    """The answer to ListRefs."""

    listing: Listing


class Fetched(msgspec.Struct, tag="fetched", frozen=True):
    """The answer to FetchRef. A ref the remote does not have is silently not fetched.

    ``as_listed``: what came is what was listed, though the listing had another id for it.
    """

    as_listed: bool = False


class Done(msgspec.Struct, tag="done", frozen=True):
    """The answer to OnMirror: what the method returned, in JSON."""

    result: msgspec.Raw


class Failure(msgspec.Struct, tag="failure", frozen=True):
    """The request failed; ``reason`` contains no secret."""

    kind: FailureKind
    reason: str


ServerRequest = ListRefs | FetchRef
Request = ServerRequest | OnMirror
Answer = Refs | Fetched | Done | Failure

_encoder = msgspec.json.Encoder()
_request_decoder: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_answer_decoder: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)


def encode(message: Request | Answer) -> bytes:
    """Return one line, newline included."""
    return _encoder.encode(message) + b"\n"


def decode_request(line: bytes) -> Request:
    """Read a line the agent wrote; raise msgspec.DecodeError."""
    return _request_decoder.decode(line)


def decode_answer(line: bytes) -> Answer:
    """Read a line the worker wrote; raise msgspec.DecodeError."""
    return _answer_decoder.decode(line)
