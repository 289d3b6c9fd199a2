"""What is remembered of a server, and for whom."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest
from yarl import URL

from agent.source.login.credentials import Credentials
from agent.source.url import parse_url
from agent.source.wire.exchange import Exchange, Remote
from agent.source.wire.pktline import Marker, marker, packet
from agent.source.wire.smarthttp import SmartHttp

pytestmark = pytest.mark.asyncio

FLUSH = marker(Marker.FLUSH)


@dataclass
class Answer:
    body: bytes

    @property
    def content(self) -> Answer:
        return self

    async def iter_any(self) -> AsyncIterator[bytes]:
        yield self.body


class Redirecting:
    """Leads those who come through a proxy, or believe authorities of their own, elsewhere."""

    def __init__(self) -> None:
        self.advertisements = 0

    @asynccontextmanager
    async def advertisement(
        self, remote: Remote, headers: Mapping[str, str]
    ) -> AsyncIterator[tuple[Answer, URL]]:
        self.advertisements += 1
        elsewhere = remote.credentials.proxy or remote.credentials.ca
        base = URL("https://elsewhere.example/app") if elsewhere else remote.base
        yield Answer(packet(b"version 2\n") + packet(b"ls-refs\n") + FLUSH), base

    @asynccontextmanager
    async def upload_pack(
        self, remote: Remote, base: URL, body: bytes, headers: Mapping[str, str]
    ) -> AsyncIterator[Answer]:
        commit = b"a" if base == remote.base else b"b"
        yield Answer(packet(commit * 40 + b" refs/heads/main\n") + FLUSH)


@pytest.mark.parametrize("own", [{"proxy": "http://proxy:3128"}, {"ca": b"PEM"}])
async def test_where_one_track_is_led_by_its_proxy_or_authorities_is_not_where_others_go(
    own: Mapping[str, Any],
) -> None:
    exchange = Redirecting()
    http = SmartHttp(cast(Exchange, exchange))
    remote = Remote(parse_url("https://git.example/app"), Credentials())
    led = replace(remote, credentials=Credentials(**own))
    for _ in range(2):
        assert (await http.list_refs(led, "main")).refs == {"refs/heads/main": "b" * 40}
        assert (await http.list_refs(remote, "main")).refs == {"refs/heads/main": "a" * 40}
    assert exchange.advertisements == 2
