"""aiohttp, imported without the authorities that it would read for nothing.

At its import aiohttp makes a TLS context for requests that name none, and has it read all the
authorities this machine trusts: 40 ms and 1.3 MB for Debian's. Every request of the agent names a
context of its own, so here that one trusts nobody.
"""

from __future__ import annotations

import ssl


def _trusting_nobody() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


_create_default_context = ssl.create_default_context
ssl.create_default_context = _trusting_nobody  # type: ignore[assignment]
try:
    import aiohttp
finally:
    ssl.create_default_context = _create_default_context

__all__ = ["aiohttp"]
