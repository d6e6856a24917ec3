"""A tiny cluster driven by hand, to tell the rules as stories.

Nothing moves by itself: ``look`` lets ``decide`` look and carries out what it decided, ReplicaSets
make pods that wait for their images, and the test says what becomes of the pods. Every look also
checks what must hold at any look (W1, W3): a second look finds nothing more, neither at the same
moment nor at any moment before ``wake_at``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from tests.support.builders import (
    START,
    crashing_pod,
    failed_pod,
    guarded,
    pending_pod,
    ready_pod,
    template,
    unready_pod,
)
from tests.support.invariants import check_decision
from tripswitch.domain.decide import decide
from tripswitch.domain.values.alarms import NO_READING, AlarmReading
from tripswitch.domain.values.decision import Action, Decision
from tripswitch.domain.values.inquiry import Finding
from tripswitch.domain.values.memory import Breaker, Revision, Rollout
from tripswitch.domain.values.pods import PodView, RetainedPod
from tripswitch.domain.values.references import ReferenceReading
from tripswitch.domain.values.replica_sets import CreateError, ReplicaSetView
from tripswitch.domain.values.report import Condition
from tripswitch.domain.values.sight import CURRENT, Sight
from tripswitch.domain.values.snapshot import Guarded, Snapshot
from tripswitch.domain.values.states import RolloutStatus
from tripswitch.domain.values.status import Status
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.workload import Template
from tripswitch.simulation.objects import Objects, Surroundings, apply_action, fill, keep_newest

A_DAY = 86_400.0
MakePod = Callable[[str, Instant], PodView]


@dataclass
class ManualCluster:
    """One GuardedDeployment, its ReplicaSets and pods, and the clock."""

    guarded: Guarded = field(default_factory=guarded)
    replica_sets: dict[str, ReplicaSetView] = field(default_factory=dict)
    create_error: CreateError | None = None
    findings: tuple[Finding, ...] = ()
    retained: dict[str, RetainedPod] = field(default_factory=dict)
    strays: dict[str, ReplicaSetView] = field(default_factory=dict)
    now: Instant = START
    events: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    pods_made: int = 0
    sight: Sight = CURRENT
    alarms: AlarmReading = NO_READING
    references: ReferenceReading | None = None
    dated: bool = False
    """Pods have the time at which they were made."""

    # --- what a person does ---

    def want(self, **fields: Any) -> ManualCluster:
        """Change the spec."""
        wish = self.guarded
        self.guarded = replace(
            wish, generation=wish.generation + 1, spec=replace(wish.spec, **fields)
        )
        return self

    def apply(self, version: str) -> ManualCluster:
        """Change the pod template."""
        return self.want(template=replace(self.guarded.spec.template, **_named(version)))

    def command(self, **annotations: str | None) -> ManualCluster:
        """Write the annotations ``retry``, ``stop`` or ``answers``."""
        self.guarded = replace(self.guarded, **annotations)  # type: ignore[arg-type]
        return self

    # --- what pods do ---

    def heal(self, version: str, count: int | None = None) -> ManualCluster:
        """Make (some) pods of a revision Ready now, as the others already are."""
        return self.become(version, ready_pod, count)

    def crash(self, version: str, runs: int = 1, count: int | None = None) -> ManualCluster:
        """Let the pods of a revision that are not Ready crash; ``runs`` in all."""
        return self.become(version, lambda name, _: crashing_pod(name, runs), count)

    def hang(self, version: str) -> ManualCluster:
        """Let the pods of a revision that are not Ready run without ever being it."""
        return self.become(version, unready_pod)

    def reject(self, version: str) -> ManualCluster:
        """Have a kubelet reject the pods that are not Ready; the ReplicaSet makes others at once."""

        found, words = self.replica_set(version), "Pod was rejected: node(s) had no free ports"
        pods = [
            replace(failed_pod(pod.name, "NodePorts", words), created_at=pod.created_at)
            if pod.live and pod.ready_since is None
            else pod
            for pod in found.pods
        ]
        self._put(replace(found, pods=tuple(pods)))
        self._put(fill(self.replica_set(version), self._surroundings()))
        return self

    def become(self, version: str, make: MakePod, count: int | None = None) -> ManualCluster:
        """Replace the first ``count`` pods that are not Ready by what ``make`` returns."""
        found = self.replica_set(version)
        left = len(found.pods) if count is None else count
        pods = []
        for pod in found.pods:
            if pod.ready_since is None and not pod.deleting and left > 0:
                left -= 1
                pods.append(make(pod.name, self.now))
            else:
                pods.append(pod)
        self._put(replace(found, pods=tuple(pods)))
        return self

    def forget_replica_set(self, version: str) -> ManualCluster:
        """Delete a ReplicaSet and its pods by hand."""
        del self.replica_sets[self.replica_set(version).name]
        return self

    def relabel_replica_set(self, version: str) -> ManualCluster:
        """Take the labels that the selector asks for off a ReplicaSet by hand."""
        found = self.replica_sets.pop(self.replica_set(version).name)
        self.strays[found.name] = replace(found, pods=())
        return self

    def delete_pods(self, name: str) -> ManualCluster:
        """Delete all pods of a ReplicaSet by hand; it makes new ones."""
        self._put(fill(replace(self.replica_sets[name], pods=()), self._surroundings()))
        return self

    # --- what the operator does ---

    def look(self, later: float = 0.0) -> Decision:
        """Wait, then decide once and carry it out."""
        self.now += later
        seen = self.snapshot
        decision = decide(seen, self.now)
        assert check_decision(seen, decision, self.now) == []
        self.guarded = replace(self.guarded, status=decision.status)
        assert_settled(decision, decide(self.snapshot, self.now))
        self._assert_asleep(decision)
        self.events += [event.reason.value for event in decision.events]
        self.messages += [event.message for event in decision.events]
        for action in decision.actions:
            self._carry_out(action)
        return decision

    def settle(self, later: float = 0.0) -> ManualCluster:
        """Look until nothing changes any more; pods stay as they are."""
        self.now += later
        for _ in range(10):
            before = self.status
            if not self.look().actions and self.status == before:
                return self
        raise AssertionError("the world does not settle")

    def roll_out(self, version: str) -> ManualCluster:
        """Apply a good revision and let it complete."""
        self.apply(version)
        for _ in range(20):
            self.settle(1.0)
            if self.status.memory.last_completed_revision == self.status.memory.desired_revision:
                return self
            self.heal(version)
        raise AssertionError(f"{version} does not complete")

    def _assert_asleep(self, decision: Decision) -> None:
        """Until ``wake_at`` time alone changes nothing."""
        end = self.now + A_DAY if decision.wake_at is None else decision.wake_at - 0.001
        for moment in (self.now + (end - self.now) / 2, end):
            later = decide(self.snapshot, round(moment, 3))
            assert later.status == decision.status
            assert later.actions == decision.actions

    def _carry_out(self, action: Action) -> None:
        objects = Objects(self.replica_sets, self.strays, self.retained)
        after = apply_action(objects, action, self._surroundings())
        self.replica_sets = dict(after.replica_sets)
        self.strays, self.retained = dict(after.strays), dict(after.retained)

    def _surroundings(self) -> Surroundings:
        template = self.guarded.spec.template
        return Surroundings(template, self.now, self._make_pod, keep_newest)

    def _make_pod(self, found: ReplicaSetView) -> PodView:
        self.pods_made += 1
        made_at = self.now if self.dated else 0.0
        return pending_pod(f"{found.template.digest}-{self.pods_made}", created_at=made_at)

    def put(self, found: ReplicaSetView) -> ManualCluster:
        """Change a ReplicaSet by hand."""
        self._put(found)
        return self

    def _put(self, found: ReplicaSetView) -> None:
        self.replica_sets[found.name] = found

    # --- what there is ---

    @property
    def snapshot(self) -> Snapshot:
        """What a look sees."""
        return Snapshot(
            self.guarded,
            tuple(self.replica_sets.values()),
            self.create_error,
            self.findings,
            tuple(self.retained.values()),
            sight=self.sight,
            strays=tuple(self.strays.values()),
            alarms=self.alarms,
            references=self.references,
        )

    @property
    def status(self) -> Status:
        """What is written."""
        return self.guarded.status

    @property
    def rollout(self) -> Rollout:
        """The current or latest rollout."""
        assert self.status.memory.rollout is not None
        return self.status.memory.rollout

    def state(self) -> RolloutStatus:
        """Return the status of the current or latest rollout."""
        return self.rollout.status

    def breaker(self) -> Breaker:
        """Return the breaker's memory."""
        return self.status.memory.circuit_breaker

    def replica_set(self, version: str) -> ReplicaSetView:
        """Return the ReplicaSet of a template."""
        return next(rs for rs in self.replica_sets.values() if rs.template.digest == version)

    def sizes(self) -> dict[str, int]:
        """Return the sizes of the ReplicaSets, by template, without those at 0."""
        return {rs.template.digest: rs.size for rs in self.replica_sets.values() if rs.size}

    def record(self, number: int) -> Revision:
        """Return a revision of the history."""
        return next(r for r in self.status.memory.revisions if r.revision == number)

    def condition(self, kind: str) -> Condition | None:
        """Return one condition."""
        return next((c for c in self.status.report.conditions if c.type == kind), None)

    def healthy(self) -> int:
        """Return how many pods are healthy."""
        return self.status.report.available_replicas


def assert_settled(first: Decision, again: Decision) -> None:
    """W1, W3: the same snapshot again gives the same status, the same actions and no event."""
    assert again.status == first.status
    assert again.actions == first.actions
    assert again.events == ()
    assert again.failures == ()


def started(replicas: int = 4, version: str = "v1", **fields: Any) -> ManualCluster:
    """Return a world in which a first rollout has just begun."""
    world = ManualCluster(guarded=guarded(replicas, template(version), **fields))
    world.settle()
    return world


def completed(replicas: int = 4, version: str = "v1", **fields: Any) -> ManualCluster:
    """Return a world in which a first revision runs and is completed."""
    made = _completed(replicas, version, tuple(fields.items()))
    return replace(
        made,
        replica_sets=dict(made.replica_sets),
        strays={},
        retained={},
        events=list(made.events),
        messages=list(made.messages),
    )


@cache
def _completed(replicas: int, version: str, fields: tuple[tuple[str, Any], ...]) -> ManualCluster:
    world = ManualCluster(guarded=guarded(replicas, template(version), **dict(fields)))
    return world.roll_out(version)


def _named(version: str) -> dict[str, Any]:
    made: Template = template(version)
    return {"digest": made.digest, "images": made.images}
