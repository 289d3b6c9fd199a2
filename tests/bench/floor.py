"""The floor: bare concurrent requests of the same objects, with nothing around them.

``python -m tests.bench.floor URL CA TOKEN APPS`` creates a fleet and exits; a process of its own,
so that its CPU can be told from the bench's.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from typing import Any

import aiohttp

from tests.bench.fleet import Fleet, Object

IN_FLIGHT = 16
"""Requests at once; as many as the agent makes."""

_PLURALS = {"Ingress": "ingresses", "NetworkPolicy": "networkpolicies"}


def collection(found: Object) -> str:
    """Return the path of the collection an object belongs to."""
    metadata = found["metadata"]
    within = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    return f"{_root(found)}{within}/{_plural(found)}"


def everywhere(found: Object) -> str:
    """Return the path of all objects of an object's kind, in all namespaces."""
    return f"{_root(found)}/{_plural(found)}"


def _root(found: Object) -> str:
    api_version = found["apiVersion"]
    return f"/api/{api_version}" if api_version == "v1" else f"/apis/{api_version}"


def _plural(found: Object) -> str:
    return str(_PLURALS.get(found["kind"], found["kind"].lower() + "s"))


class Requests:
    """Concurrent requests on kept-alive connections; use ``async with``."""

    def __init__(self, url: str, ca: str, token: str) -> None:
        self._url = url
        self._slots = asyncio.Semaphore(IN_FLIGHT)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=ca), limit=0),
            headers={"Authorization": f"Bearer {token}", "User-Agent": "floor"},
        )

    async def __aenter__(self) -> Requests:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._session.close()

    async def send(
        self, method: str, path: str, body: Any, *, content_type: str = "application/json"
    ) -> None:
        async with (
            self._slots,
            self._session.request(
                method,
                self._url + path,
                data=json.dumps(body).encode(),
                headers={"Content-Type": content_type},
            ) as response,
        ):
            text = await response.text()
            if response.status >= 300:
                raise RuntimeError(f"{method} {path}: {response.status} {text}")

    async def connect(self) -> None:
        """Open all connections, so that what follows does not."""
        await asyncio.gather(*(self.send("GET", "/version", None) for _ in range(IN_FLIGHT)))

    async def create(self, objects: list[Object]) -> None:
        await asyncio.gather(*(self.send("POST", collection(found), found) for found in objects))


async def create_fleet(url: str, ca: str, token: str, *, apps: int) -> None:
    """Create the namespaces, then all the rest at once."""
    fleet = Fleet(apps)
    namespaces = fleet.namespaces
    async with Requests(url, ca, token) as requests:
        await requests.create(namespaces)
        await requests.create(fleet.objects[len(namespaces) :])


if __name__ == "__main__":
    asyncio.run(create_fleet(*sys.argv[1:4], apps=int(sys.argv[4])))
