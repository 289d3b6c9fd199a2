"""Which proxy leads to a host, and what a proxy's URL says. Pure.

The environment is read here and not by aiohttp, whose ``trust_env`` also reads ``~/.netrc``.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit

_SCHEMES: Final = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")
_CURLS_PORT: Final = 1080  # curl's, and so git's, for every proxy but an https one
_WITHOUT_SCHEME: Final = re.compile(r"(?![a-z][a-z0-9+.-]*://)", re.IGNORECASE)


class ProxyFailure(Exception):
    """The proxy cannot be reached, or refuses; the text names neither it nor its password."""


class NameFailure(Exception):
    """The server's name cannot be looked up here."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy: ``scheme`` is http, https, socks4, socks4a, socks5 or socks5h."""

    scheme: str
    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)

    @property
    def is_socks(self) -> bool:
        """Whether it speaks SOCKS, else HTTP."""
        return self.scheme.startswith("socks")

    @property
    def resolves_names(self) -> bool:
        """Whether it is given the server's name, else an address that was looked up here."""
        return self.scheme not in {"socks4", "socks5"}

    def authorization(self) -> dict[str, str]:
        """Return the header that convinces it; empty without a user."""
        if not self.user:
            return {}
        pair = f"{self.user}:{self.password}".encode()
        return {"Proxy-Authorization": f"Basic {base64.b64encode(pair).decode()}"}

    def redacted(self) -> str:
        """Return its URL without user and password, for people."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def parse_proxy(text: str, *, port: int = _CURLS_PORT) -> Proxy:
    """Read a proxy's URL as curl does; raise ValueError, whose text quotes nothing secret.

    Without a scheme it is http; without a port it is 443 for https and ``port`` for the others.
    """
    url = f"http://{text}" if _WITHOUT_SCHEME.match(text) else text
    try:
        parts = urlsplit(url)
        own_port = parts.port
    except ValueError:
        # The exception's own text may quote the password.
        raise ValueError("host or port cannot be read; percent-encode the password") from None
    if parts.scheme not in _SCHEMES:
        raise ValueError(
            f"scheme {parts.scheme!r} is not offered; use one of {', '.join(_SCHEMES)}"
        )
    if not parts.hostname:
        raise ValueError("it names no host")
    default = 443 if parts.scheme == "https" else port
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return Proxy(parts.scheme, parts.hostname, own_port or default, user, password)


def proxy_in(environment: Mapping[str, str], *, scheme: str, host: str, port: int | None) -> str:
    """Return the URL of the proxy an environment names for a server, "" for none.

    As curl and git read it: ``https_proxy`` or ``HTTPS_PROXY`` for https, ``http_proxy`` in lower
    case only for http (a CGI program's ``HTTP_PROXY`` is a request's header), then ``all_proxy``;
    none of them for what ``no_proxy`` lists. For ssh ``all_proxy`` counts if it is a SOCKS proxy:
    many HTTP proxies let no ssh through, and git itself does not ask them.
    """
    if _is_excepted(_either(environment, "no_proxy"), host, port):
        return ""
    everything = _either(environment, "all_proxy")
    if scheme == "ssh":
        return everything if everything.lower().startswith("socks") else ""
    own = environment.get("http_proxy", "")
    if scheme == "https":
        own = _either(environment, "https_proxy")
    return own or everything


def _either(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name, "") or environment.get(name.upper(), "")


def _is_excepted(excepted: str, host: str, port: int | None) -> bool:
    return any(_covers(entry, host, port) for entry in re.split(r"[\s,]+", excepted) if entry)


def _covers(entry: str, host: str, port: int | None) -> bool:
    if entry == "*":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name, _, number = entry.lower().partition(":")
        if number and number != str(port):
            return False
        name = name.removeprefix("*").strip(".")
        return bool(name) and (host == name or host.endswith(f".{name}"))
    try:
        return address in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        bare, _, number = entry.rpartition(":")
        return bare.strip("[]") == host and number == str(port)
