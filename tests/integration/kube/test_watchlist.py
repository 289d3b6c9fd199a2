"""Lists that are the beginning of a watch: on an API server of today, and on those without."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from agent.kube import auth, watchlist
from agent.kube import reflector as reflector_module
from agent.kube.client import Client
from agent.kube.reflector import Reflector, Selection, State
from agent.kube.resource import Resource
from agent.kube.store import Store
from agent.kube.transport import Transport
from agent.kube.watchlist import WatchLists
from tests.controlplane import access
from tests.controlplane.newer import NewerServer
from tests.controlplane.rest import MERGE_PATCH
from tests.controlplane.server import ControlPlane
from tests.eventually import eventually
from tests.faults.proxy import Fault, FaultProxy
from tests.integration.kube.gears import GEARS, PATH, serve_gears

pytestmark = pytest.mark.asyncio

CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", True, frozenset(), False)
Seen = list[tuple[Any, Any]]


@pytest.fixture(autouse=True)
def no_gears(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "newer" in request.fixturenames:
        request.getfixturevalue("newer").client.json("DELETE", PATH)


def make(server: NewerServer, name: str, x: int = 1, *, watched: str = "yes") -> None:
    metadata = {"name": name, "labels": {"watched": watched}}
    gear = {"apiVersion": "shop.example/v1", "kind": "Gear", "metadata": metadata, "spec": {"x": x}}
    server.client.json("POST", PATH, gear)


def make_config_map(control_plane: ControlPlane, namespace: str) -> None:
    maps = f"/api/v1/namespaces/{namespace}/configmaps"
    metadata = {"name": "a", "labels": {"watched": "yes"}}
    control_plane.client.json("POST", maps, {"metadata": metadata})


@asynccontextmanager
async def through_proxy(
    control_plane: ControlPlane, url: str, folder: Path
) -> AsyncIterator[tuple[Client, FaultProxy]]:
    """A client of a server by way of a proxy that counts."""
    async with FaultProxy(url, ca=control_plane.ca, token=control_plane.admin_token) as proxy:
        path = access.write_kubeconfig(
            folder / "proxy.kubeconfig", url=proxy.url, ca=control_plane.ca, user={"token": "none"}
        )
        async with Transport(await auth.load(kubeconfig=str(path))) as transport:
            yield Client(transport), proxy


@pytest_asyncio.fixture
async def way(
    newer: NewerServer, control_plane: ControlPlane, tmp_path: Path
) -> AsyncIterator[tuple[Client, FaultProxy]]:
    """A client of the server of today, and the proxy in between."""
    async with through_proxy(control_plane, newer.url, tmp_path) as both:
        yield both


@asynccontextmanager
async def following(
    client: Client,
    *,
    lists: WatchLists | None = None,
    resource: Resource = GEARS,
    namespace: str = "default",
) -> AsyncIterator[tuple[Reflector[Any], Store[Any], Seen]]:
    seen: Seen = []
    store: Store[Any] = Store(lambda old, new, _: seen.append((old, new)))
    reflector: Reflector[Any] = Reflector(
        client=client,
        resource=resource,
        project=lambda obj: (obj["metadata"]["name"], (obj.get("spec") or {}).get("x")),
        store=store,
        on_gone=lambda: None,
        selection=Selection(selector="watched=yes", namespace=namespace),
        watch_lists=lists or WatchLists(client),
    )
    task = asyncio.create_task(reflector.run())
    try:
        await reflector.settled()
        yield reflector, store, seen
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_kind_is_listed_and_watched_by_one_request(
    newer: NewerServer, way: tuple[Client, FaultProxy]
) -> None:
    client, proxy = way
    make(newer, "a")
    make(newer, "b")
    make(newer, "unmarked", watched="no")
    async with following(client) as (reflector, store, seen):
        assert reflector.state is State.SYNCED
        assert set(store) == {("a", 1), ("b", 1)}
        make(newer, "c")
        newer.client.json("PATCH", f"{PATH}/a", {"spec": {"x": 2}}, content_type=MERGE_PATCH)
        newer.client.json("DELETE", f"{PATH}/b")
        await eventually(lambda: set(store) == {("a", 2), ("c", 1)})
        assert (("b", 1), None) in seen
        assert (proxy.count("WATCH", "gears"), proxy.count("GET", "gears")) == (1, 0)


async def test_an_empty_kind_is_known_to_be_empty(way: tuple[Client, FaultProxy]) -> None:
    client, proxy = way
    async with following(client) as (reflector, store, _):
        assert (reflector.state, len(store)) == (State.SYNCED, 0)
        assert proxy.count("GET", "gears") == 0


async def test_a_list_has_what_was_written_just_before(
    newer: NewerServer, control_plane: ControlPlane, way: tuple[Client, FaultProxy]
) -> None:
    """It decides on ownership, so it must not be older than the question."""
    client, _ = way
    for number in range(30):
        make(newer, f"n{number}")
        async with following(client) as (_, store, _seen):
            assert len(store) == number + 1


async def test_many_objects_and_changes_in_between_lose_nothing(
    newer: NewerServer, way: tuple[Client, FaultProxy]
) -> None:
    client, _ = way
    for number in range(300):
        make(newer, f"n{number}")

    def change() -> None:
        for number in range(0, 300, 3):
            newer.client.json("DELETE", f"{PATH}/n{number}")
            make(newer, f"later{number}", 2)

    changing = asyncio.create_task(asyncio.to_thread(change))
    while not changing.done():
        async with following(client) as (reflector, _store, _seen):
            assert reflector.state is State.SYNCED
    await changing
    expected = {(f"n{n}", 1) for n in range(300) if n % 3}
    async with following(client) as (_, store, _seen):
        assert set(store) == expected | {(f"later{n}", 2) for n in range(0, 300, 3)}


async def test_after_410_the_kind_is_listed_by_a_watch_again_and_what_was_missed_is_told(
    newer: NewerServer, way: tuple[Client, FaultProxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reflector_module, "WATCH_SECONDS", (1, 1))
    client, proxy = way
    make(newer, "a")
    make(newer, "b")
    gone = '{"kind":"Status","status":"Failure","reason":"Expired","message":"too old","code":410}'
    async with following(client) as (_, store, seen):
        monkeypatch.undo()  # the watch that is under way ends soon, and history is gone then
        gone_once = proxy.plant(Fault(watch=True, status=410, body=gone))
        await eventually(lambda: not gone_once.times)
        newer.client.json("DELETE", f"{PATH}/b")
        await eventually(lambda: set(store) == {("a", 1)})
        assert (("b", 1), None) in seen
        assert proxy.count("GET", "gears") == 0


async def test_a_stream_that_is_cut_off_replaces_nothing_and_is_opened_again(
    newer: NewerServer, way: tuple[Client, FaultProxy]
) -> None:
    client, proxy = way
    make(newer, "a")
    make(newer, "b")
    proxy.plant(Fault(watch=True, cut_after=100))
    async with following(client) as (reflector, store, seen):
        assert (reflector.state, len(store)) == (State.FAILING, 0)
        await eventually(lambda: set(store) == {("a", 1), ("b", 1)})
        assert len(seen) == 2
        assert (proxy.count("WATCH", "gears"), proxy.count("GET", "gears")) == (2, 0)


async def test_a_server_that_asks_to_wait_is_obeyed_and_asked_again(
    newer: NewerServer, way: tuple[Client, FaultProxy]
) -> None:
    client, proxy = way
    make(newer, "a")
    proxy.plant(Fault(watch=True, status=429, headers={"Retry-After": "1"}, times=2))
    begin = time.monotonic()
    async with following(client) as (reflector, store, _):
        assert (reflector.state, set(store)) == (State.SYNCED, {("a", 1)})
        assert time.monotonic() - begin >= 2
        assert (proxy.count("WATCH", "gears"), proxy.count("GET", "gears")) == (3, 0)


async def test_a_server_that_is_told_not_to_stream_is_listed_in_pages(
    newer_assets: Path, control_plane: ControlPlane, tmp_path: Path
) -> None:
    server = NewerServer(newer_assets, control_plane, feature_gates="WatchList=false")
    await listed_in_pages(server, control_plane, tmp_path)


async def test_an_etcd_that_is_too_old_for_streaming_is_listed_in_pages(
    newer_assets: Path, assets: Path, control_plane: ControlPlane, tmp_path: Path
) -> None:
    server = NewerServer(newer_assets, control_plane, etcd=assets / "etcd")
    await listed_in_pages(server, control_plane, tmp_path)


async def listed_in_pages(server: NewerServer, control_plane: ControlPlane, folder: Path) -> None:
    with server:
        await asyncio.to_thread(serve_gears, server)
        make(server, "a")
        async with (
            through_proxy(control_plane, server.url, folder) as (client, proxy),
            following(client) as (reflector, store, _),
        ):
            assert (reflector.state, set(store)) == (State.SYNCED, {("a", 1)})
            make(server, "b")
            await eventually(lambda: set(store) == {("a", 1), ("b", 1)})
            assert (proxy.count("WATCH", "gears"), proxy.count("GET", "gears")) == (2, 1)


async def test_a_server_too_old_for_the_question_refuses_it_and_is_listed_in_pages(
    client: Client, control_plane: ControlPlane, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchlist, "SINCE", (1, 0))  # as if it were behind an API server of today
    make_config_map(control_plane, namespace)
    async with following(client, resource=CONFIG_MAPS, namespace=namespace) as (state, store, _):
        assert (state.state, set(store)) == (State.SYNCED, {("a", None)})


async def test_a_busy_server_that_ignores_the_question_is_listed_in_pages_after_a_while(
    shaky: Client,
    proxy: FaultProxy,
    control_plane: ControlPlane,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watchlist, "SINCE", (1, 0))
    monkeypatch.setattr(watchlist, "DEADLINE", 1.0)
    proxy.unknown = frozenset({"sendInitialEvents", "resourceVersionMatch", "allowWatchBookmarks"})
    make_config_map(control_plane, namespace)
    path = f"/api/v1/namespaces/{namespace}/configmaps/a"

    async def keep_changing() -> None:
        for number in range(1000):
            change = {"data": {"number": str(number)}}
            await asyncio.to_thread(
                control_plane.client.json, "PATCH", path, change, content_type=MERGE_PATCH
            )

    changing = asyncio.create_task(keep_changing())
    async with following(shaky, resource=CONFIG_MAPS, namespace=namespace) as (state, store, _):
        assert (state.state, set(store)) == (State.SYNCED, {("a", None)})
        assert proxy.count("GET", "configmaps") == 1
    changing.cancel()
    await asyncio.gather(changing, return_exceptions=True)


@pytest.mark.parametrize("fault", [Fault(watch=True, hold=True), Fault(watch=True, silent=True)])
async def test_a_list_that_a_proxy_holds_back_comes_in_pages(
    newer: NewerServer,
    way: tuple[Client, FaultProxy],
    fault: Fault,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watchlist, "DEADLINE", 0.5)
    client, proxy = way
    make(newer, "a")
    proxy.plant(fault)
    async with following(client) as (reflector, store, _):
        assert (reflector.state, set(store)) == (State.SYNCED, {("a", 1)})
        assert proxy.count("GET", "gears") == 1


async def test_a_refusal_is_forgotten_after_a_while(
    newer: NewerServer, way: tuple[Client, FaultProxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchlist, "REMEMBERED", (0.0, 0.0))
    client, proxy = way
    make(newer, "a")
    proxy.plant(Fault(watch=True, status=500))
    async with following(client) as (_, store, _seen):
        assert set(store) == {("a", 1)}
        assert (proxy.count("WATCH", "gears"), proxy.count("GET", "gears")) == (2, 0)


async def test_an_old_server_is_not_asked_for_what_it_would_ignore(
    client: Client, control_plane: ControlPlane, namespace: str
) -> None:
    mark = control_plane.mark()
    async with following(client, resource=CONFIG_MAPS, namespace=namespace) as (_, store, _seen):
        make_config_map(control_plane, namespace)
        await eventually(lambda: len(store) == 1)
    asked = [r for r in control_plane.audit(mark) if r.resource == "configmaps"]
    assert [request.verb for request in asked] == ["list", "watch"]
    assert not [request for request in asked if "sendInitialEvents" in request.query]


async def test_the_servers_version_is_asked_once_and_soon_again_where_it_was_not_told(
    way: tuple[Client, FaultProxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchlist, "REMEMBERED", (60.0, 0.5))
    client, proxy = way
    proxy.plant(Fault(path="/version", status=500))
    lists = WatchLists(client)
    assert not await lists.offered()
    assert not await lists.offered()
    assert proxy.count("GET", "/version") == 1
    await asyncio.sleep(0.6)
    assert await lists.offered()
    assert await lists.offered()
    assert proxy.count("GET", "/version") == 2


async def test_a_version_that_never_comes_holds_nobody_up_for_long(
    way: tuple[Client, FaultProxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchlist, "_VERSION_SECONDS", 0.5)
    client, proxy = way
    proxy.plant(Fault(path="/version", silent=True, times=10))
    lists = WatchLists(client)
    assert not any(await asyncio.gather(*(lists.offered() for _ in range(10))))
    assert proxy.count("GET", "/version") == 1


async def test_no_more_than_a_few_lists_are_under_way_at_once(
    way: tuple[Client, FaultProxy],
) -> None:
    client, proxy = way
    proxy.plant(Fault(watch=True, silent=True, times=100))
    lists = WatchLists(client)
    assert await lists.offered()
    reflecting = [asyncio.create_task(enter(client, lists)) for _ in range(20)]
    try:
        await eventually(lambda: proxy.count("WATCH", "gears") == watchlist.AT_ONCE)
        await asyncio.sleep(0.2)
        assert proxy.count("WATCH", "gears") == watchlist.AT_ONCE
    finally:
        for task in reflecting:
            task.cancel()
        await asyncio.gather(*reflecting, return_exceptions=True)


async def enter(client: Client, lists: WatchLists) -> None:
    async with following(client, lists=lists):
        await asyncio.Event().wait()
