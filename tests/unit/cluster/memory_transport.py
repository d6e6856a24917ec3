"""A transport without sockets: a test's handler answers, and time passes only where a test lets it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlencode

from aiohttp import web

from tripswitch.cluster.client import Client, Observer
from tripswitch.cluster.errors import UnreachableError
from tripswitch.cluster.transport import Answer, Call, Decode, Stream

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class MemoryStream:
    """The server's side of a watch."""

    lines: asyncio.Queue[str | None] = field(default_factory=asyncio.Queue)
    """None is the end."""

    async def write(self, data: bytes) -> None:
        """Send one or more lines."""
        for line in data.decode().splitlines():
            await self.lines.put(line)


class MemoryRequest:
    """As much of aiohttp's request as handlers of tests read."""

    def __init__(self, call: Call) -> None:
        self.method = call.method
        self.path = call.path
        self.query = dict(call.query)
        self.path_qs = f"{call.path}?{urlencode(call.query)}" if call.query else call.path
        self.headers = {"Accept": call.accept, "Content-Type": call.content_type}
        self.stream: MemoryStream | None = None
        self.opened = asyncio.Event()
        self._text = "" if call.body is None else json.dumps(call.body)

    async def text(self) -> str:
        """Return the body."""
        return self._text

    async def json(self) -> Any:
        """Return the body, decoded."""
        return json.loads(self._text)

    def open_stream(self) -> MemoryStream:
        """Answer with a watch."""
        self.stream = MemoryStream()
        self.opened.set()
        return self.stream


async def open_stream(request: web.Request) -> MemoryStream | web.StreamResponse:
    """Answer a request with a watch, over HTTP or in memory."""
    if isinstance(request, MemoryRequest):
        return request.open_stream()
    stream = web.StreamResponse()
    await stream.prepare(request)
    return stream


class MemoryTransport:
    """Carries calls to a handler."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._watches: set[asyncio.Task[web.StreamResponse]] = set()

    async def request(self, call: Call, *, seconds: float) -> Answer:
        """Return the handler's answer, decoded."""
        return await self._ask(call, seconds, as_text=False)

    async def read_text(self, call: Call, *, seconds: float) -> Answer:
        """Return the handler's answer."""
        return await self._ask(call, seconds, as_text=True)

    async def stream(self, call: Call, *, open_seconds: float, stall_seconds: float) -> Stream:
        """Return what the handler sends until it ends."""
        request = MemoryRequest(call)
        task = asyncio.ensure_future(self._handler(cast("web.Request", request)))
        self._watches.add(task)
        opening = asyncio.create_task(request.opened.wait())
        async with asyncio.timeout(open_seconds):
            await asyncio.wait([task, opening], return_when=asyncio.FIRST_COMPLETED)
        opening.cancel()
        if request.stream is None:
            return Stream(_read(task.result(), call, as_text=False), _nothing())
        lines = request.stream.lines
        task.add_done_callback(lambda _: lines.put_nowait(None))
        return Stream(Answer(200), _follow(lines, task, stall_seconds, call.decode))

    async def close(self) -> None:
        """End all watches."""
        for task in self._watches:
            task.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)

    async def _ask(self, call: Call, seconds: float, *, as_text: bool) -> Answer:
        request = cast("web.Request", MemoryRequest(call))
        try:
            async with asyncio.timeout(seconds):
                await asyncio.sleep(0)
                return _read(await self._handler(request), call, as_text=as_text)
        except TimeoutError as error:
            raise UnreachableError(repr(error)) from error


async def _nothing() -> AsyncGenerator[object, None]:
    return
    yield


async def _follow(
    lines: asyncio.Queue[str | None],
    task: asyncio.Task[web.StreamResponse],
    seconds: float,
    decode: Decode,
) -> AsyncGenerator[object, None]:
    try:
        while True:
            async with asyncio.timeout(seconds):
                line = await lines.get()
            if line is None:
                return
            yield decode(line.encode())
    except (TimeoutError, ValueError) as error:
        raise UnreachableError(repr(error)) from error
    finally:
        task.cancel()


def _read(response: web.StreamResponse, call: Call, *, as_text: bool) -> Answer:
    assert isinstance(response, web.Response)
    text = bytes(cast("bytes", response.body or b"")).decode(errors="replace")
    body: object = text
    if response.status >= 400 or not as_text:
        try:
            body = json.loads(text) if response.status >= 400 else call.decode(text.encode())
        except ValueError as error:
            if response.status < 400:
                raise UnreachableError(repr(error)) from error
    headers = response.headers
    return Answer(response.status, body, headers.get("Date"), headers.get("Retry-After"))


@asynccontextmanager
async def serve_in_memory(
    handler: Handler, observe: Observer | None = None, **settings: Any
) -> AsyncIterator[Client]:
    """Return a client (with these settings) whose requests a handler answers."""
    async with Client(MemoryTransport(handler), observe, **settings) as client:
        yield client
