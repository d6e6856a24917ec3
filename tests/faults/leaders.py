"""Leader and standby: killed, paused and resumed in the middle of a trip."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.faults.catalog import scenario
from tests.faults.judge import Expected
from tests.faults.lab import PATIENCE, Kept, Lab, Trial
from tests.faults.stories import QUICK, bad, complete, good, recount
from tools.operator_process import NAMESPACE, OperatorProcess

GROUP = "Leader and standby"
MUST = "every failure counted once, one trip, one rollback; the other one goes on"
ELECTION = (
    "--leader-elect",
    "--lease-duration=5",
    "--lease-renew-deadline=3",
    "--lease-retry-period=0.5",
)


@dataclass
class Pair:
    """Two operators that run for one Lease, behind one proxy."""

    trial: Trial
    replicas: list[Kept]

    def leader(self) -> Kept:
        """Wait until one leads, and return it."""
        while True:
            for one in self.replicas:
                try:
                    if "\ntripswitch_leader 1.0\n" in one.operator.metrics():
                        return one
                except OSError:
                    continue
            time.sleep(0.1)


@contextmanager
def _pair(lab: Lab, name: str) -> Iterator[Pair]:
    lab.cluster.kubectl("delete", "lease", "tripswitch", "-n", NAMESPACE, "--ignore-not-found")
    with lab.trial(name, arguments=ELECTION) as trial:
        first = trial.operator
        second = OperatorProcess(
            first.kubeconfig, first.log.with_suffix(".standby.log"), arguments=first.arguments
        )
        standby = Kept(second)
        standby.start()
        try:
            yield Pair(trial, [trial.kept, standby])
        finally:
            standby.stop()


def _strike(name: str, how: str, *, runs: int, ci: int = 0) -> None:
    @scenario(GROUP, name, MUST, runs=runs, ci=ci, alone=True)
    def attempt(lab: Lab, run: int) -> str:
        chance = random.Random(lab.seed * 100 + run)
        with _pair(lab, how) as pair:
            trial = pair.trial
            complete(trial, good())
            trial.world.apply(bad(threshold=1000))
            seen = chance.randrange(1, QUICK)
            trial.until(lambda: _failures(trial) >= seen)
            _hit(pair, how)
            trial.until(lambda: recount(trial, "web") >= QUICK)
            trial.until(lambda: _failures(trial) == recount(trial, "web"))
            counted = _failures(trial)
            trial.world.apply(bad())
            time.sleep(chance.random() * 0.3)
            _hit(pair, how)
            trial.world.until_rollout("ROLLBACK_SUCCESSFUL", seconds=PATIENCE)
            trial.until_quiet()
            trial.check(web=Expected(rollbacks=1))
            return f"{how} in the middle of the count and of the trip: {_about(counted)}"


def _about(counted: int) -> str:
    return f"{counted} failures counted, rolled back once"


def _failures(trial: Trial) -> int:
    return int(trial.world.status().get("circuitBreaker", {}).get("failureCount", 0))


def _hit(pair: Pair, how: str) -> None:
    leader = pair.leader()
    match how:
        case "leader killed":
            leader.kill()
        case "standby killed":
            next(one for one in pair.replicas if one is not leader).kill()
        case _:
            leader.operator.pause()
            time.sleep(8)  # longer than the Lease: the other one leads by now
            leader.operator.resume()


_strike("the leader killed with -9, twice in one story", "leader killed", runs=5, ci=1)
_strike("the standby killed with -9, twice in one story", "standby killed", runs=2)
_strike("the leader paused (SIGSTOP) for 8 s and resumed, twice", "leader paused", runs=5)
