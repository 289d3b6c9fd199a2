"""GitHub Apps: from an app's private key to the short-lived token that git is let in with.

Duty: make the app's own token, find its installation, ask for the installation's token and keep
that one until shortly before its end (docs.github.com, "Authenticating as a GitHub App
installation"). It is used as the password of ``x-access-token``. Nothing is written anywhere.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import quote

import msgspec
from yarl import URL

from agent.http import aiohttp
from agent.proxies import Proxy, parse_proxy, proxy_in
from agent.source.errors import CredentialsError
from agent.source.login.credentials import CredentialKind, Credentials
from agent.source.wire.httpfailures import CONNECTION_ERRORS
from agent.source.wire.sessions import Route, Sent, Session, Sessions

DEFAULT_BASE_URL: Final = "https://api.github.com"

USERNAME: Final = "x-access-token"
"""The user name that goes with a token."""

_KEPT_UNTIL: Final = 300.0  # seconds before its end: a fetch with it must not be cut off
_CLOCK_BEHIND: Final = 60  # seconds that GitHub's clock may be behind ours
_LIFETIME: Final = 540  # seconds; with the above the ten minutes that GitHub allows
_ANSWER_BYTES: Final = 1 << 20
_TOLD: Final = 200  # characters of the server's own message


@dataclass(frozen=True, slots=True)
class App:
    """A GitHub App and its installation: ``installation_id``, or the owner to look it up by."""

    app_id: str
    private_key: bytes = field(repr=False)
    installation_id: str = ""
    installation_owner: str = ""
    base_url: str = DEFAULT_BASE_URL

    def json_web_token(self, now: float) -> str:
        """Return the app's own token at a time (Unix seconds); raise CredentialsError."""
        import jwt

        claims = {
            "iat": int(now) - _CLOCK_BEHIND,
            "exp": int(now) + _LIFETIME,
            "iss": self.app_id,
        }
        try:
            return jwt.encode(claims, self.private_key, algorithm="RS256")
        except (ValueError, TypeError, jwt.PyJWTError):
            raise CredentialsError(
                "the GitHub App's private key is not an RSA key in PEM form: "
                "take the .pem file that GitHub made for the app"
            ) from None


@dataclass(frozen=True, slots=True)
class _Token:
    text: str = field(repr=False)
    ends_at: float


class AppTokens:
    """The installation tokens of one track, kept while they last."""

    def __init__(self) -> None:
        self._app: App | None = None
        self._token: _Token | None = None
        self.was_used = False

    def forget(self) -> None:
        """Ask anew next time: the server has refused the token."""
        self._token = None

    async def login(self, app: App, given: Credentials) -> Credentials:
        """Return ``given`` with a token as its login; its authorities and proxy lead to GitHub.

        Raises CredentialsError. Bounded by the caller's deadline.
        """
        kept = self._token if app == self._app else None
        self.was_used = kept is not None and kept.ends_at - _KEPT_UNTIL > time.time()
        if kept is None or not self.was_used:
            self._token = None
            kept = await _ask(app, given)
            self._app, self._token = app, kept
        return replace(
            given, kind=CredentialKind.BASIC, username=USERNAME, secret=kept.text.encode()
        )


async def _ask(app: App, given: Credentials) -> _Token:
    app_token = app.json_web_token(time.time())
    sessions = Sessions()  # once an hour: no connection is worth keeping
    try:
        async with sessions.use(Route(_proxy(app, given), given.ca)) as session:
            api = _Api(app, given, session, app_token)
            installation = app.installation_id or await api.installation(app.installation_owner)
            answer = await api.call(
                "POST",
                f"/app/installations/{quote(installation, safe='')}/access_tokens",
                missing=f"the app is not installed as {installation}: {_INSTALL}",
            )
    finally:
        await sessions.close()
    try:
        return _Token(
            str(answer["token"]), datetime.fromisoformat(answer["expires_at"]).timestamp()
        )
    except (KeyError, TypeError, ValueError):
        raise CredentialsError(f"{app.base_url} gave no token: is base-url its API") from None


_INSTALL: Final = "install it on the repository's owner, and check installation-id and app-id"


class _Api:
    """One GitHub API as one app sees it."""

    def __init__(self, app: App, given: Credentials, session: Session, token: str) -> None:
        self._base_url = app.base_url
        self._given = given
        self._session = session
        self._token = token

    async def installation(self, owner: str) -> str:
        """Return the id of the app's installation at a user or organisation."""
        name = quote(owner, safe="")
        for kind in ("orgs", "users"):
            answer = await self.call("GET", f"/{kind}/{name}/installation", missing="")
            if "id" in answer:
                return str(answer["id"])
        raise CredentialsError(
            f"the app is not installed at {owner}: {_INSTALL.replace('-id', '-owner', 1)}"
        )

    async def call(self, method: str, path: str, *, missing: str) -> dict[str, Any]:
        """Return the JSON of an answer; a 404 is ``missing``, or {} where that is ""."""
        url = f"{self._base_url}{path}"
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self._token}",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        try:
            async with self._session.request(
                method, URL(url, encoded=True), headers=headers, body=None, sent=Sent()
            ) as response:
                body = await _whole(response)
        except CONNECTION_ERRORS as error:
            reason = self._given.scrub(str(error)) or type(error).__name__
            raise CredentialsError(f"{url} cannot be reached: {reason}") from None
        if response.status == 404 and not missing:
            return {}
        if response.status >= 300:
            reason = self._refusal(response.status, body, response.headers, missing)
            raise CredentialsError(f"{url} answered {reason}")
        return _object(body)

    def _refusal(self, status: int, body: bytes, headers: Mapping[str, str], missing: str) -> str:
        said = str(_object(body).get("message", ""))[:_TOLD].replace(self._token, "***")
        why = {
            401: "app-id and private key do not belong together, or the clock is wrong"
            + _clock(headers.get("Date", "")),
            403: "the app is suspended, or may not read contents: check it on GitHub",
            404: missing,
        }.get(status, "try again later" if status >= 500 else "check base-url")
        return f"{status}{' ' if said else ''}{said}: {why}"


def _proxy(app: App, given: Credentials) -> Proxy | None:
    """Return the proxy on the way to GitHub: the track's, else the environment's."""
    api = URL(app.base_url)
    text = given.proxy or proxy_in(
        os.environ, scheme=api.scheme, host=api.host or "", port=api.port
    )
    try:
        return parse_proxy(text) if text else None
    except ValueError as error:
        raise CredentialsError(f"the proxy on the way to {app.base_url}: {error}") from None


def _clock(date: str) -> str:
    """Return by how much the server's clock differs, where that can be why a token is refused."""
    try:
        theirs = parsedate_to_datetime(date)
    except ValueError:
        return ""
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=UTC)
    ahead = time.time() - theirs.timestamp()
    if abs(ahead) < _CLOCK_BEHIND / 2:
        return ""
    return f" (this machine's is {abs(ahead):.0f}s {'ahead of' if ahead > 0 else 'behind'} theirs)"


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    """Return a body, but no more than _ANSWER_BYTES: ``read`` would give what has come so far."""
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > _ANSWER_BYTES:
            break
    return bytes(body)


def _object(body: bytes) -> dict[str, Any]:
    try:
        answer = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {}
    return answer if isinstance(answer, dict) else {}
