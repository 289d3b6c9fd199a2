"""Every kind of credential from every place there is, each against the server that asks for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.source.snapshot import Trust
from tests.integration.credentials.conftest import MakeSource
from tests.integration.credentials.kinds import (
    KINDS,
    ORIGINS,
    WHOLE,
    PutSecret,
    Servers,
    laid_out,
    placed,
)

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("name", KINDS)
async def test_each_value_may_be_in_any_place(
    servers: Servers,
    make_source: MakeSource,
    put_secret: PutSecret,
    tmp_path: Path,
    name: str,
    origin: str,
) -> None:
    lines, environment = placed(
        servers.kind(name), origin, name="placed", folder=tmp_path, put_secret=put_secret
    )
    snapshot = await make_source(*lines, environment=environment).poll()
    assert (snapshot.error, snapshot.trust) == (None, Trust.NEW)


@pytest.mark.parametrize("origin", WHOLE)
@pytest.mark.parametrize("name", [name for name in KINDS if name != "one-file"])
async def test_a_secret_or_folder_in_fluxs_layout_is_read_whole(
    servers: Servers,
    make_source: MakeSource,
    put_secret: PutSecret,
    tmp_path: Path,
    name: str,
    origin: str,
) -> None:
    kind = servers.kind(name)
    lines = laid_out(kind, origin, name="whole", folder=tmp_path, put_secret=put_secret)
    snapshot = await make_source(*lines).poll()
    assert (snapshot.error, snapshot.trust) == (None, Trust.NEW)


async def test_a_proxy_that_is_written_down_is_asked_without_password(
    servers: Servers, make_source: MakeSource, put_secret: PutSecret, tmp_path: Path
) -> None:
    proxy = f"http://127.0.0.1:{servers.proxy.port}"
    lines, _ = placed(
        servers.kind("basic"), "file", name="placed", folder=tmp_path, put_secret=put_secret
    )
    error = str((await make_source(*lines, f'proxy = {{ url = "{proxy}" }}').poll()).error)
    assert f"proxy {proxy}: " in error
    assert "407" in error


async def test_what_a_track_says_itself_comes_before_what_a_secret_holds(
    servers: Servers, make_source: MakeSource, put_secret: PutSecret
) -> None:
    kind = servers.kind("basic")
    put_secret("whole", {**kind.layout, "ca.crt": b"no certificate at all"})
    source = make_source(
        f'repository = "{kind.url}"',
        'deploy-key = { secret-name = "whole" }',
        f'ca = {{ file = "{servers.https.authority.ca}" }}',
    )
    assert (await source.poll()).error is None
