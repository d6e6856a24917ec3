"""A million steps of generated worlds, looking for one that breaks a rule.

    python -m tests.sim.soak --seed 1 --steps 1000000           look for a counterexample
    python -m tests.sim.soak --seed 1 --steps 1000000 --write   and write the report into docs/proof.md
    python -m tests.sim.soak --world 10000207                   one world again, and what broke it

Most worlds are simulated clusters in which everything goes wrong; in each sixth one nothing takes a
healthy pod away but the operator, and in each fifth one every revision is good and only the control plane
is in trouble, so that nothing may be counted. Each third world has a Deployment or StatefulSet that is
guarded in place (rules G). Alarms, bakes, an image registry, ConfigMaps that come and go, nodes that reject
pods and pods that are set aside are mixed with all of them (:mod:`tests.sim.surroundings`). Beside each other
world the small model of ``tests.properties`` takes a random walk. Every world has a number, which is all it
takes to have it once more.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.properties.play import INPUTS, Play, possible
from tests.sim.config import Config, draw_calm_config, draw_config, draw_good_config
from tests.sim.guard_config import draw_guard_config
from tests.sim.guard_world import GuardWorld
from tests.sim.referee import CounterexampleError
from tests.sim.surroundings import add_surroundings
from tests.sim.troubles import TROUBLES
from tests.sim.world import World, close_last_world

WORLDS = 10_000_000
"""Numbers of worlds that one seed has."""
LENGTH = 1500
"""Steps of a world before everybody calms down and it has to settle."""
WHOLE = 1_000_000
"""Steps of a run in which everything that is told happens."""
WALK = 25
CALM, GOOD, GUARDED = 6, 5, 3
REPORT = Path(__file__).parents[2] / "docs" / "proof.md"
BEGIN, END = "<!-- soak: written by `make soak` -->", "<!-- end of soak -->"
TOLD = (
    ("decisions", "decisions of the core, each with its invariants checked"),
    ("decisions asked again (laws)", "of them asked again: twice, in another order, later, disrupted"),
    ("moments with the bounds checked in the cluster", "moments with L and U checked in the cluster"),
    ("lowered with old knowledge", "lowerings among them in which an event had not told all (R3)"),
    ("good worlds", "worlds in which every revision is good and the control plane is in trouble (V)"),
    ("troubles", "troubles in them: outages, silent watches, dead nodes, clocks, somebody away"),
    ("good rollouts completed", "last rollouts of them that completed; none was harmed"),
    ("guarded worlds", "worlds with a guarded Deployment or StatefulSet (G), good ones among them"),
    ("CircuitBreakerWouldTrigger", "trips in them that were only reported (G7, B3, after three resumes)"),
    ("holds placed", "times that a workload was stopped by a trip (G4)"),
    ("holds released", "times that it was let go (G5)"),
    ("pods deleted (G4)", "pods of failed revisions deleted for a StatefulSet's rollback"),
    ("WorkloadResumed", "times that somebody resumed a held workload, which is a retry"),
    ("writes on workloads", "writes on workloads and what they own, each judged by rules G"),
    ("worlds that end held", "guarded worlds that ended held, with nothing written for five minutes more"),
    ("rollbacks that hold to the end", "of them with every pod of the completed revision"),
    (
        "worlds that end with nothing left on the workload",
        "guarded worlds in which a corrected template then rolled out, and nothing of ours was left",
    ),
    ("looks at which nothing is watched (G1)", "looks at a second breaker, or at a StatefulSet with OnDelete (G1)"),
    ("breakers made for a label", "worlds that end with the one breaker that a label asks for (G8)"),
    ("alarms: fire", "alerts that began (A1)"),
    ("alarms: go_away", "times that Prometheus was away (A2)"),
    ("AlarmTriggered", "trips by an alarm, each agreed with the referee (A1)"),
    ("AlarmsIgnored", "times that alarms were on when a rollout began (A2)"),
    ("AlarmsUnavailable", "times that they could not be read (A2)"),
    ("BakeStarted", "bakes (A3)"),
    ("HOOK_AWAITING_ACTION", "hooks that waited (K1)"),
    ("PinImages", "decisions that pin a ReplicaSet to what a pod ran, or take a pin out (rules D)"),
    ("tags pushed again", "tags pushed again"),
    ("digests deleted", "digests deleted from the registry"),
    ("ImageDigestsDiffer", "revisions with two digests (D2)"),
    ("ImageDigestUnusable", "digests dropped because the registry has them no more (D3)"),
    ("ImageDigestGone", "digests kept though the registry has them no more (D4)"),
    ("registry outages", "times that a registry was away or denied access (F8, F9)"),
    ("pulls that failed", "pulls that failed"),
    ("RegistryOutage", "times that others suffered, too, and nothing was counted (F9)"),
    ("ConfigMaps and ServiceAccounts deleted", "ConfigMaps and ServiceAccounts deleted that templates name (B9)"),
    ("lists of what templates name", "lists of them, each compared with what was there"),
    ("looks at which something is missing", "looks whose status names what a rollback would miss, each compared with the lists"),
    ("RollbackAtRisk", "times that this was told, or a digest that is gone"),
    ("looks for what a rollback needs, at the end", "worlds that end with it deleted, told, made again and told no more"),
    ("nodes that reject pods", "times that a node rejected pods"),
    ("PodStorm", "storms that were braked (R8)"),
    ("pods that were set aside and deleted in time", "worlds whose pods that were set aside were deleted in time"),
    ("notifications received", "notifications received, each of a decision that was written"),
    ("checks", "decisions that ask for a reading anew before a verdict by time (V1)"),
    ("inputs", "inputs compared with the small model"),
    ("CircuitBreakerTriggered", "trips, each agreed with the naive re-count"),
    ("progress deadlines", "of them by the progress deadline alone"),
    ("RollbackStarted", "rollbacks begun"),
    ("RollbackCompleted", "rollbacks completed"),
    ("RolloutCompleted", "rollouts completed"),
    ("RolloutStopped", "rollouts stopped"),
    ("RolloutStalled", "rollouts stalled"),
    ("restarts", "restarts of the operator"),
    ("conflicts", "writes refused as stale"),
    ("requests lost", "requests that never arrived"),
    ("answers lost", "time-outs after success"),
    ("watch events lost", "watch events lost"),
    ("watch events repeated", "watch events repeated"),
    ("creations refused", "ReplicaSets refused"),
    ("ReleaseReplicaSet", "decisions that release a ReplicaSet which somebody had relabelled (W5)"),
    ("make_again", "objects restored without their status"),
    ("worlds settled", "worlds run on until their last rollout had ended"),
    ("scaled afterwards", "times that they were scaled then, and every size followed (R7)"),
)  # fmt: skip


@dataclass
class Soak:
    """What has been done so far."""

    seed: int
    steps: int = 0
    worlds: int = 0
    seen: Counter[str] = field(default_factory=Counter)

    def run(self, steps: int) -> None:
        """Make so many steps.

        Raises:
            CounterexampleError: A world broke a rule; the message begins with its number.
        """
        while self.steps < steps:
            number = self.seed * WORLDS + self.worlds
            try:
                self.steps += visit(number, self.seen)
            except AssertionError as error:
                raise CounterexampleError(f"world {number}: {error}") from error
            self.worlds += 1


def draw(rng: Random, number: int) -> Config:
    """Draw the world of a number."""
    if number % GOOD == 0:
        return draw_good_config(rng)
    return draw_calm_config(rng) if number % CALM == 0 else draw_config(rng)


def visit(number: int, seen: Counter[str], length: int = LENGTH) -> int:
    """Let one world run its course, and return its steps."""
    if number % GUARDED == GUARDED - 1:
        return visit_guarded(number, seen, length)
    rng = Random(number)
    config = draw(rng, number)
    add_surroundings(config, number)
    world = World(config, number)
    try:
        world.run(length)
        world.settle()
    finally:
        close_last_world()
    seen += world.seen
    seen["good worlds"] += config.good
    seen["troubles"] += sum(world.seen[f"trouble: {name}"] for name in TROUBLES)
    seen["inputs"] += walk(rng)
    return world.steps


def visit_guarded(number: int, seen: Counter[str], length: int = LENGTH) -> int:
    """Let one world with a guarded Deployment or StatefulSet run its course; return its steps."""
    config = draw_guard_config(Random(number), good=number % GOOD == 0)
    add_surroundings(config, number)
    world = GuardWorld(config, number)
    try:
        world.run(length)
        world.settle()
    finally:
        close_last_world()
    seen += world.seen
    seen["guarded worlds"] += 1
    seen["good guarded worlds"] += config.good
    return world.steps


def walk(rng: Random) -> int:
    """Play random inputs to the core and to the small model; return how many."""
    play, played = Play(), 0
    for name in rng.choices(sorted(INPUTS), k=WALK):
        if possible(play, name):
            play.act(name)
            played += 1
    return played


def render(soak: Soak, seconds: float) -> str:
    """Return the report."""
    cpu = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    told = (
        f"`make soak SEED={soak.seed}`: **{soak.steps:,} steps** in {soak.worlds:,} worlds, "
        f"no counterexample, {seconds:.0f} s on {cpu}."
    )
    lines = [
        BEGIN,
        "",
        told,
        "",
        "| what happened | times |",
        "|---|---:|",
        *(f"| {words} | {soak.seen[name]:,} |" for name, words in TOLD),
        "",
        END,
    ]
    return "\n".join(lines)


def write(report: str) -> None:
    """Put the report in its place in the docs."""
    before, _, rest = REPORT.read_text().partition(BEGIN)
    REPORT.write_text(before + report + rest.partition(END)[2])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; 1 when something is broken, or a whole run leaves something out."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=WHOLE)
    parser.add_argument("--write", action="store_true", help=f"write the report into {REPORT.name}")
    parser.add_argument("--world", type=int, help="the number of one world to have again")
    chosen = parser.parse_args(arguments)
    if chosen.world is not None:
        print(visit(chosen.world, Counter()), "steps, no counterexample")
        return 0
    soak, began = Soak(chosen.seed), time.monotonic()
    try:
        soak.run(chosen.steps)
    except CounterexampleError as error:
        print(f"after {soak.steps:,} steps: {error}", file=sys.stderr)
        return 1
    report = render(soak, time.monotonic() - began)
    print(report)
    if chosen.write:
        write(report)
    never = [words for name, words in TOLD if not soak.seen[name]]
    if never and soak.steps >= WHOLE:
        print(f"never happened: {'; '.join(never)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
