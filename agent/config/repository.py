"""Repository URLs: which ones git takes, and that none carries a credential.

Pure. A URL that is refused is never shown, because what is wrong with it may be the secret in it.
Of the rest, ``transport`` says how it is reached.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from agent.config.values import Invalid, has_control, invalid

_SCHEMES = ("https", "http", "ssh", "file")
_SCP_LIKE = re.compile(r"(?P<user>[^/]*@)?(?P<host>[^/:@\[\]]+|\[[^\]]+\]):(?!:)(?P<path>.+)")
_EXPECTED = "expected https://host/path, ssh://user@host/path, user@host:path or an absolute path"
_USE_DEPLOY_KEY = "remove it, and name a file or variable that holds it with deploy-key"


def repository(value: object) -> str:
    """Take a URL without a password, an scp-like ``user@host:path`` or an absolute path.

    Over http a user name alone is refused too: forges accept a token in its place.
    """
    if not isinstance(value, str) or not value or has_control(value):
        raise invalid("not a repository", _EXPECTED)
    if "://" in value:
        _check_url(_split(value))
    elif not value.startswith("/"):
        _check_scp_like(value)
    return value


def transport(url: str) -> str:
    """Return ``https``, ``http``, ``ssh`` or ``file`` for a URL that was accepted."""
    if "://" in url:
        return url.partition(":")[0].lower()
    return "file" if url.startswith("/") else "ssh"


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # is only checked when it is asked for
    except ValueError:
        raise invalid("not a URL", _EXPECTED) from None  # the cause quotes the URL
    return parts


def _check_url(parts: SplitResult) -> None:
    if parts.scheme not in _SCHEMES:
        raise invalid("not a kind of URL that is known", f"expected one of {', '.join(_SCHEMES)}")
    over_http = parts.scheme in ("https", "http")
    if parts.password is not None:
        raise _credential("a password")
    if over_http and parts.username is not None:
        raise _credential("a user name, which may be a token,")
    if over_http and "@" in parts.path:
        raise invalid('has "@" in its path (not shown)', "write it as %40")
    if over_http and (parts.query or parts.fragment):
        raise invalid(
            'has a part after "?" or "#" (not shown: it may be a token)',
            "use reference, sub-path and deploy-key instead",
        )
    if " " in parts.netloc or (parts.scheme != "file" and not parts.hostname):
        raise invalid("not a URL", _EXPECTED)
    if not parts.path.strip("/"):
        raise invalid("names no repository", _EXPECTED)


def _check_scp_like(given: str) -> None:
    match = _SCP_LIKE.fullmatch(given)
    if match is None or " " in match["host"]:
        raise invalid("not a repository", _EXPECTED)
    if ":" in (match["user"] or "") or "@" in match["path"]:
        raise _credential("a password")


def _credential(what: str) -> Invalid:
    return invalid(f"has {what} in it (not shown)", _USE_DEPLOY_KEY)
