"""Sessions that nobody uses any more are closed, each once, whoever notices it first."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web
from yarl import URL

from agent.proxies import Proxy
from agent.source.wire import sessions
from agent.source.wire.sessions import Route, Sent, Sessions


async def answer(_: web.Request) -> web.Response:
    return web.Response(text="ok")


async def ask(lent: Sessions, route: Route, url: URL) -> None:
    async with (
        lent.use(route) as session,
        session.request("GET", url, headers={}, body=None, sent=Sent()) as response,
    ):
        await response.read()


@pytest.mark.asyncio
async def test_two_who_close_what_is_unused_do_not_get_in_each_others_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    url, lent = URL(f"http://{host}:{port}/"), Sessions()
    routes = [Route(Proxy("http", host, port, user=f"user{number}")) for number in range(3)]
    try:
        for route in routes:
            await ask(lent, route, url)
        monkeypatch.setattr(sessions, "_UNUSED_SECONDS", -1.0)
        results = await asyncio.gather(
            *(ask(lent, route, url) for route in (*routes, Route())), return_exceptions=True
        )
        assert results == [None] * 4
    finally:
        await lent.close()
        await runner.cleanup()
