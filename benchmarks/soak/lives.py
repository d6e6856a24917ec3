"""The operator's processes in the soak, and whether their memory grows."""

from __future__ import annotations

from dataclasses import dataclass, field

GROWTH = 1.10
LEAST_SECONDS = 300.0
"""Memory of a shorter life says nothing: the fleet may still be growing, and caches fill."""


@dataclass
class Life:
    """One run of the operator: when it began and ended, and its memory in between."""

    samples: list[tuple[float, float]] = field(default_factory=list)

    def growth(self) -> tuple[float, float] | None:
        """Memory in the first and in the last fifth (medians), None if it was short."""
        values = [mib for _, mib in self.samples]
        part = len(values) // 5
        if part < 3 or self.samples[-1][0] - self.samples[0][0] < LEAST_SECONDS:
            return None
        # The first moments do not count: caches fill.
        early = sorted(values[part : 2 * part])[part // 2]
        return early, sorted(values[-part:])[part // 2]


def judge_memory(lives: list[Life]) -> tuple[list[str], list[str]]:
    """Return lines about the memory of every life, and what is wrong with it."""
    lines, faults = [], []
    for number, life in enumerate(lives, start=1):
        grown = life.growth()
        if grown is None:
            continue
        early, late = grown
        minutes = (life.samples[-1][0] - life.samples[0][0]) / 60
        lines.append(f"run {number}, {minutes:.0f} min: {early:.0f} MiB early, {late:.0f} MiB late")
        if late > GROWTH * early:
            faults.append(f"memory grew from {early:.0f} to {late:.0f} MiB")
    return lines, faults
