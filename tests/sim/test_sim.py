"""The simulated cluster: generated worlds break no rule, and a broken core is found out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from tests.sim.config import Config, Plan, draw_calm_config, draw_config
from tests.sim.faults import Faults
from tests.sim.operator import Decide
from tests.sim.referee import CounterexampleError
from tests.sim.scripts import SCRIPTS
from tests.sim.soak import Soak, render, visit
from tests.sim.templates import make_template
from tests.sim.world import World
from tripswitch.domain.decide import decide
from tripswitch.domain.values.decision import Decision, EventReason
from tripswitch.domain.values.pods import ContainerView
from tripswitch.domain.values.snapshot import Snapshot
from tripswitch.domain.values.states import RolloutState, RolloutStatus
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.workload import (
    BreakerSpec,
    Percentages,
    Spec,
    Template,
    ThresholdType,
)
from tripswitch.shell.wiring import Kit

WORLDS = range(1, 13)
LENGTH = 500


@pytest.mark.parametrize("number", WORLDS)
def test_no_generated_world_breaks_a_rule(number: int) -> None:
    """Invariants, laws, the re-count (T5, F7) and, in each sixth one, the bounds of the cluster."""
    seen: Counter[str] = Counter()
    assert visit(number, seen, LENGTH) > 0
    assert seen["decisions"] > 15


def test_the_worlds_together_see_what_they_are_made_for() -> None:
    soak = Soak(seed=1)
    soak.run(9_000)
    for what in ("CircuitBreakerTriggered", "RollbackStarted", "restarts", "answers lost"):
        assert soak.seen[what] > 0, what
    assert f"**{soak.steps:,} steps**" in render(soak, 1.0)


def test_a_world_comes_again_from_its_number() -> None:
    told = [Counter[str](), Counter[str]()]
    assert visit(7, told[0], 300) == visit(7, told[1], 300)
    assert told[0] == told[1]


# --- restarts -------------------------------------------------------------------------------------


def scripted() -> World:
    """Return a world in which v1 has completed and v2, which crashes, has just been applied."""
    shape = (ContainerView("web"),)
    good, bad = (make_template(name, shape) for name in ("v1", "v2"))
    breaker = BreakerSpec(threshold_type=ThresholdType.COUNT, threshold_value=4)
    spec = Spec(2, good, breaker=breaker)
    plans = [Plan(good, shape, ("good",)), Plan(bad, shape, ("oom",))]
    world = World(Config(spec, plans, Faults(lag=0.02), leased=False), 5)
    world.run_until(world.now + 60)
    world.api.put_guarded(spec=replace(spec, template=bad))
    return world


def template_of(world: World, number: int) -> Template:
    """Return the template of a plan."""
    return world.config.plans[number].template


def finish(world: World) -> Counter[str]:
    """Let it trip and go back; the referee counts along."""
    before = world.seen["writes"]
    world.run_until(world.now + 120)
    assert world.api.guarded is not None
    status = world.api.guarded.status
    assert status.memory.rollout is not None
    assert status.memory.rollout.status is RolloutStatus.ROLLBACK_SUCCESSFUL
    record = next(r for r in status.memory.revisions if r.digest == template_of(world, 1).digest)
    made = world.seen["writes"] - before
    return Counter(writes=made, failures=record.failed_tasks, restarts=world.seen["restarts"])


def test_f7_a_restart_between_any_two_calls_neither_loses_nor_doubles_a_failure() -> None:
    undisturbed = finish(scripted())
    assert undisturbed["failures"] == 4
    for number in range(2 * undisturbed["writes"]):  # before each write, and before its answer
        world = scripted()
        world.config.faults.stop_after = number
        told = finish(world)
        # More pods fail while nobody looks; the re-count has compared the count at every look.
        assert told["failures"] >= undisturbed["failures"], f"stopped at moment {number}"
        assert told["restarts"] == 1, f"not stopped at moment {number}"


def test_w5_a_replica_set_that_left_the_selector_is_replaced_and_taken_back() -> None:
    world = scripted()
    (first,) = world.api.sets.values()
    world.api.put_guarded(spec=world.config.spec)  # v1 alone
    world.run_until(world.now + 60)
    world.api.patch_set(first.uid, matches=False)
    world.run_until(world.now + 60)
    assert world.api.sets[first.uid].guard is None
    assert len(world.api.pods_of(first.uid)) == 2, "nobody touches its pods"
    (made,) = (rs for rs in world.api.sets.values() if rs.uid != first.uid)
    assert made.template == first.template
    assert world.referee.sizes() == {made.name: 2}
    world.api.patch_set(first.uid, matches=True)
    world.run_until(world.now + 60)
    assert world.referee.sizes() == {first.name: 0, made.name: 2}
    assert {pod.owner for pod in world.api.pods.values()} == {made.uid}


# --- a broken core is found out -------------------------------------------------------------------


def with_spec(change: Callable[[Spec], Spec]) -> Decide:
    def broken(snapshot: Snapshot, now: Instant) -> Decision:
        guarded = snapshot.guarded
        return decide(replace(snapshot, guarded=replace(guarded, spec=change(guarded.spec))), now)

    return broken


def forgets_what_it_counted(snapshot: Snapshot, now: Instant) -> Decision:
    status = snapshot.guarded.status
    memory = replace(status.memory.circuit_breaker, counted=())
    guarded = replace(
        snapshot.guarded,
        status=replace(status, memory=replace(status.memory, circuit_breaker=memory)),
    )
    return decide(replace(snapshot, guarded=guarded), now)


def counts_disruptions(snapshot: Snapshot, now: Instant) -> Decision:
    sets = tuple(
        replace(rs, pods=tuple(replace(p, disrupted=False, deleting=False) for p in rs.pods))
        for rs in snapshot.replica_sets
    )
    return decide(replace(snapshot, replica_sets=sets), now)


def never_wakes(snapshot: Snapshot, now: Instant) -> Decision:
    return replace(decide(snapshot, now), wake_at=None)


def depends_on_the_order(snapshot: Snapshot, now: Instant) -> Decision:
    decision = decide(snapshot, now)
    first = next((rs.name for rs in snapshot.replica_sets), "")
    return replace(
        decision,
        status=replace(decision.status, report=replace(decision.status.report, selector=first)),
    )


def is_never_late(snapshot: Snapshot, now: Instant) -> Decision:
    """It reads the pods anew as it should, and draws no conclusion from it."""
    asked = decide(snapshot, now)
    patient = with_spec(lambda spec: replace(spec, progress_deadline=0))(snapshot, now)
    return replace(patient, check=asked.check, wake_at=asked.wake_at)


def eager(spec: Spec) -> Spec:
    once = replace(spec.breaker, threshold_type=ThresholdType.COUNT, threshold_value=1)
    return replace(spec, breaker=once)


BROKEN = {
    "forgets what it counted (F7)": (forgets_what_it_counted, "F7|count"),
    "trips at the first failure (T5)": (with_spec(eager), "T5"),
    "never trips (T5, P1)": (
        with_spec(lambda spec: replace(spec, breaker=replace(spec.breaker, enable=False))),
        "T5|re-count|S3",
    ),
    "counts disruptions (F5)": (counts_disruptions, "re-count|F5|W1"),
    "is never late (P1)": (is_never_late, "P1"),
    "lowers too far (R3)": (with_spec(lambda spec: replace(spec, strategy=Percentages(0, 100))), "R3"),
    "raises too far (R3)": (with_spec(lambda spec: replace(spec, strategy=Percentages(0, 900))), "R3"),
    "never asks to be woken": (never_wakes, "was not to be woken"),
    "depends on the order of things": (depends_on_the_order, "another order"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_core_is_found_out(name: str) -> None:
    broken, words = BROKEN[name]
    with pytest.raises(CounterexampleError, match=words):
        run_worlds(broken)


def run_worlds(broken: Decide) -> None:
    for number in range(1, 100):
        world = World(draw_config(Random(number)), number, kit=Kit(decide=broken))
        world.run(LENGTH // 2)
        world.settle()


def test_in_a_calm_world_the_cluster_itself_shows_a_broken_bound() -> None:
    """Not only the decision: the pods that are there (R3)."""
    below = with_spec(lambda spec: replace(spec, strategy=Percentages(0, 150)))
    seen = set()
    for number in range(1, 40):
        config = draw_calm_config(Random(number))
        config.spec = replace(config.spec, strategy=Percentages(100, 200), replicas=4)
        world = World(config, number, kit=Kit(decide=below))
        world.services.looked = lambda _: None
        try:
            world.run(LENGTH)
        except CounterexampleError as error:
            seen.add(str(error).partition(",")[1] + str(error).partition(",")[2])
    assert ", at least 4 (R3)" in seen


@pytest.mark.parametrize(("way", "failures"), [("resized", 0), ("restarts_all", 2)])
def test_a_good_rollout_whose_containers_are_restarted_on_purpose_completes(
    way: str, failures: int
) -> None:
    """One failure for each pod that asked for it, none for one that was resized (F1)."""
    world = scripted()
    world.config.plans[1].ways = (way,)
    world.run_until(world.now + 120)
    assert world.api.guarded is not None
    status = world.api.guarded.status
    record = next(r for r in status.memory.revisions if r.digest == template_of(world, 1).digest)
    assert (record.rollout_state, record.failed_tasks) == (RolloutState.COMPLETED, failures)


# --- what it is made of ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_can_be_played_to_its_end(name: str) -> None:
    shape = (ContainerView("web"), ContainerView("aux"))
    made = make_template("v1", shape)
    world = World(Config(Spec(2, made), [Plan(made, shape, (name,))]), 1)
    world.run(250)
    assert world.seen[EventReason.ROLLOUT_STARTED] == 1
