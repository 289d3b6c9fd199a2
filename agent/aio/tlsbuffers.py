"""How much memory each TLS connection of asyncio's holds while it is open.

asyncio reads into a buffer of its own, 256 KiB a connection from beginning to end, and the agent
keeps a connection for each kind that it watches. Must not do anything else to TLS.
"""

from __future__ import annotations

from asyncio import sslproto

SIZE = 16 * 1024
"""Bytes; a record of TLS (RFC 8446, section 5.1). Larger ones make no list faster."""


def shrink() -> None:
    """Have the connections of this process that are yet to be opened read ``SIZE`` bytes at once.

    There is no setting for it but the class' own attribute.
    """
    sslproto.SSLProtocol.max_size = SIZE
