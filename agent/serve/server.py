"""Opens the ports that the configuration names, and closes them at the end."""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from aiohttp import web

from agent import log
from agent.config.model import Agent
from agent.config.serving import parse_bind_address
from agent.kube.client import Client
from agent.serve.authorization import Authorizer
from agent.serve.errors import ServeError
from agent.serve.pages import (
    MetricsPage,
    Problems,
    StatusPage,
    health_application,
    metrics_application,
)
from agent.serve.tls import Certificate

logger = logging.getLogger(__name__)

GOODBYE = 2.0
"""Seconds that requests have at the end to be answered."""


@asynccontextmanager
async def serving(
    settings: Agent,
    *,
    client: Client,
    metrics: MetricsPage,
    status: StatusPage,
    dead: Problems,
    unready: Problems,
) -> AsyncIterator[None]:
    """Serve all pages for the length of a block; ``client`` asks who may read the metrics.

    Raises ServeError when a port is taken or the certificate cannot be used.
    """
    authorizer = Authorizer(client) if settings.metrics_authorization else None
    shown = metrics_application(metrics=metrics, status=status, authorizer=authorizer)
    async with AsyncExitStack() as stack:
        health = health_application(dead=dead, unready=unready)
        await _listen(stack, "health-bind-address", settings.health_bind_address, health)
        tls = _certificate(settings)
        await _listen(stack, "metrics-bind-address", settings.metrics_bind_address, shown, tls)
        yield


def _certificate(settings: Agent) -> ssl.SSLContext | None:
    cert, key = settings.metrics_cert_file, settings.metrics_key_file
    return Certificate(cert, key).context if cert and key else None


async def _listen(
    stack: AsyncExitStack,
    key: str,
    address: str,
    application: web.Application,
    tls: ssl.SSLContext | None = None,
) -> None:
    """Serve ``application`` where ``address`` says, until the stack unwinds."""
    where = parse_bind_address(address)
    if where is None:
        return
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=GOODBYE)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    try:
        await web.TCPSite(runner, where.host or None, where.port, ssl_context=tls).start()
    except OSError as error:
        raise ServeError(
            f"{key} {address}: cannot listen there: {error.strerror or error}; "
            'stop what uses the port, choose another one, or "0" to serve nothing'
        ) from error
    logger.info("serving", extra=log.fields(key=key, address=address, tls=tls is not None))
