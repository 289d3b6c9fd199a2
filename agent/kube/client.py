"""Verbs on objects: get, list, create, patch, delete, watch. Objects are plain dicts.

Thin on purpose: paths, parameters and JSON; no cache, no retry of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import msgspec

from agent.kube.errors import TransportError
from agent.kube.fence import LANE, Fence, Lane
from agent.kube.resource import Resource
from agent.kube.transport import Transport, encode_params
from agent.manifest.keys import JSONObject

FIELD_MANAGER = "lightkeeper"
PAGE = 500  # objects a list page, client-go's default

Propagation = Literal["Background", "Foreground", "Orphan"]


class _ListMeta(msgspec.Struct):
    resourceVersion: str = ""
    cont: str = msgspec.field(default="", name="continue")


class Page(msgspec.Struct):
    """One page of a list; each item is still JSON, to be decoded one at a time and dropped."""

    metadata: _ListMeta
    items: list[msgspec.Raw] | None = None


class WatchEvent(msgspec.Struct):
    """One line of a watch: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR, and the object."""

    type: str
    object: dict[str, Any]


_page_decoder = msgspec.json.Decoder(Page)
_event_decoder = msgspec.json.Decoder(WatchEvent)
_encode = msgspec.json.Encoder().encode


class Client:
    """The verbs, on one transport and in one lane of it.

    With ``dry_run`` every write is one, of whichever verb.
    """

    def __init__(self, transport: Transport, *, lane: Lane = LANE, dry_run: bool = False) -> None:
        self._transport = transport
        self._lane = lane
        self.dry_run = dry_run

    def under(self, fence: Fence, *, urgent: bool = False) -> Client:
        """Return a client of the same server whose writes are sent under another fence."""
        lane = Lane(fence, urgent=urgent)
        return Client(self._transport, lane=lane, dry_run=self.dry_run)

    @property
    def host(self) -> str:
        """The API server's base URL, for messages."""
        return self._transport.host

    async def get(self, resource: Resource, *, namespace: str, name: str) -> JSONObject:
        """Read one object. Raises NotFound and the other KubeErrors."""
        path = resource.path(namespace=namespace, name=name)
        return _object(await self._transport.request("GET", path, lane=self._lane))

    async def create(
        self, resource: Resource, obj: JSONObject, *, namespace: str, dry_run: bool = False
    ) -> JSONObject:
        """POST an object and return it as stored. Raises AlreadyExists, Invalid, Forbidden ..."""
        return _object(
            await self._write(
                "POST",
                resource.path(namespace=namespace),
                params=_write_params(dry_run),
                body=_encode(obj),
            )
        )

    async def update(
        self, resource: Resource, obj: JSONObject, *, namespace: str, name: str
    ) -> JSONObject:
        """PUT an object in place of the one that it names by UID and resourceVersion.

        Raises Conflict when that is not the one that is there.
        """
        return _object(
            await self._write(
                "PUT",
                resource.path(namespace=namespace, name=name),
                params=_write_params(dry_run=False),
                body=_encode(obj),
            )
        )

    async def patch(
        self,
        resource: Resource,
        body: JSONObject,
        *,
        namespace: str,
        name: str,
        content_type: str,
        dry_run: bool = False,
        force: bool = False,
    ) -> JSONObject:
        """PATCH an object and return the result; ``force`` is for server-side apply only."""
        return _object(
            await self._write(
                "PATCH",
                resource.path(namespace=namespace, name=name),
                params={**_write_params(dry_run), **encode_params({"force": force})},
                body=_encode(body),
                content_type=content_type,
            )
        )

    async def delete(
        self,
        resource: Resource,
        *,
        namespace: str,
        name: str,
        uid: str,
        resource_version: str | None,
        propagation: Propagation = "Background",
    ) -> None:
        """DELETE exactly the object that was seen.

        Raises Conflict when the object is another one (``uid``) or has changed since
        (``resource_version``, None to allow changes), NotFound when it is gone.
        """
        preconditions = {"uid": uid}
        if resource_version:
            preconditions["resourceVersion"] = resource_version
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
            "preconditions": preconditions,
            # The server reads options from the body or else from the query. The latter is for
            # whoever reads an audit log.
            **({"dryRun": ["All"]} if self.dry_run else {}),
        }
        await self._write(
            "DELETE", resource.path(namespace=namespace, name=name), body=_encode(options)
        )

    async def list_page(
        self,
        resource: Resource,
        *,
        namespace: str = "",
        selector: str = "",
        cont: str = "",
        resource_version: str = "",
    ) -> Page:
        """Read one page; ``page.metadata.cont`` asks for the next. Raises Gone when too slow."""
        params = {
            "labelSelector": selector,
            "limit": PAGE,
            "continue": cont,
            "resourceVersion": "" if cont else resource_version,
        }
        body = await self._transport.request(
            "GET", resource.path(namespace=namespace), params=encode_params(params)
        )
        try:
            return _page_decoder.decode(body)
        except msgspec.DecodeError as error:
            raise _not_json(f"list of {resource}", error) from error

    @asynccontextmanager
    async def watch(
        self,
        resource: Resource,
        *,
        resource_version: str,
        seconds: int,
        inactivity: float,
        namespace: str = "",
        selector: str = "",
        send_initial_events: bool = False,
    ) -> AsyncIterator[AsyncIterator[WatchEvent]]:
        """Watch from ``resource_version`` on; the server ends it after ``seconds``.

        With ``send_initial_events`` it begins with what there is; see ``kube.watchlist``.
        Raises TransportError after ``inactivity`` seconds without a line.
        """
        params = {
            "watch": True,
            "sendInitialEvents": send_initial_events,
            "resourceVersionMatch": "NotOlderThan" if send_initial_events else "",
            "allowWatchBookmarks": True,
            "labelSelector": selector,
            "resourceVersion": resource_version,
            "timeoutSeconds": seconds,
        }
        path = resource.path(namespace=namespace)
        async with self._transport.stream(
            path, params=encode_params(params), inactivity=inactivity
        ) as lines:
            yield _events(lines, resource)

    async def raw(self, path: str, *, accept: str = "application/json") -> JSONObject:
        """GET any path, such as discovery's and OpenAPI's."""
        return _object(await self._transport.request("GET", path, headers={"Accept": accept}))

    async def _write(
        self,
        method: str,
        path: str,
        *,
        body: bytes,
        params: dict[str, str] | None = None,
        content_type: str = "application/json",
    ) -> bytes:
        """Send what changes something; the one way there is, so that no write has no fence."""
        return await self._transport.request(
            method,
            path,
            params={**(params or {}), **({"dryRun": "All"} if self.dry_run else {})},
            body=body,
            headers={"Content-Type": content_type},
            lane=self._lane,
        )


def _write_params(dry_run: bool) -> dict[str, str]:
    params = {"fieldManager": FIELD_MANAGER}
    return {**params, "dryRun": "All"} if dry_run else params


def _object(body: bytes) -> JSONObject:
    try:
        answer = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise _not_json("the answer", error) from error
    if not isinstance(answer, dict):
        raise TransportError("the API server answered with JSON that is not an object")
    return answer


async def _events(lines: AsyncIterator[bytes], resource: Resource) -> AsyncIterator[WatchEvent]:
    async for line in lines:
        try:
            yield _event_decoder.decode(line)
        except msgspec.DecodeError as error:
            raise _not_json(f"watch of {resource}", error) from error


def _not_json(what: str, error: Exception) -> TransportError:
    return TransportError(
        f"{what} is not Kubernetes JSON ({error}); is a proxy or a login page in between?"
    )
