"""What some worlds have besides the cluster: Prometheus, an image registry, ConfigMaps, a node that rejects pods.

Each is drawn from a stream of its own, by the number of the world: everything else in a world is drawn as if there
were none of them.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

from tests.sim.config import GOOD, NEVER_READY, Config, draw_ways
from tests.sim.faults import Faults
from tests.sim.guard_config import GuardConfig
from tests.sim.images import ImagePlan
from tests.sim.prometheus import LABELS, AlarmPlan
from tests.sim.receiver import ReceiverPlan
from tests.sim.references import ReferencePlan
from tests.sim.storms import StormPlan
from tests.sim.templates import with_references
from tripswitch.domain.values.alarms import AlarmSpec
from tripswitch.domain.values.images import VersionConsistency
from tripswitch.domain.values.references import References
from tripswitch.domain.values.workload import Retention, Template

NAMES = ("Errors", "Slow")
BAKES = (60, 60, 120, 300)
"""Bake times, in seconds."""


def add_surroundings(config: Config, number: int) -> None:
    """Draw what there is around the world of a number."""
    alarms, images, storms = (Random(f"{number}-{name}") for name in ("alarms", "images", "storms"))
    kept = Random(f"{number}-retention")
    if kept.random() < 0.3 and not isinstance(config, GuardConfig):
        keep_failed_pods(config, kept)
    told = Random(f"{number}-receiver")
    if told.random() < 0.3:
        config.receiver = ReceiverPlan(told.choice((0.0, 0.1, 0.5)), told.choice((0.0, 0.1)))
    if isinstance(config, GuardConfig):
        add_owners(config, Random(f"{number}-owners"))
    named = Random(f"{number}-references")
    if named.random() < 0.4:
        add_references(config, named)
    if alarms.random() < 0.4:
        add_alarms(config, alarms)
    if images.random() < 0.5:
        add_images(config, images)
    if storms.random() < 0.3 and not isinstance(config, GuardConfig):
        add_storms(config, storms)


def add_owners(config: GuardConfig, rng: Random) -> None:
    """Have the breaker made for a label, or a second one made; or people delete the pods themselves."""
    if config.good:
        return
    roll = rng.random()
    if roll < 0.25:
        config.labelled = config.switches = True
    elif roll < 0.5:
        config.rivals = True
    config.on_delete = rng.random() < 0.3


def keep_failed_pods(config: Config, rng: Random) -> None:
    """Have failing pods set aside for a look (failedPodRetention)."""
    retention = Retention(rng.choice((1, 2, 3)), ttl=rng.choice((60, 300)))
    config.spec = replace(config.spec, retention=retention)


def add_alarms(config: Config, rng: Random) -> None:
    """Have the workload ask for alarms, for a bake time, or for both (rules A)."""
    bake, asked = rng.choice((0, *BAKES)), None
    if rng.random() < 0.85:
        names = NAMES[: rng.choice((1, 2))]
        labels = LABELS if rng.random() < 0.5 else {}
        asked = AlarmSpec(names, labels, rollback=rng.random() < 0.8)
        config.alarms = AlarmPlan(names, rng.choice((20, 60, 300)), harmless=config.good)
    if isinstance(config, GuardConfig):
        config.protection = replace(config.protection, alarms=asked, bake_seconds=bake)
    else:
        config.spec = replace(config.spec, alarms=asked, bake_seconds=bake)


def add_images(config: Config, rng: Random) -> None:
    """Have nodes pull images, from a registry in which things happen (rules D, F8 and F9)."""
    guarded = isinstance(config, GuardConfig)
    containers = {one.container for plan in config.plans for one in plan.template.containers}
    some = sorted(containers)
    config.images = ImagePlan(
        always=rng.random() < 0.5,
        local=frozenset({rng.choice(some)} if rng.random() < 0.15 else ()),
        foreign=rng.choice((0.0, 0.0, 0.0, 0.2)),
        push_every=rng.choice((0, 30, 120)),
        delete_every=0 if config.good or guarded else rng.choice((0, 60, 300)),
        away_every=rng.choice((0, 600)) if config.good else rng.choice((0, 120, 600)),
        harmless=config.good,
        ways=_draw_ways(config, rng),
    )
    if not guarded and rng.random() < 0.1:
        consistency = rng.choice(
            (VersionConsistency(enabled=False), VersionConsistency(exclusions=frozenset({"web"})))
        )
        config.spec = replace(config.spec, consistency=consistency)


def _draw_ways(config: Config, rng: Random) -> tuple[tuple[str, ...], ...]:
    if config.good:
        return tuple((name,) for name in GOOD)
    if config.calm:
        return (("good",), ("slow",), (rng.choice(NEVER_READY),))
    return tuple(draw_ways(rng, good=0.4) for _ in range(4))


def add_references(config: Config, rng: Random) -> None:
    """Have templates name ConfigMaps and a ServiceAccount, which are deleted and made again (B9)."""
    for number, plan in enumerate(config.plans, 1):
        if rng.random() < 0.8:
            plan.template = _draw_references(plan.template, number, rng)
    first = config.plans[0].template
    config.spec = replace(config.spec, template=first)
    if isinstance(config, GuardConfig):
        config.workload = replace(config.workload, template=first)
    config.references = ReferencePlan(
        every=0 if config.good else rng.choice((30, 120, 600)),
        longest=rng.choice((20, 120, 1200)),
        forbidden=rng.random() < 0.1,
    )


def _draw_references(template: Template, number: int, rng: Random) -> Template:
    """Some have a ConfigMap of their own, as a hash in its name makes it; some share one."""
    names = {rng.choice((f"settings-{number}", f"settings-{number}", "words")) for _ in range(2)}
    accounts = ("web",) if rng.random() < 0.3 else ()
    some = tuple(sorted(names)) if not accounts or rng.random() < 0.8 else ()
    return with_references(template, References(some, accounts), as_volume=rng.random() < 0.5)


def add_storms(config: Config, rng: Random) -> None:
    """Have a node reject all pods now and then (R8)."""
    strict = rng.random() < 0.5 and not config.good
    config.storms = StormPlan(
        every=rng.choice((120, 600)),
        longest=rng.choice((60, 600, 1800)),
        share=rng.choice((1.0, 1.0, 0.7)),
        strict=strict,
    )
    if config.good:
        # A rollout that cannot get a pod on any node for ten minutes fails by its progress deadline (P1).
        config.storms.every, config.storms.longest, config.storms.share = 900, 60, 1.0
    if strict:
        config.faults = Faults(lag=0.05)
        config.restart_every = 0
        config.standby = False
        config.by_hand = False  # a ReplicaSet that left the selector is not ours to brake (W5)
