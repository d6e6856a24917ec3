"""The one seam to the API server: every request of every resource goes through here.

The client is policy: how many requests at a time, which writes are permitted, how long each may take, and which
error an answer means. A transport carries the calls.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, Protocol, Self, TypeVar

from tripswitch.api.identity import FIELD_MANAGER
from tripswitch.cluster.errors import ApiError, NotLeadingError, UnreachableError, error_from
from tripswitch.cluster.resources import describe_request
from tripswitch.cluster.transport import JSON, WHOLE, Answer, Body, Call, Shape, Stream, Transport

MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

REQUEST_SECONDS = 20.0
"""Longest time for one request. The API server's own limit is 60 s; nobody should wait that long."""

MAX_REQUESTS = 64
"""The most requests at the same time, without streams; more would only queue up in the API server."""

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


_Came = TypeVar("_Came", Answer, Stream)

_UNANSWERED = frozenset({0, 502, 503, 504})
"""HTTP statuses that do not come from a working API server; 0: there was no answer."""


def _always() -> float:
    return math.inf


class Client:
    """Requests and watch streams on one API server.

    Args:
        transport: What carries them. It is closed with the client.
        observe: Told of every request.
        permit: Asked right before every write.
        seconds: Longest time for one request.
        heard: Told what every request says about the server.
    """

    def __init__(
        self,
        transport: Transport,
        observe: Observer | None = None,
        *,
        permit: Permit = _always,
        seconds: float = REQUEST_SECONDS,
        heard: Heard | None = None,
    ) -> None:
        self._transport = transport
        self._observe = observe
        self._heard = heard
        self._permit = permit
        self._seconds = seconds
        self._slots = asyncio.Semaphore(MAX_REQUESTS)

    async def __aenter__(self) -> Self:
        """Use it and close it."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        await self._transport.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Body | None = None,
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
        query = query or {}
        if method not in ("GET", "DELETE"):
            query = {**query, "fieldManager": FIELD_MANAGER}
        return await self._send(Call(method, path, query, accept, body, content_type))

    async def read_text(self, path: str, query: Mapping[str, str], *, seconds: float) -> str:
        """Read what is no JSON: a log.

        Raises:
            ApiError: The subclass says what happened; the kubelet's refusals come as InvalidError.
        """
        call = Call("GET", path, query, "*/*")
        answer = await self._judge(call, self._transport.read_text(call, seconds=seconds))
        return str(answer.body)

    async def pages(
        self,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        accept: str = JSON,
        shape: Shape = WHOLE,
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Yield a collection page by page, all of one and the same version.

        The next page is under way while one is read: server and reader work at the same time.

        Raises:
            GoneError: It took so long that the server has forgotten that version.
            ApiError: A page could not be had.
        """
        asked = {**(query or {}), "limit": str(shape.limit)}

        def ask() -> asyncio.Task[dict[str, Any]]:
            call = Call("GET", path, dict(asked), accept, decode=shape.page)
            return asyncio.create_task(self._send(call))

        coming: asyncio.Task[dict[str, Any]] | None = ask()
        try:
            while coming is not None:
                page = await coming
                metadata = page.get("metadata")
                more = metadata.get("continue") if isinstance(metadata, dict) else None
                coming = None
                if more:
                    asked["continue"] = str(more)
                    coming = ask()
                    await asyncio.sleep(0)  # the request is sent before the reader begins
                yield page
        finally:
            if coming is not None:
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)

    async def stream(
        self,
        path: str,
        query: Mapping[str, str],
        *,
        stall_seconds: float,
        shape: Shape = WHOLE,
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Yield the events of a watch until the server closes it.

        Args:
            path: Of the collection.
            query: The watch's parameters; ``watch`` itself is added.
            stall_seconds: How long the server may be silent before the stream counts as dead.
            shape: How each line is decoded.

        Raises:
            ApiError: It could not be opened, broke, or stalled.
        """
        call = Call("GET", path, {**query, "watch": "1"}, decode=shape.event)
        opening = self._transport.stream(
            call, open_seconds=REQUEST_SECONDS, stall_seconds=stall_seconds
        )
        stream = await self._judge(call, opening)
        async with aclosing(stream.events) as events:
            try:
                async for event in events:
                    yield _expect_object(event)
            except UnreachableError as error:
                raise UnreachableError(f"watch {path}: {error}") from error

    async def _send(self, call: Call) -> dict[str, Any]:
        async with self._slots:
            seconds = self._seconds if call.method == "GET" else min(self._seconds, self._permit())
            if seconds <= 0:
                raise NotLeadingError(
                    f"{call}: not sent, because another process may be the leader"
                )
            answer = await self._judge(call, self._transport.request(call, seconds=seconds))
        if not isinstance(answer.body, dict):
            raise UnreachableError(f"{call}: the answer is not a JSON object")
        return answer.body

    async def _judge(self, call: Call, sending: Awaitable[_Came]) -> _Came:
        """Return what came back if its status is good; raise for all others, and count both."""
        verb, resource = describe_request(call.method, call.path, watch="watch" in call.query)
        began = asyncio.get_running_loop().time()
        try:
            came = await sending
        except ApiError as error:
            self._count(verb, resource, error.status)
            self._tell(call, began, None, error)
            if isinstance(error, UnreachableError):
                raise UnreachableError(f"{call}: {error}") from error
            raise
        answer = came.answer if isinstance(came, Stream) else came
        refusal = error_from(answer.status, answer.body, answer.retry_after)
        refused = answer.status >= 400
        self._count(verb, resource, answer.status)
        self._tell(call, began, answer.date, refusal if refused else None)
        if not refused:
            return came
        refusal.request = str(call)
        raise refusal

    def _tell(self, call: Call, began: float, date: str | None, error: ApiError | None) -> None:
        if self._heard is not None:
            seconds = asyncio.get_running_loop().time() - began
            answered = error is None or not is_unanswered(error)
            stored = "watch" not in call.query
            self._heard(stored=stored, answered=answered, seconds=seconds, date=date)

    def _count(self, verb: str, resource: str, status: int) -> None:
        if self._observe is not None:
            self._observe(verb, resource, str(status))


def _expect_object(decoded: object) -> dict[str, Any]:
    if not isinstance(decoded, dict):
        raise UnreachableError("the answer is not a JSON object")
    return decoded


def is_unanswered(error: ApiError) -> bool:
    """Return whether an error means that no working API server with its storage was reached.

    >>> is_unanswered(UnreachableError("etcdserver: request timed out", status=500))
    True
    >>> is_unanswered(UnreachableError("failed calling webhook", status=500))
    False
    """
    return error.status in _UNANSWERED or (error.status == 500 and "etcdserver" in str(error))
