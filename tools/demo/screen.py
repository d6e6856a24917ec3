"""What the demo prints: steps, and lines with the seconds since the step began."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field


@dataclass
class Screen:
    """Prints lines as they come; each step has a clock of its own."""

    began: float = field(default_factory=time.monotonic)

    def step(self, text: str) -> None:
        """Begin a step; its clock starts at 0."""
        self.began = time.monotonic()
        print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)

    def show(self, text: str) -> None:
        """Print each line of a text at its time."""
        for line in text.splitlines():
            print(f"  {self.seconds():6.1f} s  {line}", flush=True)

    def say(self, text: str) -> None:
        """Print a line without a time."""
        print(text, flush=True)

    def seconds(self) -> float:
        """Since the step began."""
        return time.monotonic() - self.began
