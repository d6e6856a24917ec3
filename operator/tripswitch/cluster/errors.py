"""What can go wrong between us and the API server: one class for each thing done about it.

Every error keeps the server's own words, because people will read them in a condition or a log.
"""

from __future__ import annotations

from typing import Any

from tripswitch.api.text import clean


class ApiError(Exception):
    """The API server did not do what was asked.

    ``status`` is the HTTP status, 0 without an answer. ``request`` is the method and path of the request
    that was refused, empty where the message has them.
    """

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.request = ""

    def describe(self) -> str:
        """Return the request and what the server said about it, for a log."""
        return f"{self.request}: {self}" if self.request else str(self)


class UnauthorizedError(ApiError):
    """401: the credentials are no longer good."""


class ForbiddenError(ApiError):
    """403: RBAC, a quota or an admission controller says no."""


class NotFoundError(ApiError):
    """404: the object (or its whole kind) is not there."""


class ConflictError(ApiError):
    """409: the object is not the version, or not the object, that was looked at."""


class AlreadyExistsError(ApiError):
    """409 on create: the name is taken."""


class GoneError(ApiError):
    """410: the version to go on from is too old; list again."""


class InvalidError(ApiError):
    """400, 413, 415 or 422: the server judges the request itself; the same one fails again."""


class ThrottledError(ApiError):
    """429: too many requests. ``retry_after`` is in seconds."""

    def __init__(self, message: str, *, status: int = 0, retry_after: float = 1.0) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after


class UnreachableError(ApiError):
    """No answer, an answer that makes no sense, or a 5xx: a write may or may not have been applied."""


class NotLeadingError(ApiError):
    """Nothing was sent: this process may not write, or not any more."""


_BY_STATUS: dict[int, type[ApiError]] = {
    400: InvalidError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    413: InvalidError,
    415: InvalidError,
    422: InvalidError,
}


def error_from(status: int, body: object, retry_after: str | None = None) -> ApiError:
    """Return the error that an answer of the API server means.

    Args:
        status: The HTTP status, or the ``code`` of a ``Status`` object in a watch stream.
        body: The decoded ``Status`` object if there was one, else the text that came instead.
        retry_after: The header of that name.
    """
    answer: dict[str, Any] = body if isinstance(body, dict) else {}
    words = answer.get("message") or (body if isinstance(body, str) else "")
    message = clean(str(words)).strip()[:1024] or f"HTTP status {status}"
    if status == 409 and answer.get("reason") == "AlreadyExists":
        return AlreadyExistsError(message, status=status)
    if status == 429:
        seconds = _seconds(answer, retry_after)
        return ThrottledError(message, status=status, retry_after=seconds)
    return _BY_STATUS.get(status, UnreachableError)(message, status=status)


def _seconds(answer: dict[str, Any], retry_after: str | None) -> float:
    details = answer.get("details")
    asked = details.get("retryAfterSeconds") if isinstance(details, dict) else None
    try:
        return max(0.0, float(asked if asked is not None else retry_after or 1.0))
    except (TypeError, ValueError):
        return 1.0
