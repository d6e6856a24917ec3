"""``status --watch``: follows one GuardedDeployment and what belongs to it until its rollout ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live

from tripswitch.api.tolerant import field, text, version
from tripswitch.cli.clock import read_clock
from tripswitch.cli.problems import Exit, Problem
from tripswitch.cli.session import Session
from tripswitch.cli.status.view import Outcome, View, build_view
from tripswitch.cluster.reflector import Reflector
from tripswitch.cluster.resources import GUARDED_DEPLOYMENTS, PODS, REPLICA_SETS

TICK_SECONDS = 1.0
"""Ages are repainted this often when nothing happens."""

LEAST_SECONDS = 0.1
"""Least time between two paints: a burst of changes is one."""

Raw = Mapping[str, Any]


class Screen:
    """Shows view after view: painted over each other on a terminal, else each change as a line.

    Args:
        render: A view to what is printed; a live one is also given a note.
        console: Where to.
        live: Paint over what was there.
    """

    def __init__(self, render: Callable[..., Any], console: Console, *, live: bool = False) -> None:
        self._render = render
        self._console = console
        self._live = Live(console=console, auto_refresh=False) if live else None
        self._last: Any = None

    def __enter__(self) -> Self:
        """Begin to paint."""
        self._context().__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the last picture where it is."""
        self._context().__exit__(kind, error, trace)

    def show(self, view: View, note: str = "") -> None:
        """Show a view, unless it says what the last one said."""
        if self._live is not None:
            self._live.update(self._render(view, note), refresh=True)
            return
        shown = self._render(view)
        if shown != self._last:
            self._last = shown
            self._console.print(shown, soft_wrap=True)

    def _context(self) -> AbstractContextManager[Any]:
        return self._live if self._live is not None else nullcontext()


class Mirror:
    """Keeps raw objects of one kind. A :class:`tripswitch.cluster.reflector.Sink`."""

    def __init__(self, changed: Callable[[], None], *, only: str = "") -> None:
        self.found: dict[str, Raw] = {}
        self._changed = changed
        self._only = only

    def upsert(self, raw: Raw) -> None:
        """Take an object, unless a newer one is known or it has another name than is wanted."""
        uid = text(field(raw, "metadata", "uid"))
        if self._only and field(raw, "metadata", "name") != self._only:
            return
        if version(raw) >= version(self.found.get(uid)):
            self.found[uid] = raw
            self._changed()

    def remove(self, raw: Raw) -> None:
        """Drop an object."""
        self.found.pop(text(field(raw, "metadata", "uid")), None)
        self._changed()

    def retain(self, namespace: str | None, uids: set[str], listed_at: int) -> None:
        """Drop what a complete list did not have."""
        del namespace, listed_at
        for uid in set(self.found) - uids:
            del self.found[uid]
        self._changed()


class _Trouble(logging.Handler):
    """Keeps the last complaint of a reflector, which tries again by itself."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.note = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep its words; nothing may be written into the picture."""
        self.note = f"no news from the cluster, trying again: {record.getMessage()}"


async def follow(session: Session, name: str, screen: Screen) -> View:
    """Show a GuardedDeployment until its rollout has ended, and return the last view.

    Raises:
        Problem: It is not there, is deleted meanwhile, or may not be read.
    """
    first = await session.get(name)
    changed, trouble = asyncio.Event(), _Trouble()
    news = _news(changed, trouble)
    guardeds = Mirror(news, only=name)
    guardeds.upsert(first)
    replica_sets, pods = Mirror(news), Mirror(news)
    namespace, selector = session.namespace, ""
    logger = logging.getLogger("tripswitch")
    logger.addHandler(trouble)
    logger.propagate = False
    async with _background() as start:
        start(Reflector(session.client, GUARDED_DEPLOYMENTS, guardeds, namespace=namespace))
        with screen:
            while True:
                guarded = next(iter(guardeds.found.values()), None)
                if guarded is None:
                    raise Problem(f"{session.name(name)} was deleted", Exit.NOT_FOUND)
                if not selector and (selector := text(field(guarded, "status", "selector"))):
                    for listed, mirror in zip(
                        await session.children(guarded), (replica_sets, pods), strict=True
                    ):
                        for raw in listed:
                            mirror.upsert(raw)
                    for kind, mirror in ((REPLICA_SETS, replica_sets), (PODS, pods)):
                        start(
                            Reflector(
                                session.client, kind, mirror, namespace=namespace, labels=selector
                            )
                        )
                changed.clear()
                view = build_view(
                    guarded, replica_sets.found.values(), pods.found.values(), read_clock()
                )
                screen.show(view, trouble.note)
                if view.outcome is not Outcome.RUNNING:
                    return view
                await _next(changed)


def _news(changed: asyncio.Event, trouble: _Trouble) -> Callable[[], None]:
    def tell() -> None:
        trouble.note = ""
        changed.set()

    return tell


async def _next(changed: asyncio.Event) -> None:
    """Wait for a change, or for time to show."""
    await asyncio.sleep(LEAST_SECONDS)
    try:
        async with asyncio.timeout(TICK_SECONDS):
            await changed.wait()
    except TimeoutError:
        return


@asynccontextmanager
async def _background() -> AsyncIterator[Callable[[Reflector], None]]:
    """Run reflectors until the block ends."""
    tasks: list[asyncio.Task[None]] = []
    try:
        yield lambda reflector: tasks.append(asyncio.create_task(reflector.run()))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
