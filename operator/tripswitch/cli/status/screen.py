"""Shows picture after picture: painted over each other on a terminal, else what has changed as lines."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live


class Screen:
    """Where a watch shows what it has.

    Args:
        render: What is watched to what is printed. For a live screen: with a note, to anything that rich
            prints. Else: to lines, of which those that were not there before are printed.
        console: Where to.
        live: Paint over what was there.
    """

    def __init__(self, render: Callable[..., Any], console: Console, *, live: bool = False) -> None:
        self._render = render
        self._console = console
        self._live = Live(console=console, auto_refresh=False) if live else None
        self._last: list[str] = []

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

    def show(self, watched: Any, note: str = "") -> None:
        """Show it, unless it says what the last one said."""
        if self._live is not None:
            self._live.update(self._render(watched, note), refresh=True)
            return
        lines = self._render(watched)
        for line in lines:
            if line not in self._last:
                self._console.print(line, soft_wrap=True)
        self._last = lines

    def _context(self) -> AbstractContextManager[Any]:
        return self._live if self._live is not None else nullcontext()
