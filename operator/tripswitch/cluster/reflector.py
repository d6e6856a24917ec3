"""List, then watch: keeps a sink at what the API server has, through every kind of interruption.

kopf does this for GuardedDeployments only. For their children its watcher loses deletions after a 410,
ends on any other error in a stream, and reopens a stream that closes at once thousands of times a
second (measured; see ``docs/adr``). This one re-lists after every error that a stream reports and
then lets the sink compare by UID, backs off before every reconnect, and takes a silent stream for a
dead one.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

from tripswitch.api.tolerant import field, objects, read_decimal, read_int, read_text
from tripswitch.cluster.backoff import Backoff
from tripswitch.cluster.client import Client
from tripswitch.cluster.errors import ApiError, GoneError, error_from
from tripswitch.cluster.resources import Resource
from tripswitch.cluster.transport import WHOLE, Shape

logger = logging.getLogger(__name__)

STALL_SECONDS = 90.0
"""The server sends a bookmark about once a minute; a stream that is silent for longer is dead."""
STREAM_SECONDS = (240, 480)
"""After how long the server ends a stream by itself; spread, so that not all come back at once."""


REFUSED_OFTEN = 5
"""After this many refusals in a row to go on from a version, everything is listed again."""


class WentBackError(Exception):
    """The server's storage is older than what it has shown before: it was restored from a backup.

    Nothing that is known can be trusted then, and all of it looks newer than what is true.
    """


class Sink(Protocol):
    """Where the objects go. Calls never block and never raise on what an object contains."""

    def upsert(self, raw: Mapping[str, Any]) -> None:
        """Take an object that was listed, added or modified."""

    def remove(self, raw: Mapping[str, Any]) -> None:
        """Drop an object that was deleted."""

    def retain(self, namespace: str | None, uids: set[str], listed_at: int) -> None:
        """Drop every object of the namespace (None: of all) that a complete list did not have.

        ``listed_at`` is the list's version: an object newer than that is kept.
        """


@dataclass(frozen=True, slots=True)
class Collection:
    """What is listed and watched: in one namespace or in all (None), with a label selector or without."""

    resource: Resource
    namespace: str | None = None
    labels: str = ""
    shape: Shape = WHOLE


class Reflector:
    """Keeps one sink at one collection.

    ``synced`` is set once the first list is complete. ``last_turn`` is the loop's time of the last
    sign of life: it grows also while the API server is away, and stands still only if this is stuck.
    """

    def __init__(
        self,
        client: Client,
        collection: Collection,
        sink: Sink,
        *,
        backoff: Backoff = Backoff(first=0.2, most=10.0),  # noqa: B008 - it is frozen
    ) -> None:
        self.synced = asyncio.Event()
        self.last_turn = 0.0
        self._client = client
        self.path = collection.resource.path(collection.namespace)
        self._collection = collection
        self._sink = sink
        self._query = {"labelSelector": collection.labels} if collection.labels else {}
        self._backoff = backoff
        self._version = ""
        """Where to go on from; empty means: list."""
        self._newest = 0
        self._refused = 0

    async def run(self) -> None:
        """Run until cancelled.

        Raises:
            WentBackError: Start anew.
        """
        fails = 0
        while True:
            began, version = asyncio.get_running_loop().time(), self._version
            self.last_turn = began
            try:
                if not self._version:
                    await self._list()
                    self.synced.set()
                await self._watch()
            except ApiError as error:
                self._take_error(error)
            fails = self._count_fails(fails, began, version)
            await asyncio.sleep(self._backoff.delay(fails))

    def _take_error(self, error: ApiError) -> None:
        """Decide whether the watch can go on from its version after an error, or has to list again."""
        level = logging.DEBUG if isinstance(error, GoneError) else logging.WARNING
        logger.log(level, "watch of %s interrupted: %s", self.path, error)
        # After a restore the server may not know the version for a long time, or ever.
        self._refused = self._refused + 1 if error.status else 0
        if isinstance(error, GoneError) or self._refused >= REFUSED_OFTEN:
            self._version, self._refused = "", 0

    def _count_fails(self, fails: int, began: float, version: str) -> int:
        """Return which delay comes after a stream that began then and there: the first one, or a later one."""
        if asyncio.get_running_loop().time() - began >= self._backoff.most:
            return 1
        if version and self._version not in ("", version):
            return 2  # short, but it brought something: soon again, a few times a second
        return fails + 1

    async def _list(self) -> None:
        """Read everything page by page; no more than one page of raw objects is ever held."""
        seen: set[str] = set()
        listed = ""
        async for page in self._client.pages(self.path, self._query, shape=self._collection.shape):
            self.last_turn = asyncio.get_running_loop().time()
            listed = read_text(field(page, "metadata", "resourceVersion"))
            for raw in objects(page.get("items")):
                seen.add(read_text(field(raw, "metadata", "uid")))
                self._sink.upsert(raw)
        if read_decimal(listed) < self._newest:
            raise WentBackError(
                f"{self.path}: resourceVersion went back from {self._newest} to {listed}"
            )
        self._sink.retain(self._collection.namespace, seen, read_decimal(listed))
        self._go_on_from(listed)

    async def _watch(self) -> None:
        """Follow the changes since the last known version until the stream ends."""
        query = {
            **self._query,
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(random.randint(*STREAM_SECONDS)),  # noqa: S311 - not a secret
        }
        stream = self._client.stream(
            self.path, query, stall_seconds=STALL_SECONDS, shape=self._collection.shape
        )
        async with aclosing(stream) as events:
            async for event in events:
                self.last_turn = asyncio.get_running_loop().time()
                self._take(read_text(event.get("type")), event.get("object"))

    def _take(self, kind: str, raw: Any) -> None:
        if kind == "ERROR":
            # Going on from the same version could end with this error again and again.
            self._version = ""
            raise error_from(read_int(field(raw, "code")), raw)
        if kind in ("ADDED", "MODIFIED"):
            self._sink.upsert(raw)
        elif kind == "DELETED":
            self._sink.remove(raw)
        self._refused = 0
        if read_decimal(field(raw, "metadata", "resourceVersion")):
            self._go_on_from(raw["metadata"]["resourceVersion"])

    def _go_on_from(self, version: str) -> None:
        self._version = version
        self._newest = max(self._newest, read_decimal(version))
