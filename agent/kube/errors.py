"""What an API server, or the way to it, can answer other than yes.

::

    KubeError
    ├── AuthError          no usable kubeconfig, credential plug-in failed
    ├── TransportError     no connection, no answer within the deadline, a broken answer
    ├── LostLease          fence: a write was not sent, another replica may be the writer now
    └── ApiError           the server answered with a Status
        ├── BadRequest 400   ├── Unauthorized 401   ├── Forbidden 403   ├── NotFound 404
        ├── Conflict 409     │   └── AlreadyExists
        ├── Gone 410         ├── Invalid 422        ├── TooManyRequests 429
        └── ServerError 5xx
"""

from __future__ import annotations

from typing import Any

import msgspec

from agent.errors import AgentError

RETRIED = frozenset({429, 503})
"""What is sent again after its Retry-After: the server refused it before it did anything."""

_MESSAGE_LIMIT = 1000  # an admission webhook may answer with a page of HTML


class KubeError(AgentError):
    """The API server could not be asked, or said no."""

    retryable = True


class AuthError(KubeError):
    """There is no usable way to authenticate: kubeconfig, plug-in or service account."""

    retryable = False


class TransportError(KubeError):
    """No connection, no answer within the deadline, or an answer that is not Kubernetes'."""


class ApiError(KubeError):
    """The server's Status: HTTP ``status``, machine-readable ``reason``, human ``message``.

    ``retry_after`` is in seconds, None when the server did not say. ``request`` is method and
    path, without query and credentials. ``fields`` are the paths that the server complains of.
    ``is_status`` is false for an answer that is no Status: it was given before anything knew what
    was asked for. The message may quote what was sent: ``without_values`` is for objects that hold
    secrets.
    """

    retryable = False

    def __init__(
        self,
        *,
        status: int,
        reason: str,
        message: str,
        request: str,
        retry_after: float | None = None,
        fields: tuple[str, ...] = (),
        is_status: bool = True,
    ) -> None:
        super().__init__(f"{message} ({status} {reason}, {request})")
        self.is_status = is_status
        self.status = status
        self.reason = reason
        self.message = message
        self.request = request
        self.retry_after = retry_after
        self.fields = fields

    @property
    def is_overload(self) -> bool:
        """Whether the server refuses requests as such, and not this one for what it asks for.

        Its filters (max-in-flight, priority and fairness, shutdown) and proxies before it answer
        in plain text; a Status comes from behind them, e.g. of a kind that is being set up. Which
        server that is, of several aggregated ones, the request tells.
        """
        return self.status in RETRIED and self.retry_after is not None and not self.is_status

    def without_values(self) -> str:
        """Say what is wrong without the server's words, which quote the object."""
        fields = ", ".join(self.fields) or "see the API server's answer to kubectl apply"
        return (
            f"refused by the API server: {self.status} {self.reason} ({self.request}): {fields}; "
            "its message is not shown because it may quote the Secret"
        )


class BadRequest(ApiError):
    """400: the request itself is wrong, or a webhook cannot dry-run."""


class Unauthorized(ApiError):
    """401: the credential is missing, expired or unknown to the server."""

    retryable = True


class Forbidden(ApiError):
    """403: RBAC, admission or a quota says no."""


class NotFound(ApiError):
    """404: the object, its namespace or its kind does not exist."""


class Conflict(ApiError):
    """409: a precondition (UID, resourceVersion) no longer holds."""

    retryable = True


class AlreadyExists(Conflict):
    """409 on create: somebody has made the object in the meantime."""


class Gone(ApiError):
    """410: the resourceVersion is too old; list again."""

    retryable = True


class Invalid(ApiError):
    """422: validation failed, or an immutable field would change."""


class TooManyRequests(ApiError):
    """429: the server asks for fewer requests, or a disruption budget forbids the delete."""

    retryable = True


class ServerError(ApiError):
    """5xx: the server or something behind it (webhook, etcd, aggregated API) failed."""

    retryable = True


_BY_STATUS: dict[int, type[ApiError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: TooManyRequests,
}


def from_response(
    *, status: int, body: bytes, request: str, retry_after: str | None = None
) -> ApiError:
    """Make the fitting error of an HTTP answer whose status is 400 or more."""
    answer = _decode_status(body)
    reason = str(answer.get("reason") or f"HTTP{status}")
    message = str(answer.get("message") or body[:_MESSAGE_LIMIT].decode("utf-8", "replace")).strip()
    return _class_of(status, reason)(
        status=status,
        reason=reason,
        message=message[:_MESSAGE_LIMIT] or "no message",
        request=request,
        retry_after=_seconds(retry_after, answer),
        fields=_fields(answer),
        is_status=answer.get("kind") == "Status",
    )


def from_status(answer: dict[str, Any], *, request: str) -> ApiError:
    """Make the fitting error of a Status object, as a watch's ERROR event carries it."""
    code = answer.get("code")
    status = code if isinstance(code, int) and code >= 400 else 500
    return from_response(status=status, body=msgspec.json.encode(answer), request=request)


def _class_of(status: int, reason: str) -> type[ApiError]:
    if reason == "AlreadyExists":
        return AlreadyExists
    return _BY_STATUS.get(status, ServerError if status >= 500 else ApiError)


def _decode_status(body: bytes) -> dict[str, Any]:
    try:
        answer = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _fields(answer: dict[str, Any]) -> tuple[str, ...]:
    details = answer.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    found = (cause.get("field") for cause in causes or () if isinstance(cause, dict))
    return tuple(str(field) for field in found if field)


def _seconds(header: str | None, answer: dict[str, Any]) -> float | None:
    details = answer.get("details")
    value = header or (details.get("retryAfterSeconds") if isinstance(details, dict) else None)
    try:
        return max(0.0, float(value)) if value else None
    except (ValueError, TypeError):
        return None
