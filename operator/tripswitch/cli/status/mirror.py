"""Copies of objects on the cluster, kept current by reflectors while a command watches."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from tripswitch.api.tolerant import field, read_text, read_version
from tripswitch.cluster.reflector import Reflector

TICK_SECONDS = 1.0
"""Ages are repainted this often when nothing happens."""

LEAST_SECONDS = 0.1
"""Least time between two paints: a burst of changes is one."""

Raw = Mapping[str, Any]


class Mirror:
    """Keeps raw objects of one kind. A :class:`tripswitch.cluster.reflector.Sink`."""

    def __init__(self, changed: Callable[[], None], *, only: str = "") -> None:
        self.found: dict[str, Raw] = {}
        self._changed = changed
        self._only = only

    def upsert(self, raw: Raw) -> None:
        """Take an object, unless a newer one is known or it has another name than is wanted."""
        uid = read_text(field(raw, "metadata", "uid"))
        if self._only and field(raw, "metadata", "name") != self._only:
            return
        if read_version(raw) >= read_version(self.found.get(uid)):
            self.found[uid] = raw
            self._changed()

    def remove(self, raw: Raw) -> None:
        """Drop an object."""
        self.found.pop(read_text(field(raw, "metadata", "uid")), None)
        self._changed()

    def retain(self, namespace: str | None, uids: set[str], listed_at: int) -> None:
        """Drop what a complete list did not have."""
        del namespace, listed_at
        for uid in set(self.found) - uids:
            del self.found[uid]
        self._changed()

    @property
    def first(self) -> Raw | None:
        """The one object of a mirror that keeps only one."""
        return next(iter(self.found.values()), None)


class News(logging.Handler):
    """Tells that something has changed, and keeps the last complaint of a reflector.

    A reflector tries again by itself; what it says must not be written into the picture.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.note = ""
        self._changed = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a complaint."""
        self.note = f"no answer from the cluster, trying again: {record.getMessage()}"

    def tell(self) -> None:
        """Say that something has changed."""
        self.note = ""
        self._changed.set()

    def forget(self) -> None:
        """Take all that was told as seen."""
        self._changed.clear()

    async def wait(self) -> None:
        """Wait for a change, or for time to show."""
        await asyncio.sleep(LEAST_SECONDS)
        try:
            async with asyncio.timeout(TICK_SECONDS):
                await self._changed.wait()
        except TimeoutError:
            return


@asynccontextmanager
async def watching() -> AsyncIterator[tuple[News, Callable[[Reflector], None]]]:
    """Yield what tells of changes, and what starts a reflector that runs until the block ends."""
    news = News()
    logger = logging.getLogger("tripswitch")
    logger.addHandler(news)
    logger.propagate = False
    tasks: list[asyncio.Task[None]] = []
    try:
        yield news, lambda reflector: tasks.append(asyncio.create_task(reflector.run()))
    finally:
        logger.removeHandler(news)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
