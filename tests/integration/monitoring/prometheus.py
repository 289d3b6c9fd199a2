"""A real Prometheus that scrapes what a test names, and its promtool."""

from __future__ import annotations

import asyncio
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from tests.controlplane.ports import free_port
from tests.controlplane.process import ServerProcess
from tests.eventually import eventually

Result = list[dict[str, Any]]


def promtool(*arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run promtool to its end."""
    return subprocess.run(
        ["promtool", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@dataclass
class Prometheus:
    """One Prometheus in a folder of its own; use as an async context manager.

    ``job`` is the scrape's configuration beside its name and interval.
    """

    folder: Path
    job: dict[str, Any]

    async def __aenter__(self) -> Self:
        port = free_port()
        self._url = f"http://127.0.0.1:{port}"
        config = self.folder / "prometheus.yml"
        scrape = {"job_name": "lightkeeper", "scrape_interval": "1s", **self.job}
        config.write_text(json.dumps({"scrape_configs": [scrape]}))  # JSON is YAML
        command = [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={self.folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        self._process = await asyncio.to_thread(
            ServerProcess, "prometheus", command, self.folder / "prometheus.log"
        )
        await eventually(self._is_ready, within=60, what="Prometheus")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self._process.kill)

    async def query(self, expression: str) -> Result:
        """Evaluate an expression now; AssertionError with Prometheus' words when it cannot."""
        answer = await self._get("/api/v1/query", query=expression)
        assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
        result: Result = answer["data"]["result"]
        return result

    async def scraped(self, expression: str = 'up{job="lightkeeper"} == 1') -> Result:
        """Wait until an expression has a result, by default until a scrape went well."""

        async def found() -> Result:
            self._process.check()
            return await self.query(expression)

        try:
            result: Result = await eventually(found, within=60, what=expression)
        except AssertionError as error:
            targets = await self._get("/api/v1/targets")
            reasons = [target["lastError"] for target in targets["data"]["activeTargets"]]
            raise AssertionError(f"{error}; scrapes: {reasons}") from error
        return result

    async def _is_ready(self) -> bool:
        self._process.check()
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"{self._url}/-/ready") as response,
            ):
                return response.status == 200
        except aiohttp.ClientConnectorError:
            return False

    async def _get(self, path: str, **parameters: str) -> dict[str, Any]:
        timeout = aiohttp.ClientTimeout(total=30)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"{self._url}{path}", params=parameters) as response,
        ):
            answer: dict[str, Any] = await response.json()
            return answer
