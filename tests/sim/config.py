"""What one simulated world is like: the wish, the templates and how their pods behave, who meddles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random

from tests.sim.faults import Faults
from tests.sim.images import ImagePlan
from tests.sim.prometheus import AlarmPlan
from tests.sim.receiver import ReceiverPlan
from tests.sim.references import ReferencePlan
from tests.sim.scripts import SCRIPTS
from tests.sim.storms import StormPlan
from tests.sim.templates import BUDGETS, make_template
from tests.sim.troubles import CLOCKS, TROUBLES
from tripswitch.domain.values.failure import Verdict
from tripswitch.domain.values.hooks import EarlySuccess, HookAction, HookSpec, LifecycleStage
from tripswitch.domain.values.pods import ContainerRole, ContainerView
from tripswitch.domain.values.workload import (
    Amount,
    BreakerSpec,
    Percentages,
    PolicyRule,
    Recreate,
    RollingUpdate,
    Spec,
    Strategy,
    Template,
    ThresholdType,
)

SHAPES = (
    (ContainerView("web"),),
    (ContainerView("web"), ContainerView("aux")),
    (ContainerView("setup", ContainerRole.INIT), ContainerView("web")),
    (ContainerView("mesh", ContainerRole.SIDECAR), ContainerView("web")),
)
"""Which containers pods have."""

GOOD = ("good", "slow", "unhurried")
BAD = tuple(
    name
    for name in SCRIPTS
    if name not in (*GOOD, "resized", "rejected", "at_the_last_moment", "slow_pull")
)
NEVER_READY = ("oom", "start_error", "config", "unready", "sidecar")
"""What goes wrong without a pod ever having been Ready."""


@dataclass(slots=True)
class Plan:
    """A template, its containers, and how its pods behave: each draws one of ``ways``."""

    template: Template
    shape: tuple[ContainerView, ...]
    ways: tuple[str, ...]


@dataclass(slots=True)
class Config:
    """One world. Rates are mean seconds between two events; 0 means never."""

    spec: Spec
    plans: list[Plan]
    faults: Faults = field(default_factory=Faults)
    people_every: float = 0.0
    disruption_every: float = 0.0
    restart_every: float = 0.0
    skew: float = 0.0
    slow: float = 0.3
    adversary: str = "random"
    by_hand: bool = True
    """Whether people also touch ReplicaSets and pods."""
    troubles: tuple[str, ...] = ()
    """Which troubles of the control plane there are (:mod:`tests.sim.troubles`)."""
    trouble_every: float = 0.0
    leased: bool = True
    """Whether the operator has to hold a Lease."""
    standby: bool = False
    """Whether a second process waits for the Lease, and the first one loses its network now and then."""
    sees_nodes: bool = True
    """Whether it may read nodes and their Leases (V3)."""
    good: bool = False
    """Every template is good: no failure may be counted, no pod be replaced, no rollout fail."""
    calm: bool = False
    """Nothing takes a healthy pod away, and nobody touches sizes or bounds, except the operator: so the
    bounds must hold of the cluster itself, at every moment."""
    alarms: AlarmPlan | None = None
    """What Prometheus is like; None: there is none. See :mod:`tests.sim.surroundings`."""
    images: ImagePlan | None = None
    """What the image registry is like; None: every image is there, and no node says which it runs."""
    receiver: ReceiverPlan | None = None
    """What receives notifications; None: nobody is to be told."""
    references: ReferencePlan | None = None
    """What becomes of ConfigMaps and ServiceAccounts; None: no template names any, and nothing is looked up."""
    storms: StormPlan | None = None
    """When a node rejects pods; None: never."""


def draw_config(rng: Random) -> Config:
    """Draw a world."""
    plans = [_draw_plan(rng, number) for number in range(1, 6)]
    return Config(
        spec=draw_spec(rng, plans[0].template),
        plans=plans,
        faults=_draw_faults(rng),
        people_every=rng.choice((0, 30, 120, 600)),
        disruption_every=rng.choice((0, 0, 30, 300)),
        restart_every=rng.choice((0, 20, 200)),
        skew=rng.choice((0, 0, 5, 60)),
        slow=rng.choice((0.05, 0.3, 3.0)),
        adversary=rng.choice(("random", "oldest", "newest")),
        by_hand=rng.random() < 0.6,
        leased=rng.random() < 0.5,
        standby=rng.random() < 0.3,
    )


def draw_calm_config(rng: Random) -> Config:
    """Draw a world in which every healthy pod that goes is the operator's doing."""
    config = draw_config(rng)
    config.calm = True
    config.by_hand = False
    config.disruption_every = config.skew = 0
    config.people_every = rng.choice((30, 120))
    config.spec = replace(config.spec, replicas=rng.choice((1, 2, 3, 4, 5, 8)))
    early, strategy = config.spec.early_success, config.spec.strategy
    if early is not None:
        # Fewer healthy pods than L may be enough (E1) only where nobody counts on L: the schema
        # refuses it with percentages.
        least = strategy.minimum_healthy if isinstance(strategy, Percentages) else 100
        percent = max(early.healthy_percent, least)
        config.spec = replace(config.spec, early_success=replace(early, healthy_percent=percent))
    for plan in config.plans:
        bad = rng.random() < 0.5
        plan.ways = (rng.choice(NEVER_READY if bad else ("good", "slow")), "good")
    config.plans[0].ways = ("good",)
    return config


def make_good(rng: Random, config: Config, *, clocks: float) -> None:
    """Give a world only good templates, and a control plane in trouble; of these ``clocks`` have wrong clocks."""
    config.good, config.by_hand = True, False
    config.disruption_every = 0
    config.people_every, config.trouble_every = 300, rng.choice((60, 300))
    config.leased = rng.random() < 0.7
    wrong_clocks = rng.random() < clocks
    config.troubles = CLOCKS if wrong_clocks else tuple(n for n in TROUBLES if n not in CLOCKS)
    # A node's clock that disagrees with the API server's by a minute is beyond what a restart can know.
    config.skew = 0 if wrong_clocks else min(config.skew, 5)
    config.restart_every = 0 if wrong_clocks else config.restart_every
    config.faults.stop = 0 if wrong_clocks else config.faults.stop
    for plan in config.plans:
        plan.ways = (rng.choice(GOOD),)
    config.plans[0].ways = ("good",)


def draw_good_config(rng: Random) -> Config:
    """Draw a world in which every template is good, and the control plane is in trouble."""
    config = draw_config(rng)
    make_good(rng, config, clocks=0.3)
    config.spec = replace(
        config.spec,
        replicas=rng.choice((1, 2, 3, 5)),
        breaker=BreakerSpec(
            rollback=rng.random() < 0.8,
            threshold_type=ThresholdType.COUNT,
            threshold_value=rng.choice((1, 3)),
        ),
        progress_deadline=rng.choice((None, 600)),
        paused=False,
        # Nobody answers: a hook that rolls back would end a good rollout, as it was asked to.
        hooks=tuple(
            replace(hook, timeout_action=HookAction.CONTINUE) for hook in config.spec.hooks
        ),
    )
    return config


def draw_spec(rng: Random, template: Template) -> Spec:
    """Draw a wish."""
    return Spec(
        replicas=rng.choice((0, 1, 1, 2, 3, 4, 5, 8)),
        template=template,
        strategy=draw_strategy(rng),
        breaker=draw_breaker(rng),
        min_ready_seconds=rng.choice((None, None, 0, 1, 10)),
        health_check_grace_period=rng.choice((0, 0, 15)),
        progress_deadline=rng.choice((None, 600, 60, 120, 0)),
        revision_history_limit=rng.choice((10, 2, 1, 0)),
        paused=rng.random() < 0.03,
        selector="app=web",
        early_success=draw_early_success(rng),
        hooks=draw_hooks(rng),
    )


def draw_early_success(rng: Random) -> EarlySuccess | None:
    """Draw criteria of an early success (E1); more often none."""
    if rng.random() < 0.75:
        return None
    return EarlySuccess(rng.choice((0, 34, 50, 75, 100)), blocking=rng.random() < 0.5)


def draw_hooks(rng: Random) -> tuple[HookSpec, ...]:
    """Draw hooks (K1); more often none."""
    if rng.random() < 0.75:
        return ()
    pre, post = LifecycleStage.PRE_SCALE_UP, LifecycleStage.POST_SCALE_UP
    return tuple(
        HookSpec(
            rng.choice(((pre,), (post,), (pre, post))),
            timeout_seconds=60 * rng.choice((1, 2, 10)),
            timeout_action=rng.choice(tuple(HookAction)),
        )
        for _ in range(rng.choice((1, 1, 2)))
    )


def draw_strategy(rng: Random) -> Strategy:
    """Draw one of the ways to say how fast."""
    roll = rng.random()
    if roll < 0.35:
        return Percentages()
    if roll < 0.65:
        return Percentages(rng.choice((0, 34, 50, 75, 100)), rng.choice((100, 110, 125, 150, 200)))
    if roll < 0.9:
        return RollingUpdate(_draw_amount(rng), _draw_amount(rng))
    return Recreate()


def draw_breaker(rng: Random) -> BreakerSpec:
    """Draw a breaker."""
    kind = rng.choice((ThresholdType.BOUNDED_PERCENT, *ThresholdType))
    value = rng.choice((1, 2, 3, 5)) if kind is ThresholdType.COUNT else rng.choice((20, 50, 100))
    return BreakerSpec(
        enable=rng.random() < 0.92,
        rollback=rng.random() < 0.8,
        reset_on_healthy_task=rng.random() < 0.7,
        threshold_type=kind,
        threshold_value=value,
        policy=_draw_policy(rng),
    )


def _draw_policy(rng: Random) -> tuple[PolicyRule, ...]:
    if rng.random() < 0.75:
        return ()
    return (
        rng.choice(
            (
                PolicyRule(Verdict.IGNORE, frozenset({"ErrImagePull", "ImagePullBackOff"})),
                PolicyRule(Verdict.FAIL_NOW, container="web", exit_codes=frozenset({78})),
                PolicyRule(Verdict.IGNORE, container="aux"),
                PolicyRule(Verdict.COUNT, frozenset({"OutOfcpu", "NodeAffinity"})),
                PolicyRule(Verdict.IGNORE, exit_codes=frozenset({1}), exit_codes_negated=True),
            )
        ),
    )


def _draw_amount(rng: Random) -> Amount:
    if rng.random() < 0.5:
        return Amount(rng.choice((0, 25, 50, 100)), percent=True)
    return Amount(rng.choice((0, 1, 2)))


def _draw_plan(rng: Random, number: int) -> Plan:
    shape, probed = rng.choice(SHAPES), rng.random() < 0.6
    budget = rng.choice(BUDGETS) if probed or rng.random() < 0.5 else None
    template = make_template(f"v{number}", shape, budget, probed=probed)
    return Plan(template, shape, draw_ways(rng, good=0.8 if number == 1 else 0.35))


def draw_ways(rng: Random, *, good: float) -> tuple[str, ...]:
    """Draw how the pods of a template behave: all well, all one fault, or a mixture."""
    roll = rng.random()
    if roll < good:
        return rng.choice((("good",), ("good",), ("slow",), ("good", "resized")))
    if roll < good + (1 - good) * 0.55:
        return (rng.choice(BAD),)
    some = _sample(rng, BAD, rng.randint(1, 3))
    return (*some, *(("rejected",) if rng.random() < 0.2 else ()), *("good",) * rng.randint(1, 6))


def _sample(rng: Random, names: Sequence[str], count: int) -> tuple[str, ...]:
    return tuple(rng.choice(names) for _ in range(count))


def _draw_faults(rng: Random) -> Faults:
    if rng.random() < 0.25:
        return Faults(lag=0.01)
    return Faults(
        lag=rng.choice((0.01, 0.1, 1.0)),
        stall=rng.choice((0.0, 0.002, 0.02)),
        lost=rng.choice((0.0, 0.01, 0.05)),
        repeated=rng.choice((0.0, 0.05)),
        conflict=rng.choice((0.0, 0.02, 0.2)),
        unreachable=rng.choice((0.0, 0.02, 0.1)),
        timeout=rng.choice((0.0, 0.02, 0.1)),
        stop=rng.choice((0.0, 0.01, 0.1)),
        zombie=rng.choice((0.0, 0.5)),
    )
