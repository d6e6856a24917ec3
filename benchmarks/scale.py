"""How much of everything: the numbers of a full run, and of one that only shows that it works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """``sizes`` are the fleets whose memory is measured; the middle one is the standard fleet."""

    name: str
    sizes: tuple[int, int, int]
    trips: int
    storm: int
    idle_seconds: int
    rounds: int
    """How often small things are repeated."""
    guarded: int
    """Deployments that are guarded in place."""
    others: int
    """Pods beside them that nothing guards."""
    halved: int
    """Objects that one operator has, and two have half of each."""
    late: int
    """Objects whose pods are never Ready."""

    @property
    def idle(self) -> int:
        """Objects that stand idle beside what is measured."""
        return self.sizes[1]


FULL = Scale(
    "full",
    (25, 1000, 10_000),
    trips=300,
    storm=1000,
    idle_seconds=60,
    rounds=3,
    guarded=100,
    others=20_000,
    halved=4000,
    late=10,
)
QUICK = Scale(
    "quick",
    (10, 50, 100),
    trips=30,
    storm=40,
    idle_seconds=15,
    rounds=2,
    guarded=10,
    others=400,
    halved=80,
    late=4,
)
