"""A good rollout that meets a trouble of the control plane, while its pods are not Ready yet (rules V).

None may count a failure, replace a pod or end the rollout, and the rollout completes in the end. The
referee stops the world at the first decision that does harm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

import pytest

from tests.sim.config import Config, Plan, draw_good_config
from tests.sim.faults import Faults
from tests.sim.kubelet import BACK_OFFS
from tests.sim.operator import Decide
from tests.sim.referee import CounterexampleError
from tests.sim.templates import make_template
from tests.sim.troubles import CLOCKS, NODES, TROUBLES
from tests.sim.world import MakeTime, SimulatedTime, World
from tripswitch.domain.decide import decide
from tripswitch.domain.values.decision import Decision
from tripswitch.domain.values.node_life import Life
from tripswitch.domain.values.pods import ContainerView
from tripswitch.domain.values.sight import (
    CURRENT,
    REPORT_SECONDS,
    AttemptEvent,
    Sight,
    Standstill,
)
from tripswitch.domain.values.snapshot import Snapshot
from tripswitch.domain.values.states import RolloutStatus
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.workload import (
    BreakerSpec,
    Percentages,
    Recreate,
    Spec,
    Strategy,
    ThresholdType,
)
from tripswitch.shell.clock import ServerClock
from tripswitch.shell.wiring import KIT, Kit

SETTLED = 60.0
MOMENTS = (0.0, 3.0, 20.0)
"""Seconds after the good template is applied: before its pods are there, before they run, and after."""
MOMENTS_OF_CLOCKS = (-45.0, *MOMENTS)
"""The operator follows its server's clock after a minute: when pods have begun to run, too."""
LATE = 45.0
"""When the pods have run for most of the time that they have."""
A_WHILE = 2_400.0
"""Longer than any trouble and everything that follows from it."""


@dataclass(frozen=True)
class Broken:
    """What is broken on purpose, in the core or in what the operator knows; nothing by default."""

    kit: Kit = KIT
    make_time: MakeTime = SimulatedTime


NOTHING = Broken()


@dataclass(frozen=True)
class Story:
    """A trouble that begins some seconds after a good template was applied."""

    trouble: str
    moment: float
    way: str = "unhurried"
    strategy: Strategy = Percentages()
    leased: bool = True
    sees_nodes: bool = True
    replicas: int = 4
    threshold: int = 1
    restart: float | None = None
    """The operator is restarted so many seconds after the trouble began."""
    good: bool = True
    """No failure at all may be counted; else no more than one for each pod."""


def tell(story: Story, seed: int, broken: Broken = NOTHING) -> World:
    """Play a story to its end."""
    shape = (ContainerView("web"),)
    old, new = (make_template(name, shape, 31.0) for name in ("v1", "v2"))
    breaker = BreakerSpec(threshold_type=ThresholdType.COUNT, threshold_value=story.threshold)
    spec = Spec(story.replicas, old, breaker=breaker, strategy=story.strategy)
    plans = [Plan(old, shape, ("good",)), Plan(new, shape, (story.way,))]
    config = Config(
        spec,
        plans,
        Faults(lag=0.02),
        good=story.good,
        leased=story.leased,
        sees_nodes=story.sees_nodes,
        troubles=(story.trouble,),
    )
    world = World(config, seed, kit=broken.kit, make_time=broken.make_time)
    world.run_until(world.now + SETTLED)

    def apply() -> None:
        world.api.put_guarded(spec=replace(spec, template=new))

    world.later(max(0.0, -story.moment), apply)
    world.later(max(0.0, story.moment), lambda: world.troubles.begin(story.trouble))
    if story.restart is not None:
        world.later(story.moment + story.restart, world.restart)
    world.run_until(world.now + A_WHILE)
    return world


def expect_success(world: World) -> None:
    assert world.api.guarded is not None
    status = world.api.guarded.status
    assert status.memory.rollout is not None
    assert status.memory.rollout.status is RolloutStatus.SUCCESSFUL, status.memory.rollout
    assert status.memory.rollout.revision == 2


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_good_rollout_outlives_every_trouble(trouble: str) -> None:
    for moment in MOMENTS_OF_CLOCKS if trouble in CLOCKS else MOMENTS:
        for leased, seed in ((True, 1), (False, 2)):
            expect_success(tell(Story(trouble, moment, leased=leased), seed))


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_good_rollout_whose_time_has_nearly_run_out_does_too(trouble: str) -> None:
    for leased, seed in ((True, 3), (False, 4)):
        expect_success(tell(Story(trouble, LATE, "at_the_last_moment", leased=leased), seed))


@pytest.mark.parametrize("trouble", ["short_outage", "long_outage", "long_lost_storage"])
def test_a_restart_right_after_an_outage_does_no_harm(trouble: str) -> None:
    """The process that takes over does not know of the outage, and kubelets have yet to report."""
    length = 60.0 if trouble == "short_outage" else 300.0
    for seed, after in ((1, 12.0), (2, 15.0), (3, 20.0)):
        expect_success(tell(Story(trouble, 20.0, restart=length + after), seed))


def test_a_node_that_dies_just_before_its_pods_would_be_ready_does_no_harm() -> None:
    for seed in range(1, 6):
        expect_success(tell(Story("dead_node", LATE, "at_the_last_moment"), seed))


@pytest.mark.parametrize("trouble", ["no_controllers", "no_scheduler", "dead_node", "short_outage"])
def test_a_good_rollout_of_recreate_does_too(trouble: str) -> None:
    for moment in MOMENTS:
        expect_success(tell(Story(trouble, moment, strategy=Recreate()), 4))


@pytest.mark.parametrize("trouble", sorted(set(TROUBLES) - set(NODES)))
def test_without_the_right_to_read_nodes_other_troubles_do_no_harm(trouble: str) -> None:
    for moment, way in ((3.0, "unhurried"), (20.0, "unhurried"), (LATE, "at_the_last_moment")):
        expect_success(tell(Story(trouble, moment, way, sees_nodes=False), 5))


def test_a_pull_that_takes_minutes_after_one_that_broke_off_is_one_failure() -> None:
    """F2: counted by the attempts that the events tell of, not by the time that has passed."""
    for seed in range(1, 4):
        world = tell(PULL, seed)
        expect_success(world)
        assert world.api.guarded is not None
        record = world.api.guarded.status.memory.revisions[0]
        assert record.failed_tasks == PULL.replicas


@pytest.mark.parametrize("number", range(1, 9))
def test_no_generated_good_world_is_harmed(number: int) -> None:
    world = World(draw_good_config(Random(number)), number)
    world.run(1_500)
    world.settle()
    assert world.seen["good rollouts completed"] == 1
    assert world.seen["decisions"] > 20


# --- rules V are broken on purpose, and each time it is found out -----------------------------------


def with_sight(change: Callable[[Sight], Sight]) -> Broken:
    def broken(snapshot: Snapshot, now: Instant) -> Decision:
        return decide(replace(snapshot, sight=change(snapshot.sight)), now)

    return Broken(Kit(decide=broken))


def without_the_time_to_report(sight: Sight) -> Sight:
    stood = (
        Standstill(one.began, max(one.began, one.ended - REPORT_SECONDS))
        for one in sight.standstills
    )
    return replace(sight, standstills=tuple(stood))


def never_holds_the_clock(snapshot: Snapshot, now: Instant) -> Decision:
    status = snapshot.guarded.status
    if status.memory.rollout is not None:
        status = replace(
            status,
            memory=replace(status.memory, rollout=replace(status.memory.rollout, held_at=None)),
        )
    return decide(replace(snapshot, guarded=replace(snapshot.guarded, status=status)), now)


def counts_back_offs(snapshot: Snapshot, now: Instant) -> Decision:
    """What could have been tried by now is taken for tried."""
    counted = snapshot.guarded.status.memory.circuit_breaker.counted
    due = [sum(BACK_OFFS[:number]) for number in range(len(BACK_OFFS))]
    events = tuple(
        AttemptEvent(
            entry.pod,
            tally.container,
            "Error: it cannot be started",
            sum(now >= tally.since + seconds for seconds in due),
        )
        for entry in counted
        for tally in entry.containers
        if tally.since is not None
    )
    return decide(replace(snapshot, sight=replace(snapshot.sight, as_of=now, events=events)), now)


def with_life_that_looks_fresh(sight: Sight) -> Sight:
    assert sight.lives is not None
    lives = sight.lives.items()
    return replace(
        sight, lives={node: replace(life, alive_at=life.seen_at) for node, life in lives}
    )


def make_gullible() -> Decide:
    """Return a core for which any renewal is proof that was not seen by the look before."""
    known: dict[str, Life] = {}

    def trusting(node: str, life: Life) -> Life:
        before = known.get(node)
        if before is not None and before.seen_at < life.seen_at:
            renewed = before.renewal != life.renewal
            life = replace(life, alive_at=before.seen_at if renewed else before.alive_at)
        elif before is not None and before.seen_at == life.seen_at:
            life = before
        known[node] = life
        return life

    def broken(snapshot: Snapshot, now: Instant) -> Decision:
        lives = (snapshot.sight.lives or {}).items()
        trusted = {node: trusting(node, life) for node, life in lives}
        return decide(replace(snapshot, sight=replace(snapshot.sight, lives=trusted)), now)

    return broken


class HastyClock(ServerClock):
    """Takes every Date at once."""

    def take(self, date: str | None, seconds: float) -> None:
        self._is_set = False
        super().take(date, seconds)


class ForgetfulTime(SimulatedTime):
    """Does not know that nobody has looked before it led."""

    def take_over(self, led_until: Instant | None) -> None:
        """Forget it."""


class SteppingTime(SimulatedTime):
    """Takes what the clock was set forward by for time that has passed."""

    def take_step(self, before: Instant, after: Instant) -> None:
        """Forget it."""


PULL = Story("frozen_watch", 900.0, way="slow_pull", replicas=2, threshold=4, good=False)
HARM = "of a good revision|a good rollout"
HARM_OR_SLEEP = f"{HARM}|was not to be woken"
"""The laws may find it before it does any harm."""
BROKEN = {
    "V1: trusts any view": (
        with_sight(lambda sight: replace(CURRENT, standstills=sight.standstills)),
        [Story(name, 3.0) for name in ("silent_watch", "frozen_watch")],
        HARM,
    ),
    "V2: its clocks run on in an outage": (
        with_sight(lambda sight: replace(sight, standstills=())),
        [Story(name, 20.0, sees_nodes=False) for name in ("short_outage", "lost_storage")],
        HARM,
    ),
    "V2: leaves no time to report": (
        with_sight(without_the_time_to_report),
        [
            Story(name, LATE, "at_the_last_moment", sees_nodes=False)
            for name in ("short_outage", "lost_storage")
        ],
        HARM,
    ),
    "V2: forgets that nobody has looked": (
        Broken(make_time=ForgetfulTime),
        [
            Story("dead_control_plane", 20.0, leased=leased, sees_nodes=False)
            for leased in (True, False)
        ],
        HARM,
    ),
    "V3: takes every node for alive": (
        with_sight(lambda sight: replace(sight, lives=None)),
        [Story("dead_node", moment) for moment in MOMENTS],
        HARM,
    ),
    "V3: takes a Lease that looks fresh for life": (
        with_sight(with_life_that_looks_fresh),
        [Story("dead_node", LATE, "at_the_last_moment")],
        HARM,
    ),
    "V3: takes the first renewal after a gap for proof": (
        Broken(Kit(decide=make_gullible())),
        [Story("lost_node", LATE - number, "at_the_last_moment") for number in range(0, 15, 5)],
        HARM,
    ),
    "V4: takes every time that it is told": (
        Broken(make_time=lambda steady, wall: SimulatedTime(steady, wall, HastyClock)),
        [Story("two_clocks", moment) for moment in MOMENTS],
        HARM,
    ),
    "V4: takes a step of the clock for time that passed": (
        Broken(make_time=SteppingTime),
        [Story("clock_forward", moment) for moment in MOMENTS_OF_CLOCKS],
        HARM,
    ),
    "P1: runs while nobody could have acted": (
        Broken(Kit(decide=never_holds_the_clock)),
        [Story(name, 0.0) for name in ("no_controllers", "no_scheduler")],
        HARM_OR_SLEEP,
    ),
    "F2: counts the back-offs that have passed": (
        Broken(Kit(decide=counts_back_offs)),
        [PULL],
        "re-count|was not to be woken",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_v_is_found_out(name: str) -> None:
    broken, stories, words = BROKEN[name]
    with pytest.raises(CounterexampleError, match=words):
        tell_all(stories, broken)


def tell_all(stories: Sequence[Story], broken: Broken) -> None:
    for seed in range(1, 6):
        for story in stories:
            tell(story, seed, broken)
