"""The one seam to the API server: every request of every resource goes through here.

Below it is the official asynchronous client, used only as the owner of connections and
credentials: bodies are plain dicts, statuses are checked here (its raw calls do not raise on 4xx and
5xx), and every request has a time-out.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, Protocol, Self

import aiohttp
from aiohttp.http import HttpProcessingError
from kubernetes.aio.client import ApiClient

from tripswitch.cluster.credentials import Credentials
from tripswitch.cluster.errors import (
    ApiError,
    NotLeadingError,
    UnauthorizedError,
    UnreachableError,
    error_from,
)
from tripswitch.cluster.resources import FIELD_MANAGER, describe_request

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

PAGE = "100"

REQUEST_SECONDS = 20.0
"""Longest time for one request. The API server's own limit is 60 s; nobody should wait that long."""

MAX_REQUESTS = 64
"""So many requests at the same time, streams aside; more would only queue up in the API server."""

Permit = Callable[[], float]
"""Returns for how many seconds from now writes may be under way; 0 or less: none may begin."""

Observer = Callable[[str, str, str], None]
"""Called with verb, resource and HTTP status of every request; "0" when there was no answer."""


class Heard(Protocol):
    """Called with the end of every request."""

    def __call__(self, *, stored: bool, answered: bool, seconds: float, date: str | None) -> None:
        """Take what it says about the server.

        Args:
            stored: Whether it needed the server's storage: every request but a watch.
            answered: Whether a working API server answered, also if it refused.
            seconds: How long that took.
            date: The answer's ``Date``, None without an answer.
        """


_UNANSWERED = frozenset({0, 502, 503, 504})
"""HTTP statuses that do not come from a working API server; 0: there was no answer."""

_BROKEN = (aiohttp.ClientError, HttpProcessingError, OSError, TimeoutError, ValueError)


def _always() -> float:
    return math.inf


class Client:
    """Requests and watch streams on one API server.

    Args:
        credentials: Where it is, and who we are.
        observe: Told of every request.
        permit: Asked right before every write.
        agent: The name in the server's audit log, after ours.
        seconds: Longest time for one request.
        heard: Told what every request says about the server.
    """

    def __init__(
        self,
        credentials: Credentials,
        observe: Observer | None = None,
        *,
        permit: Permit = _always,
        agent: str = "",
        seconds: float = REQUEST_SECONDS,
        heard: Heard | None = None,
    ) -> None:
        self._credentials = credentials
        self._observe = observe
        self._heard = heard
        self._permit = permit
        self._seconds = seconds
        self._slots = asyncio.Semaphore(MAX_REQUESTS)
        self._api: Any = ApiClient(credentials.configuration)
        self._api.user_agent = f"{FIELD_MANAGER}/{agent}" if agent else FIELD_MANAGER

    async def __aenter__(self) -> Self:
        """Use it and close it."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        await self._api.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> dict[str, Any]:
        """Send one request and return the decoded answer.

        Writes carry our field manager's name. A time-out or a broken connection of a write leaves
        open whether the server did it: the next look at the object tells. A write is given up when
        the time is over in which it is permitted.

        Raises:
            ApiError: The subclass says what happened.
        """
        if method not in ("GET", "DELETE"):
            query = {**(query or {}), "fieldManager": FIELD_MANAGER}
        headers = {"Accept": accept, "Content-Type": content_type}
        async with self._slots:
            seconds = self._seconds if method == "GET" else min(self._seconds, self._permit())
            if seconds <= 0:
                raise NotLeadingError(f"{method} {path}: not sent, another process may lead")
            timeout = aiohttp.ClientTimeout(total=seconds)
            response = await self._send(method, path, query or {}, headers, body, timeout)
            try:
                answer = json.loads(await response.read())
            except _BROKEN as error:
                raise UnreachableError(f"{method} {path}: broken answer: {error!r}") from error
            finally:
                response.release()
        if not isinstance(answer, dict):
            raise UnreachableError(f"{method} {path}: the answer is not an object")
        return answer

    async def read_text(self, path: str, query: Mapping[str, str], *, seconds: float) -> str:
        """Read what is no JSON: a log.

        Raises:
            ApiError: The subclass says what happened; the kubelet's refusals come as InvalidError.
        """
        timeout = aiohttp.ClientTimeout(total=seconds)
        response = await self._send("GET", path, query, {"Accept": "*/*"}, None, timeout)
        try:
            return (await response.read()).decode(errors="replace")
        except _BROKEN as error:
            raise UnreachableError(f"GET {path}: broken answer: {error!r}") from error
        finally:
            response.release()

    async def pages(
        self, path: str, query: Mapping[str, str] | None = None, *, accept: str = JSON
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Yield a collection page by page, all of one and the same version.

        Raises:
            GoneError: It took so long that the server has forgotten that version.
            ApiError: A page could not be had.
        """
        asked = {**(query or {}), "limit": PAGE}
        while True:
            page = await self.request("GET", path, query=asked, accept=accept)
            yield page
            metadata = page.get("metadata")
            more = metadata.get("continue") if isinstance(metadata, dict) else None
            if not more:
                return
            asked["continue"] = str(more)

    async def stream(
        self, path: str, query: Mapping[str, str], *, stall_seconds: float
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Yield the events of a watch until the server closes it.

        Args:
            path: Of the collection.
            query: The watch's parameters; ``watch`` itself is added.
            stall_seconds: How long the server may be silent before the stream counts as dead.

        Raises:
            ApiError: It could not be opened, broke, or stalled.
        """
        timeout = aiohttp.ClientTimeout(sock_connect=REQUEST_SECONDS, sock_read=stall_seconds)
        query = {**query, "watch": "1"}
        response = await self._send("GET", path, query, {"Accept": JSON}, None, timeout)
        try:
            async for line in response.content:
                event = json.loads(line)
                if not isinstance(event, dict):
                    raise UnreachableError(f"watch {path}: an event is not an object")
                yield event
        except _BROKEN as error:
            raise UnreachableError(f"watch {path}: {error!r}") from error
        finally:
            response.close()

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: dict[str, str],
        body: Mapping[str, Any] | None,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - the client's own, for one request
    ) -> aiohttp.ClientResponse:
        """Open a response with a good status; raise for all others, and count both."""
        verb, resource = describe_request(method, path, watch="watch" in query)
        began = asyncio.get_running_loop().time()
        try:
            prepared = await self._api.param_serialize(
                method,
                path,
                query_params=list(query.items()),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
            )
            sent = await self._api.call_api(*prepared, _request_timeout=timeout)
            response: aiohttp.ClientResponse = sent.response
            error = None if response.status < 400 else await _read_error(response)
            if error is not None:
                error.request = f"{method} {path}"
        except _BROKEN as broken:
            self._count(verb, resource, 0)
            self._tell(query, began, None, UnreachableError(""))
            raise UnreachableError(f"{method} {path}: {broken!r}") from broken
        self._count(verb, resource, response.status)
        self._tell(query, began, response.headers.get("Date"), error)
        if error is None:
            return response
        if isinstance(error, UnauthorizedError):
            await self._credentials.load()  # for the next try
        raise error

    def _tell(
        self, query: Mapping[str, str], began: float, date: str | None, error: ApiError | None
    ) -> None:
        if self._heard is not None:
            seconds = asyncio.get_running_loop().time() - began
            answered = error is None or not is_unanswered(error)
            stored = "watch" not in query
            self._heard(stored=stored, answered=answered, seconds=seconds, date=date)

    def _count(self, verb: str, resource: str, status: int) -> None:
        if self._observe is not None:
            self._observe(verb, resource, str(status))


def is_unanswered(error: ApiError) -> bool:
    """Return whether an error means that no working API server with its storage was reached.

    >>> is_unanswered(UnreachableError("etcdserver: request timed out", status=500))
    True
    >>> is_unanswered(UnreachableError("failed calling webhook", status=500))
    False
    """
    return error.status in _UNANSWERED or (error.status == 500 and "etcdserver" in str(error))


async def _read_error(response: aiohttp.ClientResponse) -> ApiError:
    text = (await response.read()).decode(errors="replace")
    try:
        body: object = json.loads(text)
    except ValueError:
        body = text
    return error_from(response.status, body, response.headers.get("Retry-After"))
