"""The transport: what the client needs to send requests to an API server.

Three calls and no policy. Limits, permits, the meaning of a status and the errors of the operator are the
client's (:mod:`tripswitch.cluster.client`). The operator uses the one over HTTP
(:mod:`tripswitch.cluster.http_transport`), its simulation an API server in memory.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

JSON = "application/json"

Decode = Callable[[bytes], object]
"""Decodes JSON; raises ValueError for what is none."""

Body = Any
"""What a request sends: a mapping, or the list of operations of a JSON patch."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How a list (or a page of one) and a line of a watch are decoded; by default with all fields.

    ``limit`` is how many objects a page has at most.
    """

    page: Decode = json.loads
    event: Decode = json.loads
    limit: int = 100


WHOLE = Shape()


@dataclass(frozen=True, slots=True)
class Call:
    """One request: method, path, query, accepted type, body and the body's type.

    ``decode`` is for the answer, or for each line of a watch. A refusal is decoded as it is.
    """

    method: str
    path: str
    query: Mapping[str, str]
    accept: str = JSON
    body: Body | None = None
    content_type: str = JSON
    decode: Decode = json.loads

    def __str__(self) -> str:
        """Return how messages name it.

        >>> str(Call("GET", "/api/v1/pods", {"watch": "1"}))
        'GET /api/v1/pods'
        """
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    ``body`` is decoded JSON, or text: of a log, and of a refusal that is not JSON. ``date`` and
    ``retry_after`` are the headers of these names.
    """

    status: int
    body: object = None
    date: str | None = None
    retry_after: str | None = None


@dataclass(frozen=True, slots=True)
class Stream:
    """A watch: how the server answered, and the decoded events until the server closes it.

    Closing ``events`` closes the connection. A refused watch has no events, and the refusal is the
    answer's body.
    """

    answer: Answer
    events: AsyncGenerator[object, None]


class Transport(Protocol):
    """Carries calls to one API server.

    Every call raises :class:`~tripswitch.cluster.errors.UnreachableError` if no answer came, or one that
    makes no sense, or if it was not complete in time; events of a stream do so, too.
    """

    async def request(self, call: Call, *, seconds: float) -> Answer:
        """Return the answer, complete after at most ``seconds``; its body is decoded JSON."""

    async def read_text(self, call: Call, *, seconds: float) -> Answer:
        """Return the answer, complete after at most ``seconds``; its body is text."""

    async def stream(self, call: Call, *, open_seconds: float, stall_seconds: float) -> Stream:
        """Return the stream once the server has answered.

        Args:
            call: With the watch's parameters.
            open_seconds: Longest time for opening the connection.
            stall_seconds: Longest time in which the server may be silent.
        """

    async def close(self) -> None:
        """Close all connections."""
