"""Something that can be away for a while: what it is to do waits until it is back."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

Later = Callable[[float, Callable[[], None]], None]
"""Have something done after so many seconds."""


class Gate:
    """Does what it is given at once while it is open. It can be shut for several reasons."""

    def __init__(self, later: Later, rng: Random) -> None:
        self._later = later
        self._rng = rng
        self._shut = 0
        self._held: list[Callable[[], None]] = []

    def run(self, deed: Callable[[], None]) -> None:
        """Do it, now or soon after the gate is open again."""
        if self._shut:
            self._held.append(deed)
        else:
            deed()

    def shut(self) -> None:
        """Hold everything from now on."""
        self._shut += 1

    def open(self) -> None:
        """Go on; what was held comes in a few seconds, not all at once."""
        self._shut -= 1
        held, self._held = self._held, []
        for deed in held:
            self._later(self._rng.uniform(0.05, 5.0), lambda deed=deed: self.run(deed))  # type: ignore[misc]
