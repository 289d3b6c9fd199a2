"""etcd, for one API server: in memory's speed, on this machine only, gone afterwards."""

from __future__ import annotations

import base64
import json
import subprocess
import urllib.request
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

from tests.controlplane.ports import free_port
from tests.controlplane.process import Deadline, ServerProcess


class Etcd:
    """One etcd with its data below a folder."""

    def __init__(self, binary: Path, folder: Path) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self._binary = binary
        self._folder = folder
        self._process: ServerProcess | None = None

    def start(self) -> None:
        """Start the server; it answers once :meth:`wait_ready` returns."""
        self._folder.mkdir()
        flags = [
            f"--data-dir={self._folder / 'data'}",
            f"--listen-client-urls={self.url}",
            f"--advertise-client-urls={self.url}",
            "--listen-peer-urls=http://127.0.0.1:0",
            "--logger=zap",
            "--log-level=warn",
            *self._without_fsync(),
        ]
        self._process = ServerProcess(
            "etcd", [str(self._binary), *flags], self._folder / "etcd.log"
        )

    def stop(self) -> None:
        """End the server. Its data is not meant to last: there is nothing to wait for."""
        if self._process is not None:
            self._process.kill()

    def wait_ready(self, timeout: float) -> None:
        """Return when the server answers; raise ServerError with its log when it does not."""
        if self._process is None:
            raise RuntimeError("etcd was not started")
        deadline = Deadline(timeout)
        while not self._healthy():
            self._process.check()
            if not deadline.wait_a_moment():
                raise self._process.error(f"was not ready after {timeout} s")

    def keys(self, prefix: str) -> list[str]:
        """The names of all keys that start with a prefix."""
        query = {"key": _text(prefix), "range_end": _text(_end(prefix)), "keys_only": True}
        found = self._call("range", query).get("kvs", [])
        return [base64.b64decode(entry["key"]).decode() for entry in found]

    def get(self, key: str) -> bytes:
        """Return what is stored under a key, b"" when there is no such key."""
        answer = self._call("range", {"key": _text(key)})
        return b"".join(base64.b64decode(found["value"]) for found in answer.get("kvs", []))

    def dump(self, prefix: str) -> dict[str, bytes]:
        """Return everything stored under keys that start with a prefix."""
        query = {"key": _text(prefix), "range_end": _text(_end(prefix))}
        found = self._call("range", query).get("kvs", [])
        return {
            base64.b64decode(entry["key"]).decode(): base64.b64decode(entry["value"])
            for entry in found
        }

    def delete(self, key: str) -> None:
        """Delete one key. The API server and its watchers see that the object is gone."""
        self._call("deleterange", {"key": _text(key)})

    def _call(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        url = f"{self.url}/v3/kv/{method}"
        request = urllib.request.Request(url, data=json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=10) as response:
            answer: dict[str, Any] = json.load(response)
            return answer

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5) as response:
                return bool(json.load(response)["health"] == "true")
        except HTTPError as error:
            error.close()  # 503 until it has a leader, which is itself
            return False
        except (URLError, OSError, ValueError):
            return False

    def _without_fsync(self) -> list[str]:
        """The flag that spares the disk, where this version knows it."""
        flag = "--unsafe-no-fsync"
        known = subprocess.run(
            [self._binary, flag, "--version"], capture_output=True, timeout=10, check=False
        )
        return [flag] if known.returncode == 0 else []


def _text(key: str) -> str:
    return base64.b64encode(key.encode()).decode()


def _end(prefix: str) -> str:
    """The first key after all those with this prefix."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
