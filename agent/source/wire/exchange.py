"""Requests to one git server over HTTP, as ``git`` makes them: credentials, proxy, redirects.

Knows URLs, headers and origins, not what git says in the bodies. Everything that can go wrong comes
out as a SourceError. Deadlines are the caller's.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

from yarl import URL

from agent.http import aiohttp
from agent.proxies import Proxy, parse_proxy, proxy_in
from agent.source.errors import AuthError, CredentialsError, ProxyError, UnexpectedAnswer
from agent.source.login.credentials import CredentialKind, Credentials
from agent.source.url import GitUrl
from agent.source.wire.httpfailures import CONNECTION_ERRORS, connection_failure, no_git, refusal
from agent.source.wire.sessions import Route, Sent, Session, Sessions

ANSWER_LIMIT: Final = 64 << 20
"""Bytes of a listing: some 800,000 refs."""

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_HOPS: Final = 20  # as git's CURLOPT_MAXREDIRS
_INFO_REFS: Final = "/info/refs"
_SERVICE: Final = "service=git-upload-pack"
_EXPLANATION_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Remote:
    """A repository, and the credentials to show its server."""

    url: GitUrl
    credentials: Credentials

    @property
    def base(self) -> URL:
        """The repository's URL, without user and password."""
        return URL(self.url.for_transport())


@dataclass(frozen=True, slots=True)
class _Call:
    method: str
    url: URL
    headers: Mapping[str, str]
    body: bytes | None = None


class Exchange:
    """Sends requests; ``environment`` names the proxies of remotes that have none of their own."""

    def __init__(self, sessions: Sessions, environment: Mapping[str, str]) -> None:
        self._sessions = sessions
        self._environment = environment

    def proxy_of(self, remote: Remote, target: URL | None = None) -> Proxy | None:
        """Return the proxy on the way to a remote (or where it redirects to); raise ProxyError."""
        target = target or remote.base
        return proxy_of(
            remote.url,
            remote.credentials,
            self._environment,
            server=(target.scheme, target.host or "", target.port),
        )

    @asynccontextmanager
    async def advertisement(
        self, remote: Remote, headers: Mapping[str, str]
    ) -> AsyncIterator[tuple[aiohttp.ClientResponse, URL]]:
        """GET the advertisement of refs; yield the answer and the URL the repository is really at.

        As with git's ``http.followRedirects=initial`` only this request follows redirects; never
        from https to http. Raises SourceError, also for an answer that is not git's.
        """
        base = remote.base
        for _ in range(_HOPS):
            call = _Call("GET", _info_refs(base), headers)
            async with self._send(remote, call) as response:
                if response.status not in _REDIRECTS:
                    _check_type(response, "advertisement", remote)
                    yield response, base
                    return
                base = _redirected(response, call.url, remote)
        raise UnexpectedAnswer(remote.url.redacted(), f"redirected {_HOPS} times")

    @asynccontextmanager
    async def upload_pack(
        self, remote: Remote, base: URL, body: bytes, headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """POST to the git-upload-pack of the repository at ``base``; raise SourceError."""
        headers = {
            "Content-Type": "application/x-git-upload-pack-request",
            "Accept": "application/x-git-upload-pack-result",
            **headers,
        }
        call = _Call("POST", URL(f"{base}/git-upload-pack"), headers, body)
        async with self._send(remote, call) as response:
            if response.status in _REDIRECTS:
                raise UnexpectedAnswer(remote.url.redacted(), "a POST was redirected")
            _check_type(response, "result", remote)
            yield response

    @asynccontextmanager
    async def _send(self, remote: Remote, call: _Call) -> AsyncIterator[aiohttp.ClientResponse]:
        """Yield an answer of status 200 or a redirect; what its reader raises is translated too."""
        url, credentials = remote.url, remote.credentials
        at_home = call.url.origin() == remote.base.origin()
        proxy = self.proxy_of(remote, call.url)
        route = Route(proxy, credentials.ca)
        if at_home:
            route = replace(
                route,
                client_certificate=credentials.client_certificate,
                client_key=credentials.client_key,
            )
            call = replace(call, headers={**call.headers, **_authorization(url, credentials)})
        try:
            async with self._sessions.use(route) as session, _answer(session, call) as response:
                if response.status != 200 and response.status not in _REDIRECTS:
                    if response.status == 401 and not at_home:
                        raise _asked_elsewhere(url, call.url)
                    body = await _explanation(response)
                    raise refusal(
                        response.status, body, url=url, credentials=credentials, proxy=proxy
                    )
                yield response
        except CredentialsError as error:
            raise AuthError(url.redacted(), str(error)) from error
        except CONNECTION_ERRORS as error:
            host = call.url.host or ""
            # Not "from error": aiohttp's errors carry the request, and that the password.
            raise connection_failure(error, url=url, host=host, proxy=proxy) from None


def proxy_of(
    url: GitUrl,
    credentials: Credentials,
    environment: Mapping[str, str],
    *,
    server: tuple[str, str, int | None],
) -> Proxy | None:
    """Return the proxy on the way to a server (scheme, host, port); raise ProxyError.

    The credentials' own comes before the environment's.
    """
    scheme, host, port = server
    text = credentials.proxy or proxy_in(environment, scheme=scheme, host=host, port=port)
    if not text:
        return None
    try:
        return parse_proxy(text)
    except ValueError as error:
        origin = "the track's proxy" if credentials.proxy else "the environment's proxy"
        raise ProxyError(url.redacted(), f"{origin} is no proxy's URL: {error}") from None


async def read(response: aiohttp.ClientResponse, remote: Remote) -> bytes:
    """Return an answer's body; raise UnexpectedAnswer when it is longer than ANSWER_LIMIT."""
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > ANSWER_LIMIT:
            raise UnexpectedAnswer(
                remote.url.redacted(), f"the list of refs is longer than {ANSWER_LIMIT >> 20} MiB"
            )
    return b"".join(parts)


@asynccontextmanager
async def _answer(session: Session, call: _Call) -> AsyncIterator[aiohttp.ClientResponse]:
    while True:
        sent = Sent()
        try:
            response = await session.request(
                call.method, call.url, headers=dict(call.headers), body=call.body, sent=sent
            )
            break
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            # The server may close an idle connection in the very moment it is used again. Each
            # failure removes one from the pool, so this ends with a new connection.
            if not sent.reused:
                raise
    async with response:
        yield response


async def _explanation(response: aiohttp.ClientResponse) -> str:
    return (await response.content.read(_EXPLANATION_BYTES)).decode(errors="replace")


def _authorization(url: GitUrl, credentials: Credentials) -> dict[str, str]:
    if credentials.kind is CredentialKind.BASIC:
        pair = credentials.username.encode() + b":" + credentials.secret
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    if credentials.kind is CredentialKind.BEARER:
        return {"Authorization": f"Bearer {credentials.secret.decode()}"}
    return {}


def _info_refs(base: URL) -> URL:
    return URL(f"{base}{_INFO_REFS}?{_SERVICE}")


def _redirected(response: aiohttp.ClientResponse, asked: URL, remote: Remote) -> URL:
    shown = remote.url.redacted()
    try:
        target = asked.join(URL(response.headers.get("Location", ""))).with_user(None)
    except ValueError:
        raise UnexpectedAnswer(shown, "it redirects to no URL") from None
    if target.scheme not in {"http", "https"}:
        raise UnexpectedAnswer(shown, "it redirects to something that is not HTTP")
    if asked.scheme == "https" and target.scheme == "http":
        raise UnexpectedAnswer(
            shown,
            f"it redirects from https to {target.with_query(None)}, which is not encrypted",
            hint="that is never followed; have the server redirect to https",
        )
    if not target.path.endswith(_INFO_REFS) or target.query_string != _SERVICE:
        raise UnexpectedAnswer(
            shown,
            f"it redirects to {target.with_query(None)}, which is no git repository",
            hint="a login page, perhaps: check the URL and the track's deploy-key",
        )
    return URL(str(target.with_query(None)).removesuffix(_INFO_REFS))


def _check_type(response: aiohttp.ClientResponse, what: str, remote: Remote) -> None:
    if response.content_type != f"application/x-git-upload-pack-{what}":
        raise no_git(remote.url, response.content_type)


def _asked_elsewhere(url: GitUrl, target: URL) -> AuthError:
    return AuthError(
        url.redacted(),
        f"it redirects to {target.origin()}, which asks for credentials",
        hint="credentials are never sent to another server than the URL's; if this one is right, "
        "name it in repository",
    )
