"""The benchmarks' own eyes and hands: requests and watches, independent of the operator's code."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import aiohttp

Object = dict[str, Any]
Look = Callable[[str, Object, float], None]
"""Called with the type of an event, the object, and the moment it was seen (monotonic)."""

MERGE_PATCH = "application/merge-patch+json"
_ALIVE = aiohttp.ClientTimeout(total=None, sock_connect=20, sock_read=None)


class Api:
    """One connection pool to the API server, as the admin."""

    def __init__(self, server: str, token: str, authority: Path) -> None:
        self._server = server
        self._headers = {"Authorization": f"Bearer {token}"}
        self._trust = ssl.create_default_context(cafile=str(authority))
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(ssl=self._trust, limit=0)
        self._session = aiohttp.ClientSession(
            self._server, connector=connector, headers=self._headers, read_bufsize=2**20
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        accept: Iterable[int] = (),
        query: Mapping[str, str] | None = None,
    ) -> Object:
        """Send one request; raises RuntimeError on 4xx and 5xx but those in ``accept``."""
        kind = MERGE_PATCH if method == "PATCH" else "application/json"
        async with self._session.request(
            method,
            path,
            params=query or {},
            data=None if body is None else json.dumps(body),
            headers={"Content-Type": kind},
            timeout=aiohttp.ClientTimeout(total=120),
        ) as response:
            text = await response.text()
            if response.status >= 400 and response.status not in accept:
                raise RuntimeError(f"{method} {path}: {response.status} {text[:500]}")
            answer: Object = json.loads(text)
            return answer

    async def items(self, path: str, **query: str) -> list[Object]:
        """List a collection, page by page."""
        found: list[Object] = []
        query = {"limit": "500", **query}
        while True:
            page = await self.request("GET", path, query=query)
            found += page["items"]
            more = page["metadata"].get("continue")
            if not more:
                return found
            query["continue"] = more

    async def each(
        self, work: Callable[[Any], Awaitable[Any]], on: Iterable[Any], *, at_once: int = 16
    ) -> None:
        """Do something for each of many, so many at the same time."""
        room = asyncio.Semaphore(at_once)

        async def one(item: Any) -> None:
            async with room:
                await work(item)

        async with asyncio.TaskGroup() as group:
            for item in on:
                group.create_task(one(item))

    def watch(self, path: str, look: Look, **query: str) -> Watch:
        """Return a watch that calls ``look`` from the present state on."""
        return Watch(self._session, path, look, query)


class Watch:
    """``async with api.watch(...)``: begins with what is there (as ADDED), ends with the block."""

    def __init__(
        self, session: aiohttp.ClientSession, path: str, look: Look, query: Mapping[str, str]
    ) -> None:
        self._session = session
        self._path = path
        self._look = look
        self._query = query
        self._synced = asyncio.Event()
        self._news = asyncio.Event()
        self._task: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        waiting = asyncio.create_task(self._synced.wait())
        await asyncio.wait([self._task, waiting], return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            waiting.cancel()
            self._task.result()
            raise RuntimeError(f"the watch of {self._path} ended at once")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def until(self, reached: Callable[[], bool], seconds: float) -> bool:
        """Wait until a condition on what was seen holds; False when it did not in that time."""
        deadline = time.monotonic() + seconds
        while not reached():
            self._news.clear()
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            if self._task.done():
                self._task.result()
                raise RuntimeError(f"the watch of {self._path} ended")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, 1.0)):
                    await self._news.wait()
        return True

    async def _run(self) -> None:
        """Follow the collection; when a connection ends, begin again where it ended."""
        version = ""
        while True:
            query = self._ask_from(version)
            async with self._session.get(self._path, params=query, timeout=_ALIVE) as response:
                if response.status == 429 and not self._synced.is_set():
                    await asyncio.sleep(1)  # the storage of a new CRD is being set up
                    continue
                if response.status != 200:
                    raise RuntimeError(f"watch {self._path}: {await response.text()}")
                try:
                    async for line in response.content:
                        version = self._take(json.loads(line), time.monotonic())
                except _CacheBehindError:
                    await asyncio.sleep(1)

    def _ask_from(self, version: str) -> dict[str, str]:
        """Return the parameters of a watch from a version on; without one, from what is there."""
        query = {**self._query, "watch": "1", "allowWatchBookmarks": "true"}
        if version:
            return {**query, "resourceVersion": version}
        return {**query, "sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}

    def _take(self, event: Object, now: float) -> str:
        """Take one event, and return the version after it.

        Raises:
            _CacheBehindError: The server cannot begin yet; nothing was missed.
            RuntimeError: Any other error: with a gap, every number would be wrong.
        """
        kind, raw = event["type"], event["object"]
        if kind == "ERROR":
            if raw.get("code") == 504 and not self._synced.is_set():
                raise _CacheBehindError
            raise RuntimeError(f"watch {self._path}: {raw}")
        if kind == "BOOKMARK":
            self._synced.set()
        else:
            self._look(kind, raw, now)
        self._news.set()
        version: str = raw["metadata"]["resourceVersion"]
        return version


class _CacheBehindError(Exception):
    """The API server's cache is older than what a new watch asks for."""
