"""What can be wrong with a repository.

::

    SourceError
    ├── UnsupportedUrl       the URL cannot be read, or names a transport that is not offered
    ├── UnsupportedRepository the repository's commit ids are of a kind that cannot be read here
    ├── FetchError           the server cannot be reached or does not answer as git does
    │   ├── FetchTimeout     it did not answer within the deadline
    │   ├── UnexpectedAnswer it answered, but not as git does: an HTTP status, a web page, nonsense
    │   └── ProxyError       the proxy in between cannot be reached, or refuses
    ├── AuthError            credentials, host key or certificate: one side does not trust the other
    ├── VerificationError    nobody who is trusted signed the revision, or it cannot be told
    ├── ReferenceNotFound    the repository has no such branch, tag, ref or commit
    ├── PathNotFound         the revision has no manifest file under the sub-path
    └── ContentsUndecided    which files count is unknown: a .sourceignore, or far too many
    CredentialsError         a credential cannot be read; the source turns it into an AuthError
    └── SecretError          ... out of a Kubernetes Secret
    SignatureError           a signature or the keys are no good; becomes a VerificationError
    MirrorDamaged            the copy on disk is broken; handled by rebuilding it, never shown alone

Every message is ``URL: reason; hint``, the URL without user, password or query.
"""

from __future__ import annotations

from typing import Final

from agent.errors import AgentError

CHECK_KEY: Final = (
    "check the track's deploy-key: is it this repository's, still valid, of the right type"
)
CHECK_AUTHORITY: Final = (
    "add the server's certificate authority to the track's ca, or to the machine's bundle "
    "(SSL_CERT_FILE)"
)
CHECK_WAY: Final = "check the URL and that the server can be reached from here"


class SourceError(AgentError):
    """A repository cannot be reached or read.

    ``url`` is the redacted URL, ``reason`` what happened, ``hint`` what to do about it.
    """

    retryable = True

    def __init__(self, url: str, reason: str, *, hint: str = "") -> None:
        super().__init__(f"{url}: {reason}; {hint}" if hint else f"{url}: {reason}")
        self.url = url
        self.reason = reason
        self.hint = hint


class UnsupportedUrl(SourceError):
    """The URL is malformed, or its transport is not offered."""

    retryable = False


class UnsupportedRepository(SourceError):
    """The repository's object format, SHA-256, is not one that libgit2 reads."""

    retryable = False

    def __init__(self, url: str) -> None:
        super().__init__(
            url,
            "SHA-256 repositories are not supported by this build",
            hint="copy it into a SHA-1 repository (`git fast-export --all | git fast-import`) and "
            "track that",
        )


class FetchError(SourceError):
    """The server cannot be reached, or does not answer as a git server does."""


class FetchTimeout(FetchError):
    """The deadline passed before the server had answered; the connection has been killed."""


class UnexpectedAnswer(FetchError):
    """Something answered over HTTP, with another status or other content than git's."""


class ProxyError(FetchError):
    """The proxy cannot be reached or refuses; ``reason`` names it, without its password."""


class AuthError(SourceError):
    """The server refused the credentials, or its host key or certificate is not trusted."""

    retryable = False


class VerificationError(SourceError):
    """The revision is not signed as the track's ``verify`` asks, so nothing of it is used."""


class ReferenceNotFound(SourceError):
    """The repository was reached and has no such reference."""


class PathNotFound(SourceError):
    """The revision has no manifest file under the sub-path (faros.md section 4.5).

    An error and not an empty set of objects: a typo must not delete everything.
    """


class ContentsUndecided(SourceError):
    """Which files of the revision count cannot be told.

    A ``.sourceignore`` cannot be read, or there is more than is looked at. An error for the whole
    revision: without the rule, files would count that must not, and with a guess others would be
    missing and their objects deleted.
    """


class CredentialsError(AgentError):
    """A credential cannot be read or makes no sense; the message never quotes it."""


class SecretError(CredentialsError):
    """A Kubernetes Secret cannot be read, or what is in it makes no sense."""


class SignatureError(AgentError):
    """A signature does not hold, or the keys to check it by cannot be used.

    ``reason`` goes on after "it": "it is not signed"; ``hint`` says what to do about it.
    """

    def __init__(self, reason: str, *, hint: str = "") -> None:
        super().__init__(f"{reason}; {hint}" if hint else reason)
        self.reason = reason
        self.hint = hint


class ContentsRefused(AgentError):
    """Which files count cannot be told: the file and line, or the folder, and why."""


class MirrorDamaged(AgentError):
    """The repository on disk is broken: an object is missing, a pack is cut, HEAD is gone."""

    retryable = True
