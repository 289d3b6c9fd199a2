"""Connections through a proxy that no HTTP client makes: SOCKS for https, and any kind for ssh.

Names are looked up without a thread, so that a deadline ends a lookup too. Imported by those who
need such a proxy, when they do: few tracks have one.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
from typing import Any, Final

from aiohttp import AsyncResolver
from aiohttp.client_proto import ResponseHandler
from aiohttp_socks import ProxyConnector
from python_socks import ProxyConnectionError, ProxyError, ProxyType
from python_socks.async_.asyncio.v2 import Proxy as Handshake

from agent.proxies import NameFailure, Proxy, ProxyFailure

_TYPES: Final = {
    "http": ProxyType.HTTP,
    "socks4": ProxyType.SOCKS4,
    "socks4a": ProxyType.SOCKS4,
    "socks5": ProxyType.SOCKS5,
    "socks5h": ProxyType.SOCKS5,
}
_NEVER: Final = 86_400.0  # seconds; python-socks wants a timeout, the caller's deadline is sooner


async def dial(proxy: Proxy, host: str, port: int) -> Any:  # python-socks does not export the type
    """Return a stream (``reader``, ``writer``, ``start_tls``) to ``host`` through ``proxy``.

    The caller keeps the deadline. Raises ProxyFailure and NameFailure.
    """
    if proxy.scheme not in _TYPES:
        raise ProxyFailure(f"this cannot go through an {proxy.scheme} proxy; use http or socks5h")
    if not proxy.resolves_names:
        try:
            host = (await _addresses(host))[0]
        except OSError as error:
            raise NameFailure(_words(error)) from None
    try:
        addresses = await _addresses(proxy.host)
    except OSError as error:
        raise ProxyFailure(f"its name cannot be resolved: {_words(error)}") from None
    *others, last = addresses
    for address in others:
        try:
            return await _through(proxy, address, host, port)
        except _AwayError:
            continue
    return await _through(proxy, last, host, port)


class _AwayError(ProxyFailure):
    """Nothing answers at this address; there may be another."""


async def _through(proxy: Proxy, address: str, host: str, port: int) -> Any:
    handshake = Handshake(
        _TYPES[proxy.scheme],
        address,
        proxy.port,
        username=proxy.user or None,
        password=proxy.password if proxy.user else None,
        rdns=True,  # what has to be looked up here is an address by now
    )
    try:
        return await handshake.connect(host, port, timeout=_NEVER)
    except ProxyConnectionError as error:
        raise _AwayError(_words(error)) from None
    except ProxyError as error:
        raise ProxyFailure(f"it refuses the connection: {error}") from None
    except (OSError, EOFError):
        raise ProxyFailure("it closed the connection") from None


class SocksConnector(ProxyConnector):
    """Gives an aiohttp session its connections through a SOCKS proxy."""

    def __init__(self, proxy: Proxy, **options: Any) -> None:
        super().__init__(proxy.host, proxy.port, _TYPES[proxy.scheme], **options)
        self._proxy = proxy

    async def _connect_via_proxy(
        self,
        host: str,
        port: int,
        ssl: ssl.SSLContext | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # the library's signature
    ) -> tuple[Any, ResponseHandler]:
        stream = await dial(self._proxy, host, port)
        try:
            if ssl is not None:
                stream = await stream.start_tls(hostname=host, ssl_context=ssl)
        except BaseException:
            stream.writer.transport.abort()
            raise
        # The writer is kept alive by the protocol: collected, it would close the transport.
        protocol = _Protocol(self._loop, stream)
        transport = stream.writer.transport
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        return transport, protocol


class _Protocol(ResponseHandler):
    def __init__(self, loop: Any, stream: Any) -> None:
        super().__init__(loop)
        self._stream = stream


async def _addresses(host: str) -> list[str]:
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        pass
    resolver = AsyncResolver()
    try:
        found = await resolver.resolve(host, 0, socket.AF_UNSPEC)
    finally:
        await resolver.close()
    return [each["host"] for each in found]


def _words(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)
