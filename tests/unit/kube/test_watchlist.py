"""Where the list ends in a stream of events, and what else may come instead of that end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from agent.kube import watchlist
from agent.kube.client import WatchEvent
from agent.kube.errors import ApiError, ServerError, TransportError, from_response
from agent.kube.resource import Resource
from agent.kube.watchlist import NotStreamed, initial, is_refusal

GEARS = Resource("shop.example", "v1", "Gear", "gears", True, frozenset(), False)
ADDED = WatchEvent("ADDED", {"metadata": {"name": "a", "resourceVersion": "1"}})
END = WatchEvent("BOOKMARK", {"metadata": {"annotations": {"k8s.io/initial-events-end": "true"}}})


async def taken(*events: WatchEvent) -> list[WatchEvent]:
    async def stream() -> AsyncIterator[WatchEvent]:
        for event in events:
            yield event

    listed: list[WatchEvent] = []
    end = await initial(stream(), GEARS, listed.append)
    return [*listed, end]


@pytest.mark.asyncio
async def test_the_list_is_what_comes_before_the_bookmark_that_ends_it() -> None:
    assert await taken(ADDED, ADDED, END, ADDED) == [ADDED, ADDED, END]
    assert await taken(END) == [END]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "metadata", [{}, {"annotations": None}, {"annotations": {"k8s.io/initial-events-end": "no"}}]
)
async def test_a_server_whose_bookmarks_end_nothing_does_not_stream(
    metadata: dict[str, Any],
) -> None:
    with pytest.raises(NotStreamed, match=r"gears\.shop\.example/v1"):
        await taken(ADDED, WatchEvent("BOOKMARK", {"metadata": metadata}), ADDED)


@pytest.mark.asyncio
async def test_a_stream_that_ends_before_its_list_is_a_broken_one() -> None:
    with pytest.raises(TransportError, match="cut off"):
        await taken(ADDED)


@pytest.mark.asyncio
async def test_an_error_within_the_list_is_told() -> None:
    status = {"kind": "Status", "code": 500, "reason": "InternalError", "message": "no etcd"}
    with pytest.raises(ServerError, match="no etcd"):
        await taken(ADDED, WatchEvent("ERROR", status))


@pytest.mark.parametrize(
    ("status", "refusal"),
    [
        (400, True),
        (401, False),
        (403, False),
        (404, False),
        (405, True),
        (422, True),
        (429, False),
        (500, True),
        (503, False),
    ],
)
def test_what_is_said_of_the_kind_or_the_server_is_no_refusal_of_the_stream(
    status: int, refusal: bool
) -> None:
    error: ApiError = from_response(status=status, body=b"", request="WATCH gears")
    assert is_refusal(error) is refusal


@pytest.mark.parametrize(
    ("major", "minor", "release"),
    [
        ("1", "32", (1, 32)),
        ("1", "32+", (1, 32)),
        ("2", "0", (2, 0)),
        ("1", "", (0, 0)),
        (None, None, (0, 0)),
        ("one", "32", (0, 0)),
        (1, 36, (1, 36)),
    ],
)
def test_a_version_is_read_as_providers_write_it(
    major: object, minor: object, release: tuple[int, int]
) -> None:
    assert watchlist._release(major, minor) == release
