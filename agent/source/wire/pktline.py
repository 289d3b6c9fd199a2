"""pkt-line, the framing of git's protocol (gitprotocol-common). Pure, strict."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Final

_HEADER: Final = 4
_LONGEST: Final = 65520
_HEX: Final = frozenset(b"0123456789abcdefABCDEF")


class Marker(enum.Enum):
    """A packet that carries no data."""

    FLUSH = 0
    DELIMITER = 1
    RESPONSE_END = 2


Packet = bytes | Marker


def packet(data: bytes) -> bytes:
    """Return ``data`` as one packet."""
    return b"%04x" % (len(data) + _HEADER) + data


def marker(which: Marker) -> bytes:
    """Return a packet without data."""
    return b"%04x" % which.value


def packets(stream: bytes) -> Iterator[Packet]:
    """Yield the packets of a whole answer; raise ValueError where it stops being pkt-line."""
    at = 0
    while at < len(stream):
        header = stream[at : at + _HEADER]
        if len(header) < _HEADER or not _HEX.issuperset(header):
            raise ValueError(f"no packet length at byte {at}")
        length = int(header, 16)
        if length < _HEADER:
            yield _marker_of(length, at)
            at += _HEADER
            continue
        if length > _LONGEST:
            raise ValueError(f"a packet of {length} bytes at byte {at}")
        if at + length > len(stream):
            raise ValueError(f"the packet at byte {at} is cut off")
        yield stream[at + _HEADER : at + length]
        at += length


def _marker_of(length: int, at: int) -> Marker:
    try:
        return Marker(length)
    except ValueError:
        raise ValueError(f"packet length {length} at byte {at} means nothing") from None
