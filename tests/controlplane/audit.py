"""What clients asked of the API server, read from its audit log.

The log holds two lines a request: ``RequestReceived``, written before the server answers, and
``ResponseComplete``, written just after. A request is therefore always in the log when its client
has the answer, but its response code may lag behind: :meth:`AuditLog.requests` waits for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.controlplane.process import Deadline

POLICY: Mapping[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["ResponseStarted"],
    "rules": [
        # The server talks to itself a lot.
        {"level": "None", "users": ["system:apiserver"]},
        {"level": "Metadata"},
    ],
}

_LONG_RUNNING = frozenset({"watch", "connect", "proxy"})


@dataclass(frozen=True, slots=True)
class Request:
    """One request a client made. Fields that do not apply are empty strings.

    ``verb`` is Kubernetes' (``get list watch create update patch delete deletecollection``), or
    HTTP's in lower case outside the API's resources. ``code`` is None until the response is
    complete, which was at ``answered_at`` (Unix seconds): for a watch, until it ends; it is 500
    also for a request that its client gave up, as an agent that stops does. ``allowed_by`` is the
    authorizer's reason, such as ``RBAC: allowed by RoleBinding "a/ns" of Role "a" to
    ServiceAccount "a/ns"``.
    """

    verb: str
    uri: str
    user: str
    user_agent: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int | None
    answered_at: float | None = None
    allowed_by: str = ""

    @property
    def query(self) -> dict[str, str]:
        """The URI's query parameters, such as ``dryRun`` or ``fieldManager``."""
        return dict(parse_qsl(urlsplit(self.uri).query, keep_blank_values=True))


class AuditLog:
    """The audit log of an API server, across its restarts.

    Requests with ``hidden_agent`` as their user agent are the test's own and are never returned.
    """

    def __init__(self, path: Path, hidden_agent: str) -> None:
        self._path = path
        self._hidden_agent = hidden_agent
        self._cut_off = 0

    def mark(self) -> int:
        """A place in the log; requests made later come after it."""
        return self._path.stat().st_size if self._path.exists() else 0

    def server_killed(self) -> None:
        """Note that requests unanswered so far stay unanswered."""
        self._cut_off = self.mark()

    def requests(self, since: int = 0, *, timeout: float = 10.0) -> list[Request]:
        """Requests made since a mark, oldest first, each with its response code.

        Waits up to ``timeout`` seconds for those still being answered, watches aside, and raises
        :class:`TimeoutError` naming them.
        """
        deadline = Deadline(timeout)
        while unanswered := self._unanswered(events := self._events(since)):
            if not deadline.wait_a_moment():
                raise TimeoutError(f"no answer after {timeout} s to: {', '.join(unanswered)}")
        return [_request(stages) for stages in events.values()]

    def _unanswered(self, events: Mapping[str, list[dict[str, Any]]]) -> list[str]:
        return [
            f"{stages[0]['verb']} {stages[0]['requestURI']}"
            for stages in events.values()
            if not _answered(stages) and stages[0]["offset"] >= self._cut_off
        ]

    def _events(self, since: int) -> dict[str, list[dict[str, Any]]]:
        """The log's lines after a mark, by request."""
        requests: dict[str, list[dict[str, Any]]] = {}
        for offset, event in self._lines(since):
            if event.get("userAgent") == self._hidden_agent:
                continue
            stages = requests.setdefault(event["auditID"], [])
            # A response whose request came before the mark belongs to the other side of it.
            if stages or event["stage"] == "RequestReceived":
                stages.append({**event, "offset": offset})
        return {audit_id: stages for audit_id, stages in requests.items() if stages}

    def _lines(self, since: int) -> Iterable[tuple[int, dict[str, Any]]]:
        if not self._path.exists():
            return
        with self._path.open("rb") as log:
            offset = log.seek(since)
            for line in log:
                if not line.endswith(b"\n"):
                    return  # still being written
                yield offset, json.loads(line)
                offset += len(line)


def _answered(stages: list[dict[str, Any]]) -> bool:
    return stages[0]["verb"] in _LONG_RUNNING or len(stages) > 1


def _request(stages: list[dict[str, Any]]) -> Request:
    event, is_answered = stages[-1], len(stages) > 1
    target = event.get("objectRef", {})
    return Request(
        verb=event["verb"],
        uri=event["requestURI"],
        user=event.get("user", {}).get("username", ""),
        user_agent=event.get("userAgent", ""),
        group=target.get("apiGroup", ""),
        resource=target.get("resource", ""),
        subresource=target.get("subresource", ""),
        namespace=target.get("namespace", ""),
        name=target.get("name", ""),
        code=event["responseStatus"]["code"] if is_answered else None,
        answered_at=_unix(event["stageTimestamp"]) if is_answered else None,
        allowed_by=event.get("annotations", {}).get("authorization.k8s.io/reason", ""),
    )


def _unix(rfc3339: str) -> float:
    return datetime.fromisoformat(rfc3339).timestamp()
