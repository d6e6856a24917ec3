"""kill -9 at every single write: before it reaches the server, and after the server has done it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.faults.catalog import scenario
from tests.faults.lab import Lab, Trial
from tests.faults.plan import Asked, Call, Rule
from tests.faults.stories import exactly, there_and_back

GROUP = "The operator killed with -9"
LANES = 3
"""Operators at work at the same time, each with a namespace and a proxy of its own."""


@scenario(
    GROUP,
    "before and after every write of a rollout, a trip and a rollback: all crash points",
    "exactly eight failures, one trip, one rollback, at every crash point",
)
def every_write(lab: Lab, run: int) -> str:
    """Enumerated, not sampled: until a story ends without having reached its point."""
    with ThreadPoolExecutor(LANES) as pool:
        lanes = [pool.submit(_lane, lab, number) for number in range(LANES)]
        done = [lane.result() for lane in lanes]
    points = sum(points for points, _ in done)
    writes = max(last for _, last in done)
    return f"{points} kills at {writes} writes; 8 failures, one rollback each"


@scenario(
    GROUP,
    "after the 3rd, 9th and 15th write",
    "exactly eight failures, one trip, one rollback, at every crash point",
    runs=1,
    ci=1,
)
def some_writes(lab: Lab, run: int) -> str:
    """A selection of the same, quick enough to run before every change."""
    with lab.trial("crash points") as trial:
        for number in (3, 9, 15):
            assert _crash(trial, number, after=number != 9), "the story was shorter than that"
    return "3 kills; 8 failures, one rollback each"


def _lane(lab: Lab, lane: int) -> tuple[int, int]:
    """Try every third write, before and after; return how many kills, and the last write reached."""
    kills, number = 0, 1 + lane
    with lab.trial(f"crash lane {lane}") as trial:
        while True:
            before = _crash(trial, number, after=False)
            after = _crash(trial, number, after=True)
            kills += before + after
            if not before and not after:
                return kills, number - LANES
            number += LANES


def _crash(trial: Trial, number: int, *, after: bool) -> bool:
    """Play the story with a kill at its n-th write; return whether that write was reached."""
    trial.until_quiet(0.7)
    begin = trial.writes()

    def is_due(asked: Asked) -> bool:
        return asked.writes and asked.write == begin + number

    rule = Rule(Call(trial.kept.kill, after=after), is_due, times=1)
    trial.plan.set(rule)
    name = f"web-{number}{'a' if after else 'b'}"
    there_and_back(trial, name)
    trial.until_quiet(0.7)
    trial.check(**exactly(name))
    trial.world.kubectl("delete", f"gdeploy/{name}", "--wait=true")
    trial.lab.forget(trial.world.namespace)
    return rule.hits == 1
