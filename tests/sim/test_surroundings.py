"""Alarms, bakes, images, registries and storms in generated worlds: each broken rule is found out from a seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from random import Random

import pytest

from tests.sim.config import Config, draw_config
from tests.sim.guard_config import GuardConfig, draw_guard_config
from tests.sim.guard_world import GuardWorld
from tests.sim.operator import Decide, MakeGuards
from tests.sim.receiver import ReceiverPlan, Sender
from tests.sim.referee import CounterexampleError
from tests.sim.storms import StormPlan
from tests.sim.surroundings import (
    add_alarms,
    add_images,
    add_references,
    add_storms,
    keep_failed_pods,
)
from tests.sim.world import World
from tripswitch.cluster.executor import Executor
from tripswitch.cluster.reference_watch import ReferenceWatcher
from tripswitch.cluster.resources import Resource
from tripswitch.cluster.store import Record
from tripswitch.cluster.workload_index import Brief
from tripswitch.domain.decide import decide
from tripswitch.domain.values.decision import Action, Decision, DropPod, PinImages
from tripswitch.domain.values.images import DigestNote
from tripswitch.domain.values.memory import Memory
from tripswitch.domain.values.pods import PodPhase, PodView
from tripswitch.domain.values.protection import Mode
from tripswitch.domain.values.references import NO_REFERENCES
from tripswitch.domain.values.snapshot import Snapshot
from tripswitch.domain.values.time import Instant
from tripswitch.shell.guard_line import GuardLine, Shared
from tripswitch.shell.wiring import Kit

WORLDS = 60
STEPS = 800

Add = Callable[[Config, Random], None]


def with_snapshot(change: Callable[[Snapshot, Instant], Snapshot]) -> Decide:
    """Return a core that sees something else than what is there."""
    return lambda snapshot, now: decide(change(snapshot, now), now)


def with_memory(change: Callable[[Memory], Memory]) -> Decide:
    """Return a core that remembers something else than it wrote."""

    def broken(snapshot: Snapshot, now: Instant) -> Decision:
        guarded = snapshot.guarded
        status = replace(guarded.status, memory=change(guarded.status.memory))
        return decide(replace(snapshot, guarded=replace(guarded, status=status)), now)

    return broken


def with_pods(change: Callable[[PodView], PodView]) -> Decide:
    """Return a core that sees other pods than there are."""

    def changed(snapshot: Snapshot, _now: Instant) -> Snapshot:
        sets = (
            replace(rs, pods=tuple(change(pod) for pod in rs.pods)) for rs in snapshot.replica_sets
        )
        return replace(snapshot, replica_sets=tuple(sets))

    return with_snapshot(changed)


def hears_no_alarm(snapshot: Snapshot, _now: Instant) -> Snapshot:
    return replace(snapshot, alarms=replace(snapshot.alarms, alerts=()))


def takes_no_answer_for_a_good_one(snapshot: Snapshot, now: Instant) -> Snapshot:
    return replace(snapshot, alarms=replace(snapshot.alarms, read_at=now, unread_since=None))


def forgets_what_was_on(memory: Memory) -> Memory:
    alarms = memory.alarms
    if alarms is None:
        return memory
    known = tuple(sorted({*alarms.watched_alarm_names, *alarms.ignored_alarm_names}))
    alarms = replace(alarms, watched_alarm_names=known, ignored_alarm_names=(), pending_at_start=())
    return replace(memory, alarms=alarms)


def bakes_for_no_time(snapshot: Snapshot, _now: Instant) -> Snapshot:
    guarded = snapshot.guarded
    return replace(snapshot, guarded=replace(guarded, spec=replace(guarded.spec, bake_seconds=0)))


def sees_no_outage(snapshot: Snapshot, _now: Instant) -> Snapshot:
    return replace(snapshot, outages=())


def believes_any_repository(pod: PodView) -> PodView:
    return replace(
        pod,
        containers=tuple(
            replace(one, image_id=one.image_id.replace("/mirror/", "/library/"))
            for one in pod.containers
        ),
    )


def gives_digests_up(snapshot: Snapshot, _now: Instant) -> Snapshot:
    """As if the registry had said that it has none of those that ReplicaSets are pinned to."""
    pinned = {rs.name for rs in snapshot.replica_sets if rs.pins}
    memory = snapshot.guarded.status.memory
    revisions = tuple(
        replace(
            record,
            container_images=tuple(
                replace(one, digest=None, note=DigestNote.NOT_FOUND)
                for one in record.container_images
            ),
        )
        if record.replica_set in pinned
        else record
        for record in memory.revisions
    )
    status = replace(snapshot.guarded.status, memory=replace(memory, revisions=revisions))
    return replace(snapshot, guarded=replace(snapshot.guarded, status=status))


def takes_failed_pods_for_old(pod: PodView) -> PodView:
    return replace(pod, created_at=0.0) if pod.phase is PodPhase.FAILED else pod


class NeverPins(Executor):
    """Takes it that a ReplicaSet was pinned."""

    async def act(self, record: Record, digest: str, actions: Iterable[Action]) -> Instant | None:
        others = [action for action in actions if not isinstance(action, PinImages)]
        return await super().act(record, digest, others)


class KeepsForEver(Executor):
    """Takes it that a pod that was set aside was deleted."""

    async def act(self, record: Record, digest: str, actions: Iterable[Action]) -> Instant | None:
        others = [action for action in actions if not isinstance(action, DropPod)]
        return await super().act(record, digest, others)


def finds_everything(snapshot: Snapshot, _now: Instant) -> Snapshot:
    reading = snapshot.references
    if reading is None:
        return snapshot
    return replace(snapshot, references=replace(reading, missing=NO_REFERENCES))


class TakesNoListForAnEmptyOne(ReferenceWatcher):
    """Takes it that nothing is there when a list does not come."""

    async def _list(self, resource: Resource, namespace: str) -> set[str] | None:
        return await super()._list(resource, namespace) or set()


class ListsOnce(ReferenceWatcher):
    """Keeps the first reading of a question."""

    def _draw_interval(self, place: object) -> float:
        del place
        return math.inf


@dataclass(frozen=True)
class Broken:
    """What is broken, what a world needs for it, and how it shows."""

    add: Add
    words: str
    decide: Decide = decide
    executor: type[Executor] = Executor
    references: type[ReferenceWatcher] = ReferenceWatcher


def takes_itself_for_the_first(snapshot: Snapshot, _now: Instant) -> Snapshot:
    assert snapshot.protected is not None
    return replace(snapshot, protected=replace(snapshot.protected, rival=""))


def watches_without_a_rollout(snapshot: Snapshot, _now: Instant) -> Snapshot:
    protected = snapshot.protected
    assert protected is not None
    if protected.workload is None:
        return snapshot
    workload = replace(protected.workload, on_delete=False)
    return replace(snapshot, protected=replace(protected, workload=workload))


BROKEN = {
    "hears no alarm": Broken(add_alarms, "an alarm fires", with_snapshot(hears_no_alarm)),
    "forgets what was on": Broken(
        add_alarms, r"all on before it began|\(T5\)", with_memory(forgets_what_was_on)
    ),
    "takes no answer for a good one": Broken(
        add_alarms,
        r"the alarms were read for|all on before it began|\(T5\)",
        with_snapshot(takes_no_answer_for_a_good_one),
    ),
    "bakes for no time": Broken(
        add_alarms, r"with a bake of .*\(A3\)", with_snapshot(bakes_for_no_time)
    ),
    "sees no outage": Broken(add_images, r"\(F7\)|\(T5\)", with_snapshot(sees_no_outage)),
    "never pins": Broken(add_images, r"and the status says .*\(D1\)", executor=NeverPins),
    "believes any repository": Broken(
        add_images, "no pod (of it )?ran it", with_pods(believes_any_repository)
    ),
    "gives digests up": Broken(add_images, "up for no reason", with_snapshot(gives_digests_up)),
    "keeps pods for ever": Broken(
        keep_failed_pods, "kept for longer than asked for", executor=KeepsForEver
    ),
    "finds everything that is missing": Broken(
        add_references,
        r"is missing by the lists, and the status says None \(B9\)",
        with_snapshot(finds_everything),
    ),
    "takes no list for an empty one": Broken(
        add_references, r"never were \[\] \(B9\)", references=TakesNoListForAnEmptyOne
    ),
    "lists once": Broken(
        add_references, r"and the status says frozenset\(.*\) \(B9\)", references=ListsOnce
    ),
    "has no storm brake": Broken(
        add_storms, r"were rejected within 10 minutes \(R8\)", with_pods(takes_failed_pods_for_old)
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_found_out(name: str) -> None:
    broken = BROKEN[name]
    with pytest.raises(CounterexampleError, match=broken.words):
        run_worlds(broken)


def with_rivals(config: GuardConfig) -> None:
    config.rivals, config.labelled = True, False


def with_label(config: GuardConfig) -> None:
    config.labelled = config.switches = True


def with_on_delete(config: GuardConfig) -> None:
    config.on_delete = True


GUARDS: dict[str, tuple[Callable[[GuardConfig], None], Decide, str]] = {
    "takes itself for the first": (
        with_rivals, with_snapshot(takes_itself_for_the_first), r"not its own to watch \(G1\)",
    ),
    "watches without a rollout": (
        with_on_delete, with_snapshot(watches_without_a_rollout), r"\(G1\)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GUARDS)
def test_a_broken_guard_is_found_out(name: str) -> None:
    change, broken, words = GUARDS[name]
    kit = Kit(decide=broken)
    with pytest.raises(CounterexampleError, match=words):
        run_guard_worlds(change, lambda config, number: GuardWorld(config, number, kit=kit))


def run_guard_worlds(
    change: Callable[[GuardConfig], None], make: Callable[[GuardConfig, int], GuardWorld]
) -> None:
    for number in range(1, WORLDS):
        config = draw_guard_config(Random(number))
        change(config)
        world = make(config, number)
        world.run(STEPS)
        world.settle()


def observe_always(brief: Brief) -> Mode | None:
    del brief
    return Mode.OBSERVE


class DeafToLabels(GuardWorld):
    """Its operator observes whatever a label asks for."""

    def _make_guards(self) -> MakeGuards | None:
        make = super()._make_guards()
        assert make is not None

        def broken(shared: Shared, kit: Kit) -> GuardLine:
            line = make(shared, kit)
            line.opt_in.find_mode = observe_always  # type: ignore[method-assign]
            return line

        return broken


def test_g8_a_label_that_is_not_followed_is_found_out() -> None:
    with pytest.raises(CounterexampleError, match=r"the label says \w+.*\(G8\)"):
        run_guard_worlds(with_label, DeafToLabels)


class ForgetsTheStart(Sender):
    """Gives the notifications of all rollouts of a revision the same ids."""

    def tell(self, about: Record, decision: Decision) -> None:
        memory = decision.status.memory
        rollout = None if memory.rollout is None else replace(memory.rollout, started_at=0.0)
        status = replace(decision.status, memory=replace(memory, rollout=rollout))
        super().tell(about, replace(decision, status=status))


def test_notifications_that_a_receiver_would_drop_are_found_out() -> None:
    with pytest.raises(CounterexampleError, match="a receiver drops"):
        run_told_worlds()


def run_told_worlds() -> None:
    for number in range(1, WORLDS):
        config = draw_config(Random(number))
        config.receiver = ReceiverPlan(fails=0.1, loses=0.1)
        world = World(config, number)
        receiver = world.receiver
        assert receiver is not None
        world.services.notifier = partial(ForgetsTheStart, receiver)
        world.run(STEPS)


def run_worlds(broken: Broken) -> None:
    for number in range(1, WORLDS):
        config = draw_config(Random(number))
        broken.add(config, Random(f"{number}-added"))
        if config.storms is not None:
            config.storms = StormPlan(60, 1800, share=1.0, strict=True)
        kit = Kit(decide=broken.decide, executor=broken.executor, references=broken.references)
        world = World(config, number, kit=kit)
        world.run(STEPS)
        world.settle()
