"""Nothing secret gets out: a canary in every credential, and a look at everything there is to see.

The program is run as a person runs it, at log level debug, against servers that let it in and
servers that do not; and asked for everything that it serves.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.controlplane.ports import free_port
from tests.controlplane.server import ControlPlane
from tests.eventually import eventually
from tests.gitservers.sshd import generate_key
from tests.integration.credentials.canaries import Watch, canaries_of
from tests.integration.credentials.kinds import KINDS, ORIGINS, Kind, PutSecret, Servers, placed

_JSON_WEB_TOKEN = re.compile(rb"eyJ[A-Za-z0-9_-]{20,}")


def spoiled(servers: Servers, folder: Path) -> dict[str, Kind]:
    """Return ways in that are wrong: refused by a server, or making no sense."""
    kinds = {name: servers.kind(name) for name in KINDS}
    kinds["ssh"].values["deploy-key"] = generate_key(folder / "stranger").read_bytes()
    kinds["passphrase"].values["passphrase"] = b"c4nary-not-the-passphrase"
    kinds["basic"].values["deploy-key"] = b"ada:c4nary-not-the-password"
    kinds["bearer"].values["deploy-key"] = b"c4nary-not-the-token"
    kinds["client"].values["client-key"] = another_key()
    kinds["one-file"].values["client-certificate"] = b"c4nary-no-certificate"
    kinds["proxy"].values["proxy"] = servers.proxy.url(password="c4nary-not-it").encode()
    kinds["app"].values["deploy-key"] = another_key()
    senseless = {
        "no-colon": ("basic", "deploy-key", b"c4nary-without-colon"),
        "no-key": ("ssh", "deploy-key", b"c4nary-no-key"),
        "bad-token": ("bearer", "deploy-key", b"c4nary in two words"),
        "bad-proxy": ("proxy", "proxy", b"http://proxy-user:c4nary-[broken@[::"),
        "bad-app-key": ("app", "deploy-key", b"c4nary-no-app-key"),
    }
    for name, (like, key, value) in senseless.items():
        kinds[name] = servers.kind(like)
        kinds[name].values[key] = value
    return kinds


def another_key() -> bytes:
    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def told(
    done: subprocess.CompletedProcess[bytes], plane: ControlPlane, watch: Watch
) -> Mapping[str, set[bytes]]:
    """Return all that the program let anybody see, by where that was."""
    stored = plane.everything_stored().items()
    return {
        "stdout": {done.stdout},
        "stderr": {done.stderr},
        **{key: {value} for key, value in stored if not key.startswith("/registry/secrets/")},
        **watch.seen,
    }


def run_once(
    lines: list[str], environment: Mapping[str, str], *, folder: Path, kubeconfig: Path
) -> tuple[subprocess.CompletedProcess[bytes], Watch]:
    """Make one pass of all tracks, watched all the time."""
    config, temporary = folder / "lightkeeper.toml", folder / "tmp"
    config.write_text("\n".join(lines))
    temporary.mkdir()
    own = {"PATH": os.environ["PATH"], "KUBECONFIG": str(kubeconfig), "TMPDIR": str(temporary)}
    command = [sys.executable, "-m", "agent", "run", "--once", "--log-level", "debug"]
    process = subprocess.Popen(
        [*command, "-c", str(config)],
        env={**own, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process, Watch(process.pid, [folder / "state", temporary]) as watch:
        stdout, stderr = process.communicate(timeout=100)
    done = subprocess.CompletedProcess(command, process.returncode, stdout, stderr)
    return done, watch


def tracks(
    kinds: Mapping[str, Kind], origin: str, namespace: str, folder: Path, put_secret: PutSecret
) -> tuple[list[str], dict[str, str]]:
    """Return the configuration of an agent with a track for each way in, and its environment."""
    lines = ["[agent]", f'name = "a{namespace}"', f'state-dir = "{folder / "state"}"',
             f'state-namespace = "{namespace}"', 'fetch-timeout = "60s"']  # fmt: skip
    environment: dict[str, str] = {}
    secrets = folder / "secrets"
    secrets.mkdir()
    for name, kind in kinds.items():
        own, variables = placed(kind, origin, name=name, folder=secrets, put_secret=put_secret)
        lines += ["[[track]]", f'name = "{name}"', f'scope = "{namespace}"', *own]
        environment |= variables
    return lines, environment


def assert_nothing_got_out(everything: Mapping[str, set[bytes]], canaries: set[bytes]) -> None:
    assert canaries
    leaks = {
        (where, canary[:12])
        for where, contents in everything.items()
        for content in contents
        for canary in canaries
        if canary in content
    }
    leaks |= {
        (where, b"JSON web token")
        for where, contents in everything.items()
        if where in ("stdout", "stderr") and any(map(_JSON_WEB_TOKEN.search, contents))
    }
    assert not leaks


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("let_in", [True, False], ids=["let-in", "refused"])
@pytest.mark.asyncio  # the forge answers on this test's loop
async def test_no_canary_is_seen_anywhere(
    servers: Servers,
    control_plane: ControlPlane,
    namespace: str,
    put_secret: PutSecret,
    tmp_path: Path,
    let_in: bool,
    origin: str,
) -> None:
    kinds = {n: servers.kind(n) for n in KINDS} if let_in else spoiled(servers, tmp_path)
    manifest = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c, namespace: {namespace}}}\n"
    servers.git.commit({"a.yaml": manifest})
    lines, environment = tracks(kinds, origin, namespace, tmp_path, put_secret)
    done, watch = await asyncio.to_thread(
        run_once, lines, environment, folder=tmp_path, kubeconfig=control_plane.kubeconfig
    )
    everything = told(done, control_plane, watch)
    assert done.returncode == (0 if let_in else 1), done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert watch.children, "no git worker was seen"
    assert any(key.startswith("/registry/events/") for key in everything)
    for name in kinds:
        assert f'"track": "{name}"'.encode() in done.stderr or f"\n{name} ".encode() in done.stdout
    canaries = set[bytes]().union(*map(canaries_of, kinds.values()))
    assert_nothing_got_out(
        everything, canaries | {token.encode() for token in servers.forge.tokens}
    )


@pytest.mark.parametrize("let_in", [True, False], ids=["let-in", "refused"])
@pytest.mark.asyncio
async def test_no_canary_is_served(
    servers: Servers,
    control_plane: ControlPlane,
    namespace: str,
    put_secret: PutSecret,
    tmp_path: Path,
    let_in: bool,
) -> None:
    kinds = {n: servers.kind(n) for n in KINDS} if let_in else spoiled(servers, tmp_path)
    manifest = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c, namespace: {namespace}}}\n"
    servers.git.commit({"a.yaml": manifest})
    lines, environment = tracks(kinds, "env", namespace, tmp_path, put_secret)
    ports = {"metrics": free_port(), "health": free_port()}
    lines[1:1] = [f'{what}-bind-address = "127.0.0.1:{port}"' for what, port in ports.items()]
    config = tmp_path / "lightkeeper.toml"
    config.write_text("\n".join(lines))
    own = {"PATH": os.environ["PATH"], "KUBECONFIG": str(control_plane.kubeconfig)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agent", "run", "-c", str(config)),
        env={**own, **environment},
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        served = await eventually(
            lambda: pages(ports, passes=len(kinds)), within=100, what="a pass of each track"
        )
    finally:
        process.terminate()
        assert await process.wait() == 0
    for name in kinds:
        assert f'track="{name}"'.encode() in b"".join(served["/metrics"])
    canaries = set[bytes]().union(*map(canaries_of, kinds.values()))
    assert_nothing_got_out(served, canaries | {token.encode() for token in servers.forge.tokens})


async def pages(ports: Mapping[str, int], *, passes: int) -> dict[str, set[bytes]] | None:
    """Return all that the agent serves, None until it has made a pass of each track."""
    found: dict[str, set[bytes]] = {}
    paths = {"/metrics": "metrics", "/status": "metrics", "/healthz": "health", "/readyz": "health"}
    async with aiohttp.ClientSession() as session:
        for path, port in paths.items():
            try:
                async with session.get(f"http://127.0.0.1:{ports[port]}{path}") as answer:
                    found[path] = {await answer.read()}
            except aiohttp.ClientConnectorError:
                return None
    [status] = found["/status"]
    made = [track for track in json.loads(status) if track["conditions"]]
    return found if len(made) == passes else None


@pytest.mark.parametrize(
    "line",
    [
        'repository = "https://ada:c4nary-in-url@git.example.org/r"',
        'repository = "https://c4nary-in-url@git.example.org/r"',
        'repository = "ssh://git:c4nary-in-url@git.example.org/r"',
        'repository = "git:c4nary-in-url@git.example.org:r"',
        'repository = "https://git.example.org/r?token=c4nary-in-url"',
        'repository = "https://git.example.org/r"\nproxy = { url = "http://u:c4nary-in-url@p:1" }',
        'repository = "https://git.example.org/r"\ndeploy-key = { env = "c4nary-in-url" }',
        'repository = "git@git.example.org:r"\ndeploy-key = { secret-name = "C4nary-in-url!" }',
    ],
)
def test_a_secret_in_the_configuration_is_refused_and_not_shown(
    line: str, kubeconfig: Path, tmp_path: Path
) -> None:
    done, watch = run_once(
        ["[[track]]", 'name = "t"', line], {}, folder=tmp_path, kubeconfig=kubeconfig
    )
    assert done.returncode == 2
    assert_nothing_got_out(
        {"stdout": {done.stdout}, "stderr": {done.stderr.lower()}, **watch.seen},
        {b"c4nary-in-url"},
    )


def test_a_canary_that_gets_out_is_found(tmp_path: Path) -> None:
    """The test of the test: each place that is looked at shows what is put there."""
    folder = tmp_path / "state"
    folder.mkdir()
    child = "import time; time.sleep(60)"
    program = (
        "import subprocess, sys, pathlib\n"
        f"pathlib.Path({str(folder)!r}, 'leak').write_text('c4nary-in-file')\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}, 'c4nary-in-argv'],"
        "env={'LEAK': 'c4nary-in-environment'})\n"
        "sys.stdin.read()\n"
        "child.kill()\n"
    )
    wanted = {b"c4nary-in-file", b"c4nary-in-argv", b"c4nary-in-environment"}
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) as process:
        with Watch(process.pid, [folder]) as watch:
            found: set[bytes] = set()
            while found != wanted:
                seen = b"".join(
                    content for values in list(watch.seen.values()) for content in values
                )
                found = {canary for canary in wanted if canary in seen}
        process.communicate()
    for canary in wanted:
        with pytest.raises(AssertionError):
            assert_nothing_got_out(watch.seen, {canary})
