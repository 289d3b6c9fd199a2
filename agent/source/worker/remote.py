"""Network calls to git servers, and what lies at local paths: lists refs and fetches, by libgit2.

Blocks, and may hang: the process is killed at the deadline. Every way git has to fail becomes a
Failure, without a secret in it.
"""

from __future__ import annotations

import os
from pathlib import Path

from agent.source.listing import Listing
from agent.source.login.credentials import Credentials
from agent.source.protocol import (
    Answer,
    Failure,
    FailureKind,
    Fetched,
    FetchRef,
    ListRefs,
    Refs,
    Rejected,
    ServerRequest,
)
from agent.source.worker import libgit, local
from agent.source.worker.libgit import pygit2

_REFUSED_IDS = (
    "cannot fetch a specific object",
    "unexpected packet type",
    "target oid for the reference doesn't exist",  # of a local repository
)


class _Callbacks(pygit2.RemoteCallbacks):
    """Shows the ssh key once, and believes no unknown host."""

    def __init__(self, given: Credentials) -> None:
        super().__init__()
        self._given = given
        self._shown = False

    def credentials(
        self,
        url: str,
        username_from_url: str | None,
        allowed_types: pygit2.enums.CredentialType,
    ) -> pygit2.Keypair:
        """Return what to show; libgit2 asks again for ever when the server refuses it."""
        if self._shown:
            raise Rejected(
                "auth", f"the server refused the SSH key for user {self._given.username!r}"
            )
        self._shown = True
        secret = self._given.secret.decode(errors="surrogateescape")
        if not allowed_types & pygit2.enums.CredentialType.SSH_KEY:
            raise Rejected("auth", "the server accepts no public keys")
        return pygit2.KeypairFromMemory(self._given.username, None, secret, self._given.passphrase)

    def certificate_check(
        self,
        certificate: None,
        valid: bool,
        host: bytes,
    ) -> bool:
        """Return libgit2's verdict; without this method pygit2 accepts any ssh host key."""
        if valid:
            return True
        raise Rejected("host-key", f"the host key of {os.fsdecode(host)} is not in known_hosts")


def answer(request: ServerRequest, *, homedir: Path) -> Answer:
    """Make the call; ``homedir`` is where libssh2 finds the known hosts."""
    try:
        _write_known_hosts(homedir, request.credentials.known_hosts)
        libgit.set_network_timeout(request.timeout)
        if isinstance(request, ListRefs):
            return _list(request)
        return _fetch(request)
    except Rejected as error:
        return Failure(error.kind, _printable(str(error)))
    except Exception as error:  # pygit2 has many
        told = str(error) or type(error).__name__
        if isinstance(error, KeyError) and error.args:
            told = error.args[0]  # str would quote it
        reason = request.credentials.scrub(" ".join(_printable(str(told)).split()))
        return Failure(_kind_of(reason), reason)


def _list(request: ListRefs) -> Answer:
    if request.plain and (there := local.listing(request, request.plain)) is not None:
        return Refs(_wanted(there, request))
    if request.url.startswith("/") and not os.path.isdir(request.url):
        # libgit2 would say "unsupported URL protocol".
        return Failure("unreachable", "there is no such folder")
    remote = pygit2.Repository().remotes.create_anonymous(request.url)
    refs: dict[str, str] = {}
    head = ""
    for found in remote.list_heads(callbacks=_Callbacks(request.credentials)):
        name = _printable(found.name or "")
        refs[name] = str(found.oid)
        if name == "HEAD":
            head = _printable(found.symref_target or "")
    return Refs(_wanted(Listing(refs, head), request))


def _printable(text: str) -> str:
    # Names may hold bytes that are no UTF-8, and an answer must be.
    return text.encode(errors="surrogateescape").decode(errors="backslashreplace")


def _wanted(listing: Listing, request: ListRefs) -> Listing:
    refs = {
        name: found
        for name, found in listing.refs.items()
        if name.startswith(request.prefixes) or found == request.commit
    }
    return Listing(refs, listing.head)


def _fetch(request: FetchRef) -> Answer:
    if request.plain and local.fetch(request, request.plain):
        return Fetched(as_listed=True)
    try:
        mirror = pygit2.Repository(request.mirror)
    except pygit2.GitError as error:
        return Failure("mirror", str(error))
    try:
        remote = mirror.remotes.create_anonymous(request.url)
        callbacks = _Callbacks(request.credentials)
        remote.fetch([request.refspec], callbacks=callbacks, depth=request.depth)
    finally:
        mirror.free()  # the garbage collector would keep packs open that others have removed
        # Nobody reads it, and it names the URL, with the gateway's token in it.
        Path(request.mirror, "FETCH_HEAD").unlink(missing_ok=True)
    return Fetched()


def _kind_of(reason: str) -> FailureKind:
    # libgit2 gives every one of these the same class and code.
    lowered = reason.lower()
    if any(words in lowered for words in _REFUSED_IDS):
        return "sha-refused"
    if "object format" in lowered:
        return "object-format"
    if "authenticat" in lowered or "private key" in lowered:
        return "auth"
    return "timeout" if "timed out" in lowered else "unreachable"


def _write_known_hosts(homedir: Path, text: str) -> None:
    folder = homedir / ".ssh"
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "known_hosts").write_bytes(text.encode(errors="replace"))
