"""A rollout without a cluster: the operator's own ``decide`` in a small world of pods and a clock.

Deterministic: the same manifest and script give the same steps. Only the world around the core is
simulated here; nothing in it knows a rule.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from tripswitch.cli.simulate.kubelet import (
    ATTEMPT_FAILED,
    EVICTED_AFTER,
    Moment,
    is_failed_attempt,
    lose_node,
    play,
)
from tripswitch.cli.simulate.script import Line, Script
from tripswitch.domain.decide import decide
from tripswitch.domain.rules.scaling import Bounds, compute_bounds
from tripswitch.domain.rules.threshold import compute_threshold
from tripswitch.domain.values.decision import (
    Action,
    CreateReplicaSet,
    Decision,
    DeletePod,
    DeleteReplicaSet,
    Event,
    MarkCompleted,
    ScaleReplicaSet,
)
from tripswitch.domain.values.pods import PodView
from tripswitch.domain.values.replica_sets import ReplicaSetView
from tripswitch.domain.values.sight import AttemptEvent, Sight
from tripswitch.domain.values.snapshot import Guarded, Snapshot
from tripswitch.domain.values.status import Status
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.workload import Template

EPOCH: Instant = 1_800_000_000.0
"""When simulations begin; any moment would do."""

ROUNDS = 20
"""Looks at one moment until nothing more is decided; more would be a hot loop."""

OPEN = frozenset({"PENDING", "IN_PROGRESS", "ROLLBACK_IN_PROGRESS"})


@dataclass(frozen=True, slots=True)
class Size:
    """A revision at one moment."""

    revision: int
    pods: int
    healthy: int


@dataclass(frozen=True, slots=True)
class Step:
    """One moment at which something happened; ``at`` is in seconds after the rollout began."""

    at: float
    rollout: str
    stage: str
    count: int
    threshold: int
    sizes: tuple[Size, ...]
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A whole simulation. ``trusted`` lists every look, for whoever wants to check the rules."""

    threshold: int
    bounds: Bounds
    steps: tuple[Step, ...]
    reason: str
    completed: bool
    ended: bool
    trusted: tuple[tuple[Snapshot, Decision, Instant], ...] = field(default=(), repr=False)


class _Pod:
    """One pod: its life is played only as far as somebody looks."""

    def __init__(self, number: int, life: Iterator[Moment], node_lost_at: Instant | None) -> None:
        self.number = number
        self.node_lost_at = node_lost_at
        self._life = life
        self._now = next(life)
        self._ahead = next(life, None)
        self._attempts = 0

    def view(self, now: Instant) -> PodView:
        while self._ahead is not None and self._ahead.at <= now:
            self._now, self._ahead = self._ahead, next(self._life, None)
            self._attempts += is_failed_attempt(self._now.pod)
        lost, pod = self.node_lost_at, self._now.pod
        return lose_node(pod, lost) if lost is not None and lost <= now else pod

    def read_events(self, now: Instant) -> AttemptEvent:
        """Return what its events tell about failed attempts to start it."""
        return AttemptEvent(self.view(now).uid, "", ATTEMPT_FAILED, self._attempts)

    def next_change(self, now: Instant) -> Instant | None:
        self.view(now)
        ahead = [] if self._ahead is None else [self._ahead.at]
        if self.node_lost_at is not None:
            ahead += [self.node_lost_at, self.node_lost_at + EVICTED_AFTER]
        return min((at for at in ahead if at > now), default=None)


@dataclass
class _Set:
    view: ReplicaSetView
    pods: list[_Pod] = field(default_factory=list)


class World:
    """ReplicaSets, pods and a clock around one GuardedDeployment."""

    def __init__(self, guarded: Guarded, now: Instant = EPOCH) -> None:
        self.guarded = guarded
        self.now = now
        self.script = Script()
        self.new_template = ""
        self.trusted: list[tuple[Snapshot, Decision, Instant]] = []
        self._sets: dict[str, _Set] = {}
        self._made = 0
        self._started = 0
        self._version = 0
        self._node_lost_at: Instant | None = None
        self._wake_at: Instant | None = None

    def wish(self, template: Template, script: Script) -> None:
        """Apply a template; pods of it follow the script."""
        spec = replace(self.guarded.spec, template=template)
        self.guarded = replace(self.guarded, spec=spec, generation=self.guarded.generation + 1)
        self.script, self.new_template, self._started = script, template.digest, 0

    def run(self, seconds: float) -> Iterator[Step]:
        """Yield each moment at which something happens, until the rollout has ended.

        Ended means: it is no longer open, and every pod has the size it is to have.
        """
        began, until = self.now, self.now + seconds
        while True:
            events = self._settle()
            yield self._step(began, events)
            following = self._next()
            if following is None or following > until:
                return
            self.now = following
            self._evict()

    def _settle(self) -> tuple[Event, ...]:
        """Look until nothing more is decided at this moment."""
        events: list[Event] = []
        for _ in range(ROUNDS):
            snapshot = self._snapshot()
            decision = decide(snapshot, self.now)
            self.trusted.append((snapshot, decision, self.now))
            self._wake_at = decision.wake_at
            events += decision.events
            self.guarded = replace(self.guarded, status=decision.status)
            for action in decision.actions:
                self._act(action)
            if not decision.actions and decision.status == snapshot.guarded.status:
                return tuple(events)
        raise AssertionError(f"the core does not come to rest at {self.now}")

    def _snapshot(self) -> Snapshot:
        views = [
            replace(one.view, pods=tuple(pod.view(self.now) for pod in one.pods))
            for one in self._sets.values()
        ]
        pods = (pod for one in self._sets.values() for pod in one.pods)
        events = tuple(pod.read_events(self.now) for pod in pods)
        return Snapshot(self.guarded, tuple(views), sight=Sight(self.now, None, events=events))

    def _next(self) -> Instant | None:
        if self.guarded.status.rollout is None:
            return self._wake_at
        if str(self.guarded.status.rollout.status) not in OPEN:
            return None
        changes = [pod.next_change(self.now) for one in self._sets.values() for pod in one.pods]
        ahead = [at for at in (*changes, self._wake_at) if at is not None and at > self.now]
        return min(ahead, default=None)

    def _act(self, action: Action) -> None:
        match action:
            case CreateReplicaSet():
                self._version += 1
                template = self.guarded.spec.template
                view = ReplicaSetView(
                    name=action.name,
                    uid=f"uid-of-{action.name}",
                    revision=action.revision,
                    template=template,
                    size=0,
                    resource_version=str(self._version),
                    created_at=self.now,
                    sized_for=action.sized_for,
                )
                self._sets[action.name] = _Set(view)
                self._resize(action.name, action.size)
            case ScaleReplicaSet():
                one = self._sets[action.name]
                one.view = replace(one.view, sized_for=action.sized_for)
                self._resize(action.name, action.size)
            case MarkCompleted():
                one = self._sets[action.name]
                one.view = replace(one.view, completed_at=action.completed_at)
            case DeleteReplicaSet():
                del self._sets[action.name]
            case DeletePod():
                self._replace({action.uid})

    def _resize(self, name: str, size: int) -> None:
        """What the ReplicaSet controller does: make pods, or delete the least useful ones."""
        one = self._sets[name]
        self._version += 1
        one.view = replace(one.view, size=size, resource_version=str(self._version))
        while len(one.pods) < size:
            one.pods.append(self._make(one.view))
        one.pods.sort(key=lambda pod: (pod.view(self.now).ready_since is None, pod.number))
        del one.pods[size:]

    def _replace(self, uids: set[str]) -> None:
        for one in self._sets.values():
            kept = [pod for pod in one.pods if pod.view(self.now).uid not in uids]
            if len(kept) < len(one.pods):
                one.pods = kept
                self._resize(one.view.name, one.view.size)

    def _evict(self) -> None:
        """Pods of a lost node are deleted after a while, and made again elsewhere."""
        self._replace(
            {
                pod.view(self.now).uid
                for one in self._sets.values()
                for pod in one.pods
                if pod.node_lost_at is not None and pod.node_lost_at + EVICTED_AFTER <= self.now
            }
        )

    def _make(self, replica_set: ReplicaSetView) -> _Pod:
        number, self._made = self._made, self._made + 1
        line = self._line(replica_set)
        lost = self._lost_at(number)
        node = f"node-{number % 2 + 1}" if lost is None or lost > self.now else "node-2"
        name = f"{replica_set.name}-{number}"
        pod = PodView(name=name, uid=f"uid-of-{name}", resource_version=str(number + 1), node=node)
        life = play(pod, line, replica_set.template.readiness, self.now)
        return _Pod(number, life, lost if lost is not None and lost > self.now else None)

    def _line(self, replica_set: ReplicaSetView) -> Line:
        if replica_set.template.digest != self.new_template:
            return Script().act_of(0)
        number, self._started = self._started, self._started + 1
        return self.script.act_of(number)

    def _lost_at(self, number: int) -> Instant | None:
        """Return when the node of a pod is lost: the first of the two nodes has every other pod."""
        return self._node_lost_at if number % 2 == 0 else None

    def lose_first_node(self, at: Instant) -> None:
        """Let the first of the two nodes stop reporting at a moment to come."""
        self._node_lost_at = at
        for one in self._sets.values():
            for pod in one.pods:
                pod.node_lost_at = self._lost_at(pod.number)

    def _step(self, began: Instant, events: tuple[Event, ...]) -> Step:
        status = self.guarded.status
        assert status.rollout is not None
        breaker = status.circuit_breaker
        sizes = tuple(
            Size(record.revision, record.running, record.healthy)
            for record in sorted(status.revisions, key=lambda record: record.revision)
        )
        pods = {one.view.revision: len(one.pods) for one in self._sets.values()}
        return Step(
            at=round(self.now - began, 3),
            rollout=str(status.rollout.status),
            stage=str(breaker.stage),
            count=breaker.failure_count,
            threshold=breaker.threshold,
            sizes=tuple(replace(size, pods=pods.get(size.revision, 0)) for size in sizes),
            events=events,
        )


def rehearse(guarded: Guarded, script: Script, *, first: bool, seconds: float) -> Rehearsal:
    """Play a rollout.

    Args:
        guarded: The object as it would be applied.
        script: What happens to its pods.
        first: It is the very first rollout; otherwise an earlier revision runs and has completed.
        seconds: When to give up.
    """
    template = guarded.spec.template
    world = World(replace(guarded, status=Status(), generation=0))
    if not first:
        world.wish(replace(template, digest="the revision before", images=("before",)), Script())
        for _ in world.run(seconds):
            pass
        world.now += 60.0
        world.trusted.clear()
    world.wish(template, script)
    if script.node_lost_at is not None:
        world.lose_first_node(world.now + script.node_lost_at)
    steps = tuple(_what_changed(world.run(seconds)))
    status = world.guarded.status
    rollout = str(steps[-1].rollout)
    return Rehearsal(
        threshold=compute_threshold(guarded.spec.breaker, guarded.spec.replicas),
        bounds=compute_bounds(guarded.spec.strategy, guarded.spec.replicas),
        steps=steps,
        reason=status.rollout_state_reason,
        completed=rollout == "SUCCESSFUL",
        ended=rollout not in OPEN,
        trusted=tuple(world.trusted),
    )


def _what_changed(steps: Iterator[Step]) -> Iterator[Step]:
    """Leave out moments at which nothing that is shown changed."""
    last: Step | None = None
    for step in steps:
        if last is None or step.events or replace(step, at=last.at, events=last.events) != last:
            yield step
            last = step
