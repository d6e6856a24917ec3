"""The list of faults: each a name, what must come of it, and a function that tries it once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.lab import Lab

Try = Callable[[Lab, int], str]
"""Called with the lab and the number of the run, from 0. Returns the outcome in a few words; raises
AssertionError when something is lost, doubled, or never ends."""


@dataclass(frozen=True)
class Scenario:
    """One fault.

    ``runs`` in a full run, ``ci`` of them before every change. ``alone``: it disturbs the whole
    cluster, so nothing else runs beside it. ``waits``: it does nothing most of the time, so it needs no
    lane of its own.
    """

    group: str
    name: str
    must: str
    attempt: Try
    runs: int
    ci: int = 0
    alone: bool = False
    waits: bool = False


CATALOG: list[Scenario] = []


def scenario(
    group: str,
    name: str,
    must: str,
    *,
    runs: int = 1,
    ci: int = 0,
    alone: bool = False,
    waits: bool = False,
) -> Callable[[Try], Try]:
    """Enter a function into the list."""

    def enter(attempt: Try) -> Try:
        CATALOG.append(Scenario(group, name, must, attempt, runs, ci, alone, waits))
        return attempt

    return enter
