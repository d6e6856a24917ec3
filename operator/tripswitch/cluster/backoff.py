"""Exponential back-off with jitter, the same for watches, reconciles and refused creations."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays that double from ``first`` to ``most`` seconds.

    >>> [Backoff(first=1.0, most=5.0).longest(tries) for tries in (1, 2, 3, 4, 1000)]
    [1.0, 2.0, 4.0, 5.0, 5.0]
    """

    first: float
    most: float

    def longest(self, tries: int) -> float:
        """Return the upper end of the delay after so many failed tries (from 1), in seconds."""
        return float(min(self.most, self.first * 2 ** min(tries - 1, 32)))

    def delay(self, tries: int) -> float:
        """Return the delay with jitter: what fails together must not come back together."""
        return self.longest(tries) * random.uniform(0.5, 1.0)  # noqa: S311 - not a secret
