"""Which error an answer of the API server becomes."""

from __future__ import annotations

import json

import pytest

from agent.kube import errors


def status(code: int, reason: str, message: str = "no", **details: int) -> bytes:
    body = {"kind": "Status", "code": code, "reason": reason, "message": message}
    return json.dumps({**body, "details": details}).encode()


@pytest.mark.parametrize(
    ("code", "reason", "kind", "retryable"),
    [
        (400, "BadRequest", errors.BadRequest, False),
        (401, "Unauthorized", errors.Unauthorized, True),
        (403, "Forbidden", errors.Forbidden, False),
        (404, "NotFound", errors.NotFound, False),
        (405, "MethodNotAllowed", errors.ApiError, False),
        (409, "Conflict", errors.Conflict, True),
        (409, "AlreadyExists", errors.AlreadyExists, True),
        (410, "Expired", errors.Gone, True),
        (422, "Invalid", errors.Invalid, False),
        (429, "TooManyRequests", errors.TooManyRequests, True),
        (500, "InternalError", errors.ServerError, True),
        (503, "ServiceUnavailable", errors.ServerError, True),
    ],
)
def test_the_status_decides(
    code: int, reason: str, kind: type[errors.ApiError], retryable: bool
) -> None:
    error = errors.from_response(status=code, body=status(code, reason), request="GET /x")
    assert type(error) is kind
    assert error.retryable is retryable
    assert str(error) == f"no ({code} {reason}, GET /x)"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'"x"', b'{"message": null}'])
def test_an_answer_that_is_no_status_is_still_an_error(body: bytes) -> None:
    error = errors.from_response(status=502, body=body, request="GET /x")
    assert isinstance(error, errors.ServerError)
    assert error.reason == "HTTP502"
    assert error.message


def test_a_page_of_html_is_cut() -> None:
    error = errors.from_response(status=502, body=b"x" * 100_000, request="GET /x")
    assert len(error.message) == 1000


@pytest.mark.parametrize(
    ("header", "body", "seconds"),
    [
        ("3", b"", 3.0),
        (None, status(429, "TooManyRequests", retryAfterSeconds=2), 2.0),
        (None, status(429, "TooManyRequests"), None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", b"", None),
    ],
)
def test_retry_after_is_read_where_it_is(
    header: str | None, body: bytes, seconds: float | None
) -> None:
    error = errors.from_response(status=429, body=body, request="x", retry_after=header)
    assert error.retry_after == seconds
