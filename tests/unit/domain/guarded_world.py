"""A guarded Deployment or StatefulSet driven by hand, to tell rules G as stories.

``look`` lets ``decide`` look and carries out what it decided. The test plays the workload's controller: it
makes revisions and moves sizes. Every look also checks that a second look at the same finds nothing more.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from tests.support.builders import START, crashing_pod, pending_pod, ready_pod, template
from tripswitch.domain.decide import decide
from tripswitch.domain.rules.workloads import adapt
from tripswitch.domain.values.alarms import NO_READING, AlarmReading
from tripswitch.domain.values.circuit_breaker import CircuitBreaker
from tripswitch.domain.values.decision import Action, Decision, DeletePod
from tripswitch.domain.values.hold_actions import (
    DisownFields,
    HoldWorkload,
    ReleaseWorkload,
    ReportTrip,
    ResizeRevision,
    WithdrawReport,
)
from tripswitch.domain.values.memory import Rollout
from tripswitch.domain.values.pods import PodView
from tripswitch.domain.values.protection import (
    HOLD_PARTITION,
    Mode,
    Protection,
    Workload,
    WorkloadKind,
)
from tripswitch.domain.values.references import ReferenceReading
from tripswitch.domain.values.replica_sets import ReplicaSetView
from tripswitch.domain.values.report import Condition
from tripswitch.domain.values.sight import CURRENT
from tripswitch.domain.values.snapshot import Snapshot
from tripswitch.domain.values.states import RolloutStatus
from tripswitch.domain.values.status import Status
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.workload import Amount, RollingUpdate

BREAKER = "uid-breaker"


def workload(
    kind: WorkloadKind = WorkloadKind.DEPLOYMENT, replicas: int = 4, **fields: Any
) -> Workload:
    """Return a workload of template ``v1`` that its controller has looked at."""
    defaults = {
        "resource_version": "1",
        "generation": 1,
        "observed_generation": 1,
        "template": template("v1"),
        "strategy": RollingUpdate(Amount(1), Amount(0)),
        "update_revision": "web-v1",
        "current_revision": "web-v1",
    }
    if kind is WorkloadKind.STATEFUL_SET:
        defaults["partition"] = 0
    return Workload(kind, "web", "uid-web", replicas=replicas, **{**defaults, **fields})


def revision_view(number: int, *pods: PodView, size: int | None = None) -> ReplicaSetView:
    """Return a revision of template ``v<number>``, named ``web-v<number>``."""
    name = f"web-v{number}"
    return ReplicaSetView(
        name=name,
        uid=f"uid-{name}",
        revision=number,
        template=template(f"v{number}"),
        size=len(pods) if size is None else size,
        pods=pods,
        resource_version="1",
        created_at=START + number,
    )


@dataclass
class GuardedWorld:
    """One DeploymentCircuitBreaker, its workload, and the clock."""

    breaker: CircuitBreaker
    workload: Workload | None
    revisions: dict[str, ReplicaSetView] = field(default_factory=dict)
    now: Instant = START + 100
    events: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    done: list[Action] = field(default_factory=list)
    rival: str = ""
    alarms: AlarmReading = NO_READING
    references: ReferenceReading | None = None
    most_writes: int | None = None
    """The operator is killed after so many actions of a look; None: it is not."""

    # --- what people and the workload's controller do ---

    def change(self, **fields: Any) -> GuardedWorld:
        """Change the workload."""
        assert self.workload is not None
        self.workload = replace(self.workload, **fields)
        return self

    def settings(self, **fields: Any) -> GuardedWorld:
        """Change the breaker's spec."""
        protection = replace(self.breaker.protection, **fields)
        self.breaker = replace(self.breaker, protection=protection)
        return self

    def command(self, **fields: Any) -> GuardedWorld:
        """Give a command (rules C)."""
        self.breaker = replace(self.breaker, **fields)
        return self

    def put(self, view: ReplicaSetView) -> GuardedWorld:
        """Have the controller make or change a revision."""
        self.revisions[view.name] = view
        return self

    def resize(self, number: int, *pods: PodView, size: int | None = None) -> GuardedWorld:
        """Have the controller give a revision these pods."""
        view = self.revisions[f"web-v{number}"]
        return self.put(replace(view, pods=pods, size=len(pods) if size is None else size))

    def roll(self, number: int, *pods: PodView) -> GuardedWorld:
        """Apply template ``v<number>``, and have the controller begin with these pods."""
        self.apply(number)
        self.change(update_revision=f"web-v{number}")
        return self.put(revision_view(number, *pods))

    def apply(self, number: int) -> GuardedWorld:
        """Apply template ``v<number>``; its controller has not looked yet."""
        return self.change(template=template(f"v{number}"), complete=False)

    # --- what the operator does ---

    def look(self, later: float = 1.0) -> Decision:
        """Wait, then decide once and carry it out."""
        self.now += later
        decision = decide(self.snapshot, self.now)
        self.breaker = replace(self.breaker, status=decision.status)
        again = decide(self.snapshot, self.now)
        assert (again.status, again.actions) == (decision.status, decision.actions)
        assert (again.events, again.failures) == ((), ())
        self.events += [event.reason.value for event in decision.events]
        self.messages += [event.message for event in decision.events]
        for action in decision.actions[: self.most_writes]:
            self.carry_out(action)
        return decision

    def settle(self, later: float = 1.0) -> GuardedWorld:
        """Look until nothing is left to be done; pods stay as they are."""
        for _ in range(10):
            if not self.look(later).actions:
                return self
            later = 0.0
        raise AssertionError("the world does not settle")

    def carry_out(self, action: Action) -> None:
        """Do what was decided, as the API server and the controllers would."""
        self.done.append(action)
        assert self.workload is not None
        match action:
            case HoldWorkload(mark=mark):
                stopped = {"paused": True} if self.is_deployment else {"partition": HOLD_PARTITION}
                self.change(mark=mark, **stopped)
            case ReleaseWorkload(resume=resume, partition=partition):
                freed: dict[str, Any] = {}
                if resume:
                    freed = {"paused": False} if self.is_deployment else {"partition": partition}
                self.change(mark=None, **freed)
            case ReportTrip():
                self.change(stalled=True, deadline_exceeded=self.is_deployment)
            case WithdrawReport():
                self.change(stalled=False)
            case DisownFields():
                self.change(owned=None)
            case ResizeRevision(name=name, size=size, replicas=replicas):
                view = self.revisions[name]
                pods = sorted(view.pods, key=lambda pod: pod.ready_since is None)[:size]
                pods += [pending_pod(f"{name}-{n}") for n in range(len(pods), size)]
                self.put(replace(view, size=size, pods=tuple(pods), sized_for=replicas))
            case DeletePod(name=name):
                for view in list(self.revisions.values()):
                    pods = [pod for pod in view.pods if pod.name != name]
                    self.put(replace(view, pods=tuple(pods)))
            case _:
                raise AssertionError(f"a guarded workload has no {action}")

    # --- what there is ---

    @property
    def is_deployment(self) -> bool:
        """Whether the workload is a Deployment."""
        return self.breaker.protection.kind is WorkloadKind.DEPLOYMENT

    @property
    def snapshot(self) -> Snapshot:
        """What a look sees."""
        views = tuple(self.revisions.values())
        snapshot = adapt(self.breaker, self.workload, views, self.rival)
        return replace(snapshot, sight=CURRENT, alarms=self.alarms, references=self.references)

    @property
    def status(self) -> Status:
        """What is written."""
        return self.breaker.status

    @property
    def rollout(self) -> Rollout:
        """The current or latest rollout."""
        assert self.status.memory.rollout is not None
        return self.status.memory.rollout

    def state(self) -> RolloutStatus:
        """Return the status of the current or latest rollout."""
        return self.rollout.status

    def condition(self, kind: str) -> Condition | None:
        """Return one condition."""
        return next((c for c in self.status.report.conditions if c.type == kind), None)

    def sizes(self) -> dict[str, int]:
        """Return the sizes of the revisions, without those at 0."""
        return {view.template.digest: view.size for view in self.revisions.values() if view.size}


def protect(
    kind: WorkloadKind = WorkloadKind.DEPLOYMENT, replicas: int = 4, **settings: Any
) -> GuardedWorld:
    """Return a workload that runs ``v1``, and that nobody has looked at yet."""
    breaker = CircuitBreaker("web", BREAKER, 1, Protection(kind, "web", **settings))
    world = GuardedWorld(breaker, workload(kind, replicas, complete=True))
    return world.put(revision_view(1, *ready_many(1, replicas)))


def completed(
    kind: WorkloadKind = WorkloadKind.DEPLOYMENT, replicas: int = 4, **settings: Any
) -> GuardedWorld:
    """Return a workload that runs ``v1``, which is known to have completed."""
    world = protect(kind, replicas, **settings)
    world.look()
    assert world.status.memory.last_completed_revision == 1
    return world


def failing(mode: Mode = Mode.ENFORCE, **settings: Any) -> GuardedWorld:
    """Return a Deployment in whose rollout of ``v2`` one pod has crashed three times."""
    world = completed(mode=mode, **settings)
    world.roll(2, pending_pod("web-v2-0"))
    world.look()
    world.resize(2, crashing_pod("web-v2-0", runs=3))
    return world


def tripped(mode: Mode = Mode.ENFORCE, **settings: Any) -> GuardedWorld:
    """Return the same after the trip, with everything done that is to be done."""
    return failing(mode, **settings).settle()


def ready_many(number: int, count: int, since: Instant = START) -> tuple[PodView, ...]:
    """Return so many Ready pods of a revision, with the names of a StatefulSet's pods."""
    return tuple(ready_pod(f"web-v{number}-{ordinal}", since) for ordinal in range(count))
