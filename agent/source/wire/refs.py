"""What a git server's listing of refs says, in protocol versions 0, 1 and 2. Pure.

Sources: gitprotocol-v2, gitprotocol-pack, gitprotocol-http. Raises ValueError for what is no such
answer, ServerError for what the server itself says is wrong, UnsupportedFormat for SHA-256.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from agent.source.listing import Listing
from agent.source.wire.pktline import Marker, Packet, marker, packet, packets

_OBJECT_ID: Final = re.compile(rb"[0-9a-f]{40}")
_NO_REFS: Final = b"capabilities^{}"
_SERVICE: Final = b"# service=git-upload-pack"


class ServerError(Exception):
    """The server answered with an ERR packet; the text is its own."""


class UnsupportedFormat(Exception):
    """The repository's objects are named by another hash than SHA-1."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a server of protocol version 2 offers: name -> value, "" for none."""

    offered: dict[str, str]

    @property
    def named_format(self) -> str:
        """The object format a command has to name, "" when the server knows of none."""
        return self.offered.get("object-format", "")


def read_advertisement(body: bytes) -> Capabilities | Listing:
    """Read the answer to ``GET info/refs``: capabilities from version 2, else all refs."""
    lines = _lines(body)
    first = next(lines, None)
    if first == _SERVICE:
        if next(lines, None) is not Marker.FLUSH:
            raise ValueError("no flush after the service's name")
        first = next(lines, None)
    if first == b"version 2":
        return _capabilities(lines)
    if first == b"version 1":
        first = next(lines, None)
    return _listing(first, lines)


def ls_refs(capabilities: Capabilities, prefixes: tuple[str, ...], *, agent: str) -> bytes:
    """Return the body of a request for the refs that start with ``prefixes``, () for all."""
    head = [b"command=ls-refs\n"]
    if "agent" in capabilities.offered:
        head.append(f"agent={agent}\n".encode())
    if capabilities.named_format:
        head.append(f"object-format={capabilities.named_format}\n".encode())
    arguments = [b"peel\n", b"symrefs\n"]
    arguments += [f"ref-prefix {prefix}\n".encode() for prefix in prefixes]
    return b"".join(
        [
            *map(packet, head),
            marker(Marker.DELIMITER),
            *map(packet, arguments),
            marker(Marker.FLUSH),
        ]
    )


def read_ls_refs(body: bytes) -> Listing:
    """Read the answer to ``ls-refs``."""
    refs: dict[str, str] = {}
    head = ""
    lines = _lines(body)
    for line in lines:
        if isinstance(line, Marker):
            if line is not Marker.FLUSH or next(lines, None) is not None:
                raise ValueError("the list of refs ends in the middle")
            return Listing(refs, head)
        object_id, name, *attributes = line.split(b" ")
        if object_id == b"unborn":
            continue
        shown = _name(name)
        refs[shown] = _id(object_id)
        for attribute in attributes:
            key, _, value = attribute.partition(b":")
            if key == b"peeled":
                refs[f"{shown}^{{}}"] = _id(value)
            elif key == b"symref-target" and name == b"HEAD":
                head = _name(value)
    raise ValueError("the list of refs has no end")


def _capabilities(lines: Iterator[Packet]) -> Capabilities:
    offered: dict[str, str] = {}
    for line in lines:
        if isinstance(line, Marker):
            break
        name, _, value = line.decode(errors="replace").partition("=")
        offered[name] = value
    else:
        raise ValueError("the list of capabilities has no end")
    _check_format(offered.get("object-format", "sha1"))
    if "ls-refs" not in offered:
        raise ValueError("the server offers no ls-refs")
    return Capabilities(offered)


def _listing(first: Packet | None, lines: Iterator[Packet]) -> Listing:
    if first is Marker.FLUSH:
        return Listing({})
    if not isinstance(first, bytes):
        raise ValueError("there is no list of refs")
    line, _, features = first.partition(b"\0")
    refs: dict[str, str] = {}
    head = ""
    for feature in features.split():
        key, _, value = feature.partition(b"=")
        if key == b"object-format":
            _check_format(value.decode(errors="replace"))
        elif key == b"symref" and value.startswith(b"HEAD:"):
            head = _name(value.removeprefix(b"HEAD:"))
    at: Packet | None = line
    while at is not Marker.FLUSH:
        if not isinstance(at, bytes):
            raise ValueError("the list of refs has no end")
        object_id, _, name = at.partition(b" ")
        if object_id != b"shallow" and name != _NO_REFS:
            refs[_name(name)] = _id(object_id)
        at = next(lines, None)
    return Listing(refs, head)


def _check_format(name: str) -> None:
    if name != "sha1":
        raise UnsupportedFormat(name)


def _lines(body: bytes) -> Iterator[Packet]:
    for found in packets(body):
        if isinstance(found, Marker):
            yield found
            continue
        line = found.removesuffix(b"\n")
        if line.startswith(b"ERR "):
            raise ServerError(line[4:].decode(errors="replace").strip())
        yield line


def _id(text: bytes) -> str:
    if not _OBJECT_ID.fullmatch(text):
        raise ValueError("a ref without an object's id")
    return text.decode()


def _name(text: bytes) -> str:
    if not text:
        raise ValueError("a ref without a name")
    # No reference is written in other bytes than UTF-8: such a name is only shown.
    return text.decode(errors="backslashreplace")
