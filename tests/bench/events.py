"""What the bench edits in the cluster, and how it hears of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from tests.bench.contestants import Course
from tests.bench.floor import everywhere

FIELD = "setting-0"
"""The ConfigMaps' field that commits change."""

LABEL = "app.kubernetes.io/part-of"
"""The label that drift changes: each kind has it, and git says what it is."""

KINDS = ("ConfigMap", "Secret", "ServiceAccount", "Role", "NetworkPolicy")
"""Kinds whose label can be changed without anything following from it."""


@dataclass(frozen=True, slots=True)
class Edit:
    """An object at a moment (Unix seconds): the label's value, and FIELD's where it has that."""

    kind: str
    name: str
    at: float
    label: str
    value: str | None


@asynccontextmanager
async def watch(course: Course, kinds: Sequence[str]) -> AsyncIterator[AsyncIterator[Edit]]:
    """Give every event of the fleet's objects of these kinds from now on."""
    plane = course.plane
    tls = ssl.create_default_context(cafile=str(plane.ca))
    found: asyncio.Queue[Edit] = asyncio.Queue()
    examples = {obj["kind"]: obj for obj in course.fleet.files[course.fleet.first]}
    async with (
        aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {plane.admin_token}"}, read_bufsize=1 << 20
        ) as session,
        contextlib.AsyncExitStack() as stack,
        asyncio.TaskGroup() as tasks,
    ):
        followers = []
        for kind in kinds:
            path = everywhere(examples[kind])
            version = plane.client.json("GET", f"{path}?limit=1")["metadata"]["resourceVersion"]
            url = f"{plane.url}{path}?watch=true&resourceVersion={version}"
            request = session.get(url, ssl=tls, timeout=aiohttp.ClientTimeout(total=None))
            response = await stack.enter_async_context(request)
            followers.append(tasks.create_task(_follow(response, kind, found)))
        try:
            async with contextlib.aclosing(_each(found)) as edits:
                yield edits
        finally:
            for follower in followers:
                follower.cancel()


async def _follow(response: aiohttp.ClientResponse, kind: str, found: asyncio.Queue[Edit]) -> None:
    async for line in response.content:
        at = time.time()
        metadata = (obj := json.loads(line)["object"])["metadata"]
        if label := (metadata.get("labels") or {}).get(LABEL):
            data = (obj.get("data") or {}).get(FIELD) if kind == "ConfigMap" else None
            found.put_nowait(Edit(kind, metadata["name"], at, label, data))


async def _each(found: asyncio.Queue[Edit]) -> AsyncGenerator[Edit, None]:
    while True:
        yield await found.get()
