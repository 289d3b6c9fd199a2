"""The pages: /healthz and /readyz of one application, /metrics and /status of the other.

Each page is made by a callable that is handed in; nothing here knows what they look at.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from agent.serve.authorization import Authorizer

Problems = Callable[[], list[str]]
"""Returns what is wrong, a line each; empty when all is well."""

MetricsPage = Callable[[str], Awaitable[tuple[bytes, str]]]
"""From the header Accept to the page and its Content-Type."""

StatusPage = Callable[[], bytes]
"""Returns the JSON list of the tracks' states."""


def health_application(*, dead: Problems, unready: Problems) -> web.Application:
    """Return the application of the probes: 200 ``ok``, or 503 and what is wrong."""
    application = web.Application()
    application.router.add_get("/healthz", _probe(dead))
    application.router.add_get("/readyz", _probe(unready))
    return application


def metrics_application(
    *, metrics: MetricsPage, status: StatusPage, authorizer: Authorizer | None
) -> web.Application:
    """Return the application of what is worth protecting; without ``authorizer`` all may read."""

    async def show_metrics(request: web.Request) -> web.Response:
        page, content_type = await metrics(request.headers.get("Accept", ""))
        response = web.Response(body=page, headers={"Content-Type": content_type})
        response.enable_compression()
        return response

    async def show_status(_: web.Request) -> web.Response:
        return web.Response(body=status(), content_type="application/json")

    guard = [] if authorizer is None else [authorizer.middleware]
    application = web.Application(middlewares=guard)
    application.router.add_get("/metrics", show_metrics)
    application.router.add_get("/status", show_status)
    return application


def _probe(problems: Problems) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        if wrong := problems():
            return web.Response(status=503, text="\n".join(wrong) + "\n")
        return web.Response(text="ok\n")

    return answer
