"""Why a request to a git server over HTTP failed, in words a person can use. No I/O.

Typed exceptions and status codes in, SourceErrors out; no text of a library is searched.
"""

from __future__ import annotations

import os
import re
import ssl
from typing import Final

from agent.http import aiohttp
from agent.proxies import NameFailure, Proxy, ProxyFailure
from agent.source.errors import (
    CHECK_AUTHORITY,
    CHECK_KEY,
    CHECK_WAY,
    AuthError,
    FetchError,
    ProxyError,
    SourceError,
    UnexpectedAnswer,
)
from agent.source.login.credentials import CredentialKind, Credentials
from agent.source.url import GitUrl

CONNECTION_ERRORS: Final = (aiohttp.ClientError, OSError, EOFError, ProxyFailure, NameFailure)
"""What a request, or reading its answer, may raise."""

_CHECK_PROXY: Final = "check the proxy of the track or of the agent's environment, and its password"
_NAMES_OTHERS: Final = frozenset({62, 64})  # X509_V_ERR_HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH
_NOT_IN_TIME: Final = frozenset({9, 10})  # X509_V_ERR_CERT_NOT_YET_VALID, _CERT_HAS_EXPIRED
_REFUSALS: Final = {
    CredentialKind.NONE: "the server asks for credentials and none are configured",
    CredentialKind.BASIC: "the server refused the user name or password",
    CredentialKind.BEARER: "the server refused the token",
}
_TITLE: Final = re.compile(r"<title>([^<]*)</title>", re.IGNORECASE)


def connection_failure(
    error: Exception, *, url: GitUrl, host: str, proxy: Proxy | None
) -> SourceError:
    """Return the error for what one of CONNECTION_ERRORS says about a request to ``host``."""
    shown = url.redacted()
    if proxy is not None and _is_the_proxys(error, proxy):
        reason = f"proxy {proxy.redacted()}: {_proxy_reason(error)}"
        return ProxyError(shown, reason, hint=_CHECK_PROXY)
    broken = _tls_error(error)
    if isinstance(broken, ssl.SSLCertVerificationError):
        return _distrust(shown, host, broken)
    if broken is not None:
        return _tls_failure(shown, host, broken)
    if isinstance(error, aiohttp.ClientConnectorDNSError | NameFailure):
        why = _system_words(error)
        return FetchError(shown, f"the name {host} cannot be resolved: {why}", hint=CHECK_WAY)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        reason = "the server closed the connection without an answer"
        return FetchError(shown, reason, hint=CHECK_WAY)
    if isinstance(error, aiohttp.ClientPayloadError | EOFError):
        return FetchError(shown, "the answer was cut off in the middle", hint=CHECK_WAY)
    return FetchError(shown, _system_words(error), hint=CHECK_WAY)


def refusal(
    status: int, body: str, *, url: GitUrl, credentials: Credentials, proxy: Proxy | None
) -> SourceError:
    """Return the error for an HTTP status other than 200; ``body`` may say why."""
    shown = url.redacted()
    told = credentials.scrub(_told(body))
    unclear = ""
    if proxy is not None and not proxy.is_socks and url.scheme == "http":
        # Without TLS the proxy answers in the server's place, some with the server's own codes.
        unclear = f", or proxy {proxy.redacted()} did"
    if status == 401:
        return AuthError(shown, f"{_REFUSALS[credentials.kind]}{unclear}", hint=CHECK_KEY)
    if status == 403:
        reason = f"the server forbids access (403{told}){unclear}"
        return AuthError(shown, reason, hint=CHECK_KEY)
    if status == 407:
        name = proxy.redacted() if proxy else "in between"
        reason = f"proxy {name}: it asks for credentials, or refuses those given (407)"
        return ProxyError(shown, reason, hint=_CHECK_PROXY)
    if status in {404, 410}:
        return UnexpectedAnswer(
            shown,
            f"there is no such repository, or these credentials may not see it ({status}{told})",
            hint="check the URL and the track's deploy-key",
        )
    return UnexpectedAnswer(shown, f"HTTP status {status}{told}", hint=_hint_for(status))


def no_git(url: GitUrl, content_type: str) -> UnexpectedAnswer:
    """Return the error for an answer that is not git's smart HTTP protocol."""
    what = "a web page" if "html" in content_type else f"{content_type or 'untyped'} content"
    return UnexpectedAnswer(
        url.redacted(),
        f"the server answered with {what}, not as a git server does",
        hint='check that `git clone` takes this URL; plain files ("dumb" HTTP) cannot be read',
    )


def _is_the_proxys(error: Exception, proxy: Proxy) -> bool:
    if isinstance(error, ProxyFailure | aiohttp.ClientHttpProxyError):
        return True
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return True
    # aiohttp connects to an HTTP proxy as to any other server.
    return isinstance(error, aiohttp.ClientConnectorError) and (error.host, error.port) == (
        proxy.host,
        proxy.port,
    )


def _proxy_reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"it refuses the connection: {error.status} {error.message}"
    broken = _tls_error(error)
    if isinstance(broken, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {broken.verify_message}"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"its name cannot be resolved: {_system_words(error)}"
    return _system_words(error)


def _tls_error(error: BaseException | None) -> ssl.SSLError | None:
    while error is not None:
        # aiohttp's own certificate error is an ssl.SSLError that knows nothing.
        told = getattr(error, "certificate_error", None) or getattr(error, "os_error", None)
        for found in (told, error):
            if isinstance(found, ssl.SSLError):
                return found
        error = error.__cause__
    return None


def _distrust(shown: str, host: str, error: ssl.SSLCertVerificationError) -> AuthError:
    hint = CHECK_AUTHORITY
    if error.verify_code in _NOT_IN_TIME:
        hint = "have the server's certificate renewed, and check the clock of this machine"
    elif error.verify_code in _NAMES_OTHERS:
        hint = "use a name the server's certificate is for"
    return AuthError(
        shown, f"the certificate of {host} is not trusted: {error.verify_message}", hint=hint
    )


def _tls_failure(shown: str, host: str, error: ssl.SSLError) -> SourceError:
    why = (error.reason or str(error)).replace("_", " ").lower()
    if "ALERT" in (error.reason or "") and "CERTIFICATE" in (error.reason or ""):
        return AuthError(
            shown,
            f"{host} wants a client certificate, or another than the one shown ({why})",
            hint="give the track the certificate and key the server asks for",
        )
    return FetchError(shown, f"TLS with {host} failed: {why}", hint=CHECK_WAY)


def _system_words(error: BaseException) -> str:
    cause = getattr(error, "os_error", None) or error
    number = getattr(cause, "errno", None)
    if isinstance(number, int) and number > 0:
        return os.strerror(number)
    return str(cause) or type(cause).__name__


def _told(body: str) -> str:
    """Return what a page's title, or else a short text, adds to the bare status."""
    title = _TITLE.search(body)
    text = " ".join((title[1] if title else body).split())
    if not text or "<" in text:
        return ""
    return f": {text[:200]}"


def _hint_for(status: int) -> str:
    if status == 429:
        return "the server limits requests; use a longer interval"
    if status >= 500:
        return "the server is in trouble; the next poll tries again"
    return "check the URL; the server's log says more"
