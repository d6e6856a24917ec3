"""A scripted API server: real HTTP on loopback, at the seam where the real one would be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.unit.cluster.memory_transport import open_stream
from tripswitch.api.tolerant import field, read_version
from tripswitch.cluster.client import Client, Observer
from tripswitch.cluster.credentials import Credentials
from tripswitch.cluster.http_transport import HttpTransport

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def answer(body: object, status: int = 200, **headers: str) -> web.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.json_response(body, status=status, headers=named)


def refuse(status: int, reason: str = "", message: str = "no", **more: Any) -> web.Response:
    """The Status object that the API server answers with."""
    body = {"kind": "Status", "code": status, "reason": reason, "message": message, **more}
    return answer(body, status)


@asynccontextmanager
async def serve(
    handler: Handler,
    observe: Observer | None = None,
    *,
    token: str = "",
    agent: str = "",
    **settings: Any,
) -> AsyncIterator[Client]:
    """Run a handler for every request, and a client (with a token and these settings) for it."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler)
    server = TestServer(application)
    await server.start_server()
    credentials = Credentials("there is no such file")
    credentials.configuration.host = str(server.make_url("")).rstrip("/")
    if token:
        credentials.configuration.api_key["BearerToken"] = f"Bearer {token}"
    try:
        async with Client(HttpTransport(credentials, agent=agent), observe, **settings) as client:
            yield client
    finally:
        await server.close()


def host_of(client: Client) -> str:
    """Where the scripted API server of a client is."""
    transport = client._transport  # noqa: SLF001
    assert isinstance(transport, HttpTransport)
    return str(transport._credentials.configuration.host)  # noqa: SLF001


async def until(reached: Callable[[], object]) -> None:
    """Wait for something that only the tested code knows of."""
    async with asyncio.timeout(20):
        while not reached():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)


class ScriptedApi:
    """Answers lists and watches of one collection from what a test lays down.

    ``lists`` and ``watches`` are consumed one by one. A list is a list of objects or a response.
    A watch is a list of events (and text, sent as it is), after which the stream closes, or a
    response. A list is as new as the latest event that was sent. When there are no more watches, a stream stays open and silent.
    """

    def __init__(self, *, version: int = 100) -> None:
        self.version = version
        self.lists: list[Sequence[dict[str, Any]] | web.Response] = []
        self.watches: list[Sequence[object] | web.Response] = []
        self.asked: list[dict[str, str]] = []
        self.exhausted = asyncio.Event()

    @property
    def watched_from(self) -> list[str]:
        return [query["resourceVersion"] for query in self.asked if "watch" in query]

    @property
    def listed(self) -> int:
        return sum("watch" not in query for query in self.asked)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(dict(request.query))
        if "watch" in request.query:
            return await self._watch(request)
        step = self.lists.pop(0)
        if isinstance(step, web.Response):
            return step
        return answer({"metadata": {"resourceVersion": str(self.version)}, "items": list(step)})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        if not self.watches:
            self.exhausted.set()
        step = self.watches.pop(0) if self.watches else None
        if isinstance(step, web.Response):
            return step
        stream = await open_stream(request)
        for event in step or ():
            line = event if isinstance(event, str) else json.dumps(event) + "\n"
            self.version = max(self.version, read_version(field(event, "object")))
            await stream.write(line.encode())
        if step is None:
            await asyncio.sleep(30)
        return stream if isinstance(stream, web.StreamResponse) else web.Response()


def event(kind: str, raw: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "object": raw}


def bookmark(version: int) -> dict[str, Any]:
    return event("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": str(version)}})


def failure(code: int, reason: str = "") -> dict[str, Any]:
    return event("ERROR", {"kind": "Status", "code": code, "reason": reason, "message": "broken"})
