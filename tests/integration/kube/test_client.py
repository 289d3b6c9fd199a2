"""Requests to the real API server: what comes back, and which error a refusal becomes."""

from __future__ import annotations

import asyncio
import os
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from agent.kube import auth
from agent.kube.client import Client
from agent.kube.errors import (
    AlreadyExists,
    AuthError,
    Conflict,
    Forbidden,
    Invalid,
    KubeError,
    NotFound,
    ServerError,
    TooManyRequests,
    TransportError,
)
from agent.kube.limit import START
from agent.kube.resource import Resource
from agent.kube.transport import Transport
from tests.controlplane.server import ControlPlane
from tests.eventually import eventually
from tests.faults.proxy import Fault, FaultProxy
from tests.gitservers.proxies import ProxyServer

pytestmark = pytest.mark.asyncio

CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", True, frozenset(), False)
SERVICES = Resource("", "v1", "Service", "services", True, frozenset(), True)
MERGE_PATCH = "application/merge-patch+json"


def config_map(name: str, **data: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


async def test_an_object_goes_there_and_comes_back(client: Client, namespace: str) -> None:
    created = await client.create(CONFIG_MAPS, config_map("a", x="1"), namespace=namespace)
    assert created["metadata"]["uid"]
    patched = await client.patch(
        CONFIG_MAPS, {"data": {"x": "2"}}, namespace=namespace, name="a", content_type=MERGE_PATCH
    )
    assert patched["data"] == {"x": "2"}
    read = await client.get(CONFIG_MAPS, namespace=namespace, name="a")
    assert read == patched


async def test_a_dry_run_changes_nothing(client: Client, namespace: str) -> None:
    await client.create(CONFIG_MAPS, config_map("a", x="1"), namespace=namespace)
    answer = await client.patch(
        CONFIG_MAPS,
        {"data": {"x": "2"}},
        namespace=namespace,
        name="a",
        content_type=MERGE_PATCH,
        dry_run=True,
    )
    assert answer["data"] == {"x": "2"}
    read = await client.get(CONFIG_MAPS, namespace=namespace, name="a")
    assert read["data"] == {"x": "1"}


async def test_refusals_become_errors_with_status_reason_and_message(
    client: Client, namespace: str
) -> None:
    with pytest.raises(NotFound, match=r'configmaps "none" not found.*404 NotFound, GET /api/v1'):
        await client.get(CONFIG_MAPS, namespace=namespace, name="none")
    await client.create(CONFIG_MAPS, config_map("a"), namespace=namespace)
    with pytest.raises(AlreadyExists):
        await client.create(CONFIG_MAPS, config_map("a"), namespace=namespace)
    broken = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {}}
    with pytest.raises(Invalid, match=r"spec\.ports"):
        await client.create(SERVICES, broken, namespace=namespace)


async def test_a_delete_hits_exactly_the_object_that_was_seen(
    client: Client, namespace: str
) -> None:
    seen = await client.create(CONFIG_MAPS, config_map("a", x="1"), namespace=namespace)
    uid, version = seen["metadata"]["uid"], seen["metadata"]["resourceVersion"]

    async def delete(*, uid: str, resource_version: str) -> None:
        await client.delete(
            CONFIG_MAPS, namespace=namespace, name="a", uid=uid, resource_version=resource_version
        )

    with pytest.raises(Conflict):
        await delete(uid="another", resource_version=version)
    changed = await client.patch(
        CONFIG_MAPS, {"data": {"x": "2"}}, namespace=namespace, name="a", content_type=MERGE_PATCH
    )
    with pytest.raises(Conflict):
        await delete(uid=uid, resource_version=version)
    await delete(uid=uid, resource_version=changed["metadata"]["resourceVersion"])
    with pytest.raises(NotFound):
        await delete(uid=uid, resource_version=version)


async def test_rbac_refusals_say_who_may_not_do_what(
    control_plane: ControlPlane, namespace: str
) -> None:
    nobody = control_plane.user("nobody")
    async with Transport(await auth.load(kubeconfig=str(nobody))) as transport:
        with pytest.raises(Forbidden, match='User "nobody" cannot get resource "configmaps"'):
            await Client(transport).get(CONFIG_MAPS, namespace=namespace, name="a")


async def test_a_busy_server_is_asked_again_when_it_says(
    shaky: Client, proxy: FaultProxy, namespace: str
) -> None:
    proxy.plant(Fault(method="POST", status=429, headers={"Retry-After": "1"}, times=2))
    created = await shaky.create(CONFIG_MAPS, config_map("a"), namespace=namespace)
    assert created["metadata"]["name"] == "a"
    assert proxy.count("POST", "configmaps") == 3


async def test_a_busy_server_that_names_no_time_is_left_to_the_caller(
    shaky: Client, proxy: FaultProxy, namespace: str
) -> None:
    proxy.plant(Fault(status=429))
    with pytest.raises(TooManyRequests):
        await shaky.get(CONFIG_MAPS, namespace=namespace, name="a")


async def test_a_broken_answer_is_a_clear_error(
    shaky: Client, proxy: FaultProxy, namespace: str
) -> None:
    proxy.plant(Fault(status=502, body="<html>bad gateway</html>"))
    with pytest.raises(ServerError, match="bad gateway"):
        await shaky.get(CONFIG_MAPS, namespace=namespace, name="a")
    proxy.plant(Fault(status=200, body="<html>please log in</html>"))
    with pytest.raises(TransportError, match="is a proxy or a login page in between"):
        await shaky.get(CONFIG_MAPS, namespace=namespace, name="a")
    await shaky.create(CONFIG_MAPS, config_map("a", x="y" * 5000), namespace=namespace)
    proxy.plant(Fault(cut_after=100))
    with pytest.raises(TransportError, match="cannot reach the API server"):
        await shaky.get(CONFIG_MAPS, namespace=namespace, name="a")


async def test_a_silent_server_is_given_up_at_the_deadline(
    shaky: Client, proxy: FaultProxy
) -> None:
    proxy.plant(Fault(silent=True))
    with pytest.raises(TransportError, match=r"no answer from the API server at .* within 0 s"):
        await shaky._transport.request("GET", "/version", deadline=0.3)


async def test_an_expired_token_is_replaced_without_a_restart(
    control_plane: ControlPlane, kubeconfig: Path, namespace: str
) -> None:
    stale = control_plane.token_kubeconfig("expired")
    fresh = await auth.load(kubeconfig=str(kubeconfig))

    async def reload() -> auth.Access:
        return fresh

    access = await auth.load(kubeconfig=str(stale))
    async with Transport(access, reload=reload) as transport:
        with pytest.raises(NotFound):
            await Client(transport).get(CONFIG_MAPS, namespace=namespace, name="a")


async def test_no_way_in_says_what_was_tried(tmp_path: Path) -> None:
    with pytest.raises(AuthError, match=r"no usable access .*missing.*set --kubeconfig"):
        await auth.load(kubeconfig=str(tmp_path / "missing"))


async def test_a_server_that_is_away_is_named(control_plane: ControlPlane, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    text = control_plane.kubeconfig.read_text().replace(control_plane.url, "https://127.0.0.1:1")
    path.write_text(text)
    async with Transport(await auth.load(kubeconfig=str(path))) as transport:
        with pytest.raises(
            TransportError,
            match=r"the API server at https://127\.0\.0\.1:1: Connection refused \(GET",
        ):
            await Client(transport).raw("/version")


async def test_no_copy_of_a_clients_key_stays_on_disk(
    control_plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    access = await auth.load(kubeconfig=str(control_plane.user("keyholder")))
    assert not os.listdir(tmp_path)
    async with Transport(access) as transport:
        assert (await Client(transport).raw("/version"))["major"]


async def test_so_many_requests_are_under_way_and_no_more_however_many_are_wanted(
    shaky: Client, proxy: FaultProxy, namespace: str
) -> None:
    await shaky.create(CONFIG_MAPS, config_map("a"), namespace=namespace)
    wanted = 4 * START
    proxy.plant(Fault(delay=0.2, times=wanted))
    reads = (shaky.get(CONFIG_MAPS, namespace=namespace, name="a") for _ in range(wanted))
    await asyncio.gather(*reads)
    assert 1 < proxy.peak <= START


async def test_who_waits_for_a_busy_server_keeps_its_place_so_that_no_other_asks_instead(
    shaky: Client, proxy: FaultProxy, namespace: str
) -> None:
    busy = proxy.plant(Fault(method="POST", status=429, headers={"Retry-After": "3"}, times=START))
    names = [f"c{number}" for number in range(2 * START)]
    creates = [
        asyncio.ensure_future(shaky.create(CONFIG_MAPS, config_map(name), namespace=namespace))
        for name in names
    ]
    await eventually(lambda: busy.times == 0)
    assert proxy.count("POST", "configmaps") == START
    await asyncio.gather(*creates)
    assert proxy.count("POST", "configmaps") == len(names) + START


async def test_a_request_waits_for_no_thread(client: Client, namespace: str) -> None:
    busy = ThreadPoolExecutor(max_workers=1)
    asyncio.get_running_loop().set_default_executor(busy)
    leave = threading.Event()
    busy.submit(leave.wait)
    try:
        async with asyncio.timeout(30):
            await client.create(CONFIG_MAPS, config_map("a"), namespace=namespace)
    finally:
        leave.set()


@pytest.mark.parametrize(
    ("exceptions", "connections"),
    [pytest.param("", 1, id="all"), pytest.param("127.0.0.1", 0, id="no-proxy")],
)
async def test_the_environments_proxy_leads_to_the_server_unless_excepted(
    control_plane: ControlPlane,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    exceptions: str,
    connections: int,
) -> None:
    proxy = ProxyServer("http", tmp_path)
    await asyncio.to_thread(proxy.start)
    try:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url())
        monkeypatch.setenv("NO_PROXY", exceptions)
        access = await auth.load(kubeconfig=str(control_plane.kubeconfig))
        async with Transport(access) as transport:
            assert (await Client(transport).raw("/version"))["major"]
        assert proxy.connections() == connections
    finally:
        await asyncio.to_thread(proxy.stop)


@pytest.mark.parametrize("configured", [True, False], ids=["kubeconfig", "environment"])
@pytest.mark.parametrize(
    ("proxy", "said"),
    [
        (
            "http://ada:hunter2@127.0.0.1:{there}",
            "its proxy http://127.0.0.1:{there} refuses: 407",
        ),
        ("http://ada:hunter2@127.0.0.1:1", "its proxy http://127.0.0.1:1: Connection refused"),
        ("ada:hunter2@127.0.0.1:1", "its proxy http://127.0.0.1:1: Connection refused"),
        ("http://ada:hunter2@proxy.invalid", "the name proxy.invalid cannot be resolved"),
        ("http://ada:hunter2#@127.0.0.1:1", "cannot be used: host or port cannot be read"),
        ("socks5://ada:hunter2@127.0.0.1:1", "reached through http or https proxies only"),
    ],
    ids=["refuses", "away", "no-scheme", "no-such-name", "unreadable", "socks"],
)
async def test_a_proxy_in_the_way_is_named_without_its_password(
    control_plane: ControlPlane,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    proxy: str,
    said: str,
    configured: bool,
) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        path = tmp_path / "kubeconfig"
        kubeconfig = yaml.safe_load(control_plane.kubeconfig.read_text())
        if configured:
            kubeconfig["clusters"][0]["cluster"]["proxy-url"] = proxy.format(there=port)
        else:
            monkeypatch.setenv("HTTPS_PROXY", proxy.format(there=port))
        path.write_text(yaml.safe_dump(kubeconfig))
        with pytest.raises(KubeError) as caught:
            async with Transport(await auth.load(kubeconfig=str(path))) as transport:
                await Client(transport).raw("/version")
    assert said.format(there=port) in str(caught.value)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
