"""Each thing that can be done about a failed request has one error, whatever the server sent."""

from __future__ import annotations

import pytest

from tripswitch.cluster.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    NotFoundError,
    ThrottledError,
    UnauthorizedError,
    UnreachableError,
    error_from,
)


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        (400, "BadRequest", InvalidError),
        (401, "Unauthorized", UnauthorizedError),
        (403, "Forbidden", ForbiddenError),
        (404, "NotFound", NotFoundError),
        (409, "Conflict", ConflictError),
        (409, "AlreadyExists", AlreadyExistsError),
        (410, "Expired", GoneError),
        (413, "RequestEntityTooLarge", InvalidError),
        (422, "Invalid", InvalidError),
        (429, "TooManyRequests", ThrottledError),
        (500, "InternalError", UnreachableError),
        (503, "ServiceUnavailable", UnreachableError),
        (504, "Timeout", UnreachableError),
        (418, "Teapot", UnreachableError),
    ],
)
def test_a_status_becomes_its_error(status: int, reason: str, expected: type[ApiError]) -> None:
    error = error_from(status, {"kind": "Status", "reason": reason, "message": "the words"})
    assert type(error) is expected
    assert (str(error), error.status) == ("the words", status)


@pytest.mark.parametrize(
    "body", [None, [], "", {}, {"message": None}, {"details": 7}, "Bad Gateway"]
)
def test_any_body_will_do(body: object) -> None:
    assert str(error_from(502, body)) in ("HTTP status 502", "Bad Gateway")


@pytest.mark.parametrize(
    ("body", "header", "seconds"),
    [
        ({"details": {"retryAfterSeconds": 7}}, None, 7.0),
        ({}, "3", 3.0),
        ({}, None, 1.0),
        ({"details": {"retryAfterSeconds": "soon"}}, "tomorrow", 1.0),
        ({"details": {"retryAfterSeconds": -5}}, None, 0.0),
    ],
)
def test_a_throttled_request_knows_when_to_come_back(
    body: object, header: str | None, seconds: float
) -> None:
    error = error_from(429, body, header)
    assert isinstance(error, ThrottledError)
    assert error.retry_after == seconds
