"""A proxy between one operator and the API server that breaks what its plan tells it to break.

Towards the API server it speaks TLS and verifies; towards the operator it speaks plain HTTP on
loopback, and the operator gets a kubeconfig that names it. Credentials pass through, so the operator
keeps its own rights and its own name in the audit log.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from email.utils import formatdate
from itertools import cycle
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tests.faults.plan import (
    Asked,
    Bookmarks,
    Call,
    Cut,
    Delay,
    Fail,
    Fault,
    FaultPlan,
    Freeze,
    Garble,
    Halve,
    Refuse,
    Replay,
    Reset,
    Watched,
)
from tools.cluster.processes import Startable
from tripswitch.cluster.resources import describe_request

REASONS = {401: "Unauthorized", 409: "Conflict", 410: "Expired", 429: "TooManyRequests"}
_HOP = {"connection", "content-length", "transfer-encoding", "host", "accept-encoding"}


class FaultProxy(Startable):
    """One proxy, in a thread of its own."""

    def __init__(
        self, server: str, authority: Path, plan: FaultPlan, dates: Sequence[float] = ()
    ) -> None:
        self.plan = plan
        self._server = server
        self._trust = ssl.create_default_context(cafile=str(authority))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="fault proxy", daemon=True)
        self._ready = threading.Event()
        self._done: asyncio.Event | None = None
        self._upstream: aiohttp.ClientSession | None = None
        self._streams: dict[int, web.Request] = {}
        self.url = ""
        self.set_dates(dates)

    def set_dates(self, dates: Sequence[float]) -> None:
        """Stand for so many API servers that answer by turns; each date is so many seconds ahead."""
        self._ahead = cycle(dates or (0.0,))

    def start(self) -> None:
        """Return when it listens."""
        self._thread.start()
        assert self._ready.wait(30), "the proxy did not start"

    def stop(self) -> None:
        """End it, and wait for its thread."""
        assert self._done is not None
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(30)

    def hang_up(self) -> None:
        """End every watch that is open now."""
        self._loop.call_soon_threadsafe(
            lambda: [_break(one) for one in list(self._streams.values())]
        )

    def write_kubeconfig(self, like: Path, path: Path) -> Path:
        """Write a kubeconfig with the same user that goes through the proxy."""
        config = json.loads(like.read_text())
        config["clusters"][0]["cluster"] = {"server": self.url}
        path.write_text(json.dumps(config))
        path.chmod(0o600)
        return path

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._done = asyncio.Event()
        connector = aiohttp.TCPConnector(ssl=self._trust, limit=0)
        async with aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None),
            headers={"Accept-Encoding": "identity"},
        ) as self._upstream:
            application = web.Application(client_max_size=64 * 2**20)
            application.router.add_route("*", "/{path:.*}", self._handle)
            runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            host, port = runner.addresses[0][:2]
            self.url = f"http://{host}:{port}"
            self._ready.set()
            await self._done.wait()
            await runner.cleanup()
        await asyncio.sleep(0.1)  # aiohttp closes TLS connections a little later

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        watch = "watch" in request.query
        verb, resource = describe_request(request.method, request.path, watch=watch)
        asked = self.plan.note(verb, resource, request.path, request.query_string)
        fault = self.plan.choose(asked)
        body = await request.read()
        if isinstance(fault, Delay):
            await asyncio.sleep(fault.seconds)
            fault = None
        if isinstance(fault, Refuse):
            return _refuse(fault)
        try:
            if watch:
                if isinstance(fault, Fault):
                    return _break(request)
                return await self._watch(request, fault)
            # A write that has reached the server is done, whatever becomes of who asked for it.
            return await asyncio.shield(self._pass(request, body, fault, asked))
        except (aiohttp.ClientError, OSError):
            return _break(request)

    async def _pass(
        self, request: web.Request, body: bytes, fault: Fault | Watched | None, asked: Asked
    ) -> web.StreamResponse:
        if isinstance(fault, Reset) and not fault.after:
            return _break(request)
        if isinstance(fault, Call) and not fault.after:
            await asyncio.to_thread(fault.what)
            return _break(request)
        async with self._send(request, body) as answer:
            data, status = await answer.read(), answer.status
            headers = self._headers(answer.headers)
        if isinstance(fault, Call):
            await asyncio.to_thread(fault.what)
            return _break(request)
        if isinstance(fault, Reset):
            return _break(request)
        if isinstance(fault, Halve):
            half = data[: len(data) // 2]
            if fault.clean:
                return web.Response(body=half, status=status, headers=headers)
            stream = web.StreamResponse(status=status, headers=headers)
            stream.content_length = len(data)
            await stream.prepare(request)
            await stream.write(half)
            return _break(request)
        return web.Response(body=data, status=status, headers=headers)

    def _send(self, request: web.Request, body: bytes | None) -> Any:
        assert self._upstream is not None
        return self._upstream.request(
            request.method,
            self._server + request.raw_path,
            data=body or None,
            headers={k: v for k, v in request.headers.items() if k.lower() not in _HOP},
            allow_redirects=False,
        )

    def _headers(self, headers: Any) -> dict[str, str]:
        kept = {name: value for name, value in headers.items() if name.lower() not in _HOP}
        return kept | {"Date": formatdate(time.time() + next(self._ahead), usegmt=True)}

    async def _watch(self, request: web.Request, fault: Watched | None) -> web.StreamResponse:
        if isinstance(fault, Bookmarks):
            return await _send_bookmarks(request, fault)
        async with self._send(request, None) as answer:
            stream = web.StreamResponse(status=answer.status, headers=self._headers(answer.headers))
            await stream.prepare(request)
            if answer.status != 200:
                await stream.write(await answer.read())
                return stream
            self._streams[id(request)] = request
            try:
                await _carry(request, stream, answer, fault)
            finally:
                del self._streams[id(request)]
            return stream


async def _carry(
    request: web.Request, stream: web.StreamResponse, answer: Any, fault: Watched | None
) -> None:
    """Pass the events of a watch on until it ends, here or there, or as the fault says."""
    limit = fault.events if isinstance(fault, Cut | Freeze | Fail | Garble) else None
    kept: deque[bytes] = deque(maxlen=fault.keep if isinstance(fault, Replay) else 1)
    if limit == 0:
        return await _end(request, stream, fault, b"")
    gone = asyncio.create_task(_wait_until_gone(request))
    lines = _lines(answer)
    passed = 0
    try:
        while True:
            following = asyncio.ensure_future(anext(lines, b""))
            await asyncio.wait([following, gone], return_when=asyncio.FIRST_COMPLETED)
            if not following.done():
                following.cancel()
                return None
            line = following.result()
            if not line:
                return None
            if limit is not None and passed >= limit:
                return await _end(request, stream, fault, line)
            await stream.write(line)
            passed += 1
            if isinstance(fault, Replay):
                for again in kept:
                    await stream.write(again)
                kept.append(line)
    finally:
        gone.cancel()


async def _end(
    request: web.Request, stream: web.StreamResponse, fault: Watched | None, line: bytes
) -> None:
    match fault:
        case Fail(code):
            status = {"kind": "Status", "code": code, "reason": REASONS.get(code, "InternalError")}
            event = {"type": "ERROR", "object": {**status, "message": "made up by the proxy"}}
            await stream.write(json.dumps(event).encode() + b"\n")
        case Garble():
            await stream.write(line[: len(line) // 2] or b'{"type": "MODIF')
        case Freeze():
            await _wait_until_gone(request)
        case _:
            pass


async def _send_bookmarks(request: web.Request, fault: Bookmarks) -> web.StreamResponse:
    """Say again and again that nothing has happened since the version that was asked for."""
    stream = web.StreamResponse()
    await stream.prepare(request)
    version = request.query.get("resourceVersion", "0")
    event = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": version}}}
    for _ in range(fault.count):
        await stream.write(json.dumps(event).encode() + b"\n")
        await asyncio.sleep(0.02)
    return stream


async def _lines(answer: Any) -> AsyncIterator[bytes]:
    buffer = b""
    async for piece in answer.content.iter_any():
        buffer += piece
        *whole, buffer = buffer.split(b"\n")
        for line in whole:
            yield line + b"\n"


async def _wait_until_gone(request: web.Request) -> None:
    while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110
        await asyncio.sleep(0.1)


def _break(request: web.Request) -> web.StreamResponse:
    """End the connection without a word, as a crashed server or a firewall does."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _refuse(fault: Refuse) -> web.Response:
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": fault.status,
        "reason": REASONS.get(fault.status, "InternalError"),
        "message": "refused by the proxy",
    }
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    return web.json_response(body, status=fault.status, headers=headers)
