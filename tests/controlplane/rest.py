"""The administrator's own requests to the API server: plain, synchronous, JSON in and out."""

from __future__ import annotations

import json
import ssl
import urllib.request
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

USER_AGENT = "lightkeeper-controlplane"
"""Marks the requests made here; the audit log's readers leave them out."""

MERGE_PATCH = "application/merge-patch+json"


class RequestError(Exception):
    """The API server answered with an error; ``code`` is HTTP's."""

    def __init__(self, method: str, path: str, code: int, answer: str) -> None:
        self.code = code
        super().__init__(f"{method} {path}: HTTP {code}: {answer}")


class RestClient:
    """Requests with the administrator's token. A new connection each: it survives restarts."""

    def __init__(self, url: str, ca: Path, token: str) -> None:
        self._url = url
        self._tls = ssl.create_default_context(cafile=str(ca))
        self._headers = {
            "Authorization": f"Bearer {token}",
            "User-Agent": USER_AGENT,
            "Accept": "application/json",
        }

    def text(
        self, method: str, path: str, body: Any = None, *, content_type: str = "application/json"
    ) -> str:
        """Make one request and return the answer's body.

        Raises :class:`RequestError` for a status of 400 and more, OSError when nobody answers.
        """
        request = urllib.request.Request(
            self._url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={**self._headers, "Content-Type": content_type},
        )
        try:
            with urllib.request.urlopen(request, timeout=30, context=self._tls) as response:
                return str(response.read().decode())
        except HTTPError as error:
            with error:
                answer = error.read().decode(errors="replace")
            raise RequestError(method, path, error.code, answer) from error

    def json(
        self, method: str, path: str, body: Any = None, *, content_type: str = "application/json"
    ) -> dict[str, Any]:
        """Like :meth:`text`, for answers that are objects."""
        answer: dict[str, Any] = json.loads(
            self.text(method, path, body, content_type=content_type)
        )
        return answer
