"""What a simulated world with a guarded Deployment or StatefulSet is like (rules G).

Trips are to happen often: templates are bad more often than not, thresholds are small, and most
worlds begin with a revision that completes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from tests.sim.config import (
    GOOD,
    Config,
    draw_breaker,
    draw_config,
    draw_ways,
    make_good,
)
from tests.sim.objects import RawDeployment, RawStateful, RawWorkload
from tripswitch.domain.values.protection import Mode, Protection, WorkloadKind
from tripswitch.domain.values.workload import (
    Amount,
    BreakerSpec,
    Recreate,
    RollingUpdate,
    Strategy,
    ThresholdType,
)

OFTEN_BAD = ("crash", "oom", "image", "config", "start_error", "setup_fails", "unready", "late")
"""Ways to fail of which a breaker is sure to hear."""


@dataclass(slots=True)
class GuardConfig(Config):
    """One world with a guarded workload. ``spec`` of the base class is not used."""

    stateful: bool = False
    mode: Mode = Mode.ENFORCE
    protection: Protection = Protection(WorkloadKind.DEPLOYMENT, "web")
    workload: RawWorkload = RawDeployment("web", "", 0, None)  # type: ignore[arg-type]
    apply_every: float = 0.0
    """Mean seconds between two times that a tool applies the manifest again (GitOps)."""
    forces: bool = False
    """Whether that tool writes ``paused: false``, or the partition, too."""
    autoscale_every: float = 0.0
    """Mean seconds between two writes of a HorizontalPodAutoscaler."""
    break_every: float = 0.0
    """Mean seconds between two times that a template is applied which is sure to fail."""
    stall: float = 0.0
    """Probability that the workload controllers hear of something up to 20 s late."""
    switches: bool = False
    """Whether people change the mode."""
    labelled: bool = False
    """Whether the breaker is made for a label of the workload, which people change (G8)."""
    rivals: bool = False
    """Whether people make and delete a second breaker for the workload (G1)."""
    on_delete: bool = False
    """Whether people give a StatefulSet the update strategy OnDelete, and take it away again."""


def draw_guard_config(rng: Random, *, good: bool = False) -> GuardConfig:
    """Draw a world; with ``good``, one of good templates in a control plane in trouble."""
    base = draw_config(rng)
    config = GuardConfig(**{name: getattr(base, name) for name in Config.__slots__})
    config.calm = False
    config.stateful = rng.random() < 0.4
    config.mode = Mode.OBSERVE if rng.random() < 0.2 else Mode.ENFORCE
    config.protection = _draw_protection(rng, config)
    _draw_plans(rng, config)
    config.workload = _draw_workload(rng, config)
    config.people_every = rng.choice((30, 60, 120, 300))
    config.break_every = rng.choice((0, 60, 120, 240))
    config.disruption_every = rng.choice((0, 0, 60, 300))
    config.restart_every = rng.choice((0, 0, 60, 300))
    config.apply_every = rng.choice((0, 0, 5, 60))
    config.forces = rng.random() < 0.3
    config.autoscale_every = rng.choice((0, 0, 0, 15, 60))
    config.stall = rng.choice((0.0, 0.01, 0.05))
    config.switches = config.mode is Mode.ENFORCE and rng.random() < 0.2
    if good:
        _make_good(rng, config)
    return config


def _make_good(rng: Random, config: GuardConfig) -> None:
    make_good(rng, config, clocks=0.2)
    config.break_every = 0
    breaker = BreakerSpec(threshold_type=ThresholdType.COUNT, threshold_value=rng.choice((1, 3)))
    config.protection = replace(config.protection, breaker=breaker, progress_deadline=None)
    changes = {"replicas": rng.choice((1, 2, 3, 5))}
    config.workload = replace(config.workload, **changes)  # type: ignore[arg-type]
    if isinstance(config.workload, RawDeployment):
        config.workload = replace(config.workload, deadline=rng.choice((None, 600)))


def draw_protection_settings(rng: Random) -> BreakerSpec:
    """Draw a breaker that trips soon, most of the time."""
    drawn = replace(draw_breaker(rng), enable=True, rollback=rng.random() < 0.9)
    if rng.random() < 0.7:
        kind, value = ThresholdType.COUNT, rng.choice((1, 2, 3))
        drawn = replace(drawn, threshold_type=kind, threshold_value=value, policy=())
    return drawn


def _draw_protection(rng: Random, config: GuardConfig) -> Protection:
    kind = WorkloadKind.STATEFUL_SET if config.stateful else WorkloadKind.DEPLOYMENT
    return Protection(
        kind,
        "web",
        config.mode,
        draw_protection_settings(rng),
        min_ready_seconds=rng.choice((None, None, 0, 1, 10)),
        health_check_grace_period=rng.choice((0, 0, 15)),
        progress_deadline=rng.choice((None, 60, 120, 600)),
    )


def _draw_plans(rng: Random, config: GuardConfig) -> None:
    for number, plan in enumerate(config.plans):
        plan.ways = draw_guard_ways(rng, first=not number)
    if all(plan.ways == ("good",) for plan in config.plans):
        config.plans[1].ways = ("crash",)


def draw_guard_ways(rng: Random, *, first: bool = False) -> tuple[str, ...]:
    """Draw how the pods of a template behave: good, always bad, or any mixture."""
    if first and rng.random() < 0.9:
        return ("good",)
    roll = rng.random()
    if roll < 0.3:
        return (rng.choice(GOOD),)
    if roll < 0.8:
        return (rng.choice(OFTEN_BAD),)
    return draw_ways(rng, good=0.2)


def _draw_workload(rng: Random, config: GuardConfig) -> RawWorkload:
    template, replicas = config.plans[0].template, rng.choice((1, 2, 2, 3, 3, 4, 5))
    limit, min_ready = rng.choice((10, 10, 2, 1, 0)), rng.choice((0, 0, 5, 10))
    labels = (("team", "shop"),)
    if config.stateful:
        return RawStateful(
            "web",
            "",
            replicas,
            template,
            parallel=rng.random() < 0.4,
            min_ready=min_ready,
            history_limit=limit,
            labels=labels,
        )
    return RawDeployment(
        "web",
        "",
        replicas,
        template,
        _draw_strategy(rng),
        min_ready=min_ready,
        deadline=rng.choice((600, 600, 60, None)),
        history_limit=limit,
        notes=(("example.org/note", "kept"),),
        labels=labels,
    )


def _draw_strategy(rng: Random) -> Strategy:
    if rng.random() < 0.15:
        return Recreate()
    bounds = ((25, 25), (100, 0), (50, 50), (25, 0))
    if rng.random() < 0.6:
        surge, missing = rng.choice(bounds)
        return RollingUpdate(Amount(surge, percent=True), Amount(missing, percent=True))
    surge, missing = rng.choice(((1, 0), (0, 1), (1, 1), (2, 0)))
    return RollingUpdate(Amount(surge), Amount(missing))
