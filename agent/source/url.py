"""Repository URLs: ssh://, scp-like, http(s)://, file:// and plain absolute paths.

Pure. A ``GitUrl`` keeps user and password apart from the rest, so that no text made from it can
contain them by accident.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from agent.source.errors import UnsupportedUrl

_DEFAULT_PORTS: Final = {"ssh": 22, "http": 80, "https": 443}
_HOST: Final = re.compile(r"[a-z0-9_][a-z0-9._-]*|[0-9a-f:.]+(%[\w.-]+)?")
_SCP_LIKE: Final = re.compile(
    r"(?:(?P<user>[^@/:]+)@)?(?P<host>[^@/:\[\]]+|\[[^\]]+\]):(?P<path>.+)"
)
_FORMS: Final = "use ssh://, user@host:path, https://, http://, file:// or an absolute path"


@dataclass(frozen=True, slots=True)
class GitUrl:
    """A parsed repository URL.

    ``path`` starts with a slash except in the scp-like form, where it may be relative to the
    user's home. ``user`` and ``password`` are what the URL carries, percent-decoded. ``plain``
    says that it was written as an absolute path, which need not be a repository.
    """

    scheme: str
    host: str
    port: int | None
    path: str
    user: str = ""
    password: str = field(default="", repr=False)
    plain: bool = False

    @property
    def is_ssh(self) -> bool:
        """Whether the transport is ssh."""
        return self.scheme == "ssh"

    @property
    def is_http(self) -> bool:
        """Whether the transport is http or https."""
        return self.scheme in {"http", "https"}

    @property
    def is_local(self) -> bool:
        """Whether the repository is a folder of this machine."""
        return self.scheme == "file"

    def redacted(self) -> str:
        """Return the URL without user and password, for people."""
        return self.path if self.plain else self._text(user="")

    def for_transport(self) -> str:
        """Return the URL for libgit2: never a password, a user only where ssh needs one."""
        if self.is_local:
            return self.path
        return self._text(user=(self.user or "git") if self.is_ssh else "")

    def mirror_name(self) -> str:
        """Return the folder name of this repository's mirror: readable, unique, no secret.

        Two spellings of one URL (case of the host, default port, trailing slash, https user) give
        one name; the ssh user is part of it, since a relative path depends on him.
        """
        identity = self._text(user=(self.user or "git") if self.is_ssh else "")
        readable = self.path.rstrip("/").rpartition("/")[2].removesuffix(".git")
        readable = re.sub(r"[^A-Za-z0-9._-]+", "-", readable).strip(".-")[:40] or "repository"
        return f"{readable}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"

    def _text(self, *, user: str) -> str:
        if self.is_local:
            return f"file://{self.path}"
        at = f"{user}@" if user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        if not self.path.startswith("/"):  # scp-like: ssh:// has no way to say "below home"
            inside = f"[{at}{host}:{self.port}]" if self.port else f"{at}{host}"
            return f"{inside}:{self.path}"
        port = f":{self.port}" if self.port else ""
        return f"{self.scheme}://{at}{host}{port}{self.path}"


def parse_url(text: str) -> GitUrl:
    """Parse a repository URL as git reads it; raise UnsupportedUrl with the reason."""
    if text.startswith("/") and text.isprintable():
        return GitUrl("file", "", None, _trimmed(text), plain=True)
    if not text or any(character.isspace() or not character.isprintable() for character in text):
        raise _refused(text, "a repository URL must not be empty or contain spaces")
    if "://" in text:
        return _parse_with_scheme(text)
    match = _SCP_LIKE.fullmatch(text)
    if match is None:
        raise _refused(text, f"not a repository URL; {_FORMS}")
    host = _checked_host(text, match["host"].strip("[]"))
    return GitUrl("ssh", host, None, _trimmed(match["path"]), unquote(match["user"] or ""))


def _parse_with_scheme(text: str) -> GitUrl:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        # The exception's own text may quote the password.
        raise _refused(text, "host or port cannot be read; percent-encode the password") from None
    if parts.scheme == "file":
        return _local(text, parts)
    if parts.scheme not in _DEFAULT_PORTS:
        raise _refused(text, f"transport {parts.scheme!r} is not supported; {_FORMS}")
    if "@" in parts.path and "@" not in parts.netloc:
        raise _refused(
            text,
            'there is an "@" behind the first slash: percent-encode the password that has the '
            "slash, or write %40 if it belongs to the path",
        )
    if parts.query or parts.fragment:
        raise _refused(
            text, "a repository URL has no query or fragment; credentials do not go there"
        )
    if parts.path.strip("/") == "":
        raise _refused(text, "the URL names a host but no repository")
    return GitUrl(
        scheme=parts.scheme,
        host=_checked_host(text, parts.hostname or ""),
        port=None if port == _DEFAULT_PORTS[parts.scheme] else port,
        path=_trimmed(parts.path),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )


def _local(text: str, parts: SplitResult) -> GitUrl:
    if parts.netloc not in {"", "localhost"}:
        raise _refused(text, "file:// takes an absolute path and no host: file:///srv/app.git")
    if not parts.path.startswith("/"):
        raise _refused(text, "file:// takes an absolute path: file:///srv/app.git")
    return GitUrl("file", "", None, _trimmed(unquote(parts.path)))


def _checked_host(text: str, host: str) -> str:
    host = host.lower()
    if not _HOST.fullmatch(host):
        raise _refused(text, "the URL has no valid host name")
    return host


def _trimmed(path: str) -> str:
    return path.rstrip("/") or "/"


def _refused(text: str, reason: str) -> UnsupportedUrl:
    # The text could not be parsed, so user and password may be anywhere before the last "@".
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "", text
    shown = f"{scheme}{separator}{rest.rpartition('@')[2]}".partition("?")[0]
    return UnsupportedUrl(shown or "repository", reason)
