"""GitHub Apps: from an app's private key to the short-lived token that git is let in with.

Duty: make the app's own token, find its installation, ask for the installation's token and keep
that one until shortly before its end (docs.github.com, "Authenticating as a GitHub App
installation"). It is used as the password of ``x-access-token``. Nothing is written anywhere.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import msgspec

from agent.source.credentials import CredentialKind, Credentials
from agent.source.errors import CredentialsError

DEFAULT_BASE_URL: Final = "https://api.github.com"

USERNAME: Final = "x-access-token"
"""The user name that goes with a token."""

_KEPT_UNTIL: Final = 300.0  # seconds before its end: a fetch with it must not be cut off
_CLOCK_BEHIND: Final = 60  # seconds that GitHub's clock may be behind ours
_LIFETIME: Final = 540  # seconds; with the above the ten minutes that GitHub allows
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
    jwt_text = app.json_web_token(time.time())
    async with _Api(app, given, jwt_text) as api:
        installation = app.installation_id or await api.installation(app.installation_owner)
        path = f"/app/installations/{quote(installation, safe='')}/access_tokens"
        answer = await api.call(
            "POST", path, missing=f"the app is not installed as {installation}: {_INSTALL}"
        )
    try:
        return _Token(
            str(answer["token"]), datetime.fromisoformat(answer["expires_at"]).timestamp()
        )
    except (KeyError, TypeError, ValueError):
        raise CredentialsError(f"{app.base_url} gave no token: is base-url its API") from None


_INSTALL: Final = "install it on the repository's owner, and check installation-id and app-id"


class _Api(AbstractAsyncContextManager["_Api"]):
    """A connection to one GitHub API as one app, for a few calls."""

    def __init__(self, app: App, given: Credentials, token: str) -> None:
        self._base_url = app.base_url
        self._token = token
        self._given = given
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> _Api:
        connector, self._proxy = _way(self._given)
        self._session = aiohttp.ClientSession(
            connector=connector,
            trust_env=not self._given.proxy,
            timeout=aiohttp.ClientTimeout(total=None),  # the caller's deadline
            headers={
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {self._token}",
                "User-Agent": "lightkeeper",
                "X-GitHub-Api-Version": "2022-11-28",
            },
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

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
        if self._session is None:
            raise RuntimeError("the session is not open")
        url = f"{self._base_url}{path}"
        try:
            async with self._session.request(
                method, url, proxy=self._proxy, allow_redirects=False
            ) as response:
                body = await response.read()
                status, headers = response.status, response.headers
        except (aiohttp.ClientError, OSError, ValueError) as error:
            reason = self._given.scrub(str(error)) or type(error).__name__
            raise CredentialsError(f"{url} cannot be reached: {reason}") from None
        if status == 404 and not missing:
            return {}
        if status >= 300:
            raise CredentialsError(self._refusal(url, status, body, headers, missing))
        return _object(body)

    def _refusal(
        self, url: str, status: int, body: bytes, headers: Mapping[str, str], missing: str
    ) -> str:
        said = str(_object(body).get("message", ""))[:_TOLD].replace(self._token, "***")
        why = {
            401: "app-id and private key do not belong together, or the clock is wrong"
            + _clock(headers.get("Date", "")),
            403: "the app is suspended, or may not read contents: check it on GitHub",
            404: missing,
        }.get(status, "try again later" if status >= 500 else "check base-url")
        return f"{url} answered {status} {said}: {why}".replace(" :", ":")


def _way(given: Credentials) -> tuple[aiohttp.BaseConnector, str | None]:
    """Return the connector to GitHub, and the proxy that aiohttp itself talks to."""
    context = ssl.create_default_context()
    if given.ca:
        try:
            context = ssl.create_default_context(cadata=given.ca.decode(errors="replace"))
        except (ssl.SSLError, ValueError):
            raise CredentialsError("the track's ca holds no certificates in PEM form") from None
    if given.proxy.startswith("socks"):
        from aiohttp_socks import ProxyConnector

        remote_dns = not given.proxy.startswith("socks5://")
        url = given.proxy.replace("socks5h://", "socks5://", 1)
        return ProxyConnector.from_url(url, ssl=context, rdns=remote_dns), None
    return aiohttp.TCPConnector(ssl=context), given.proxy or None


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


def _object(body: bytes) -> dict[str, Any]:
    try:
        answer = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {}
    return answer if isinstance(answer, dict) else {}
