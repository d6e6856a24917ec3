"""One guarded object in a simulated cluster: ``decide``, ReplicaSets, pods with lives, and a clock.

Deterministic: the same object and script give the same looks. Only the cluster around the core is
simulated here; nothing in it knows a rule.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tripswitch.domain.decide import decide
from tripswitch.domain.rules import rollout_states
from tripswitch.domain.values.alarms import AlarmReading
from tripswitch.domain.values.decision import Decision, Event
from tripswitch.domain.values.hooks import HookAction, HookStatus
from tripswitch.domain.values.pods import PodView
from tripswitch.domain.values.replica_sets import ReplicaSetView
from tripswitch.domain.values.sight import Sight
from tripswitch.domain.values.snapshot import Guarded, Snapshot
from tripswitch.domain.values.status import Status
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.workload import Template
from tripswitch.simulation.kubelet import play
from tripswitch.simulation.objects import Objects, Surroundings, apply_action, delete_pods
from tripswitch.simulation.pod_life import PodLife
from tripswitch.simulation.script import Line, Script

EPOCH: Instant = 1_800_000_000.0
"""When simulations begin; any moment would do."""

ROUNDS = 20
"""Looks at one moment until nothing more is decided; more would be a hot loop."""


@dataclass(frozen=True, slots=True)
class Look:
    """One call of ``decide``."""

    snapshot: Snapshot
    decision: Decision
    now: Instant


class SimulatedCluster:
    """ReplicaSets, pods and a clock around one GuardedDeployment. It has two nodes."""

    def __init__(self, guarded: Guarded, now: Instant = EPOCH) -> None:
        self.guarded = guarded
        self.now = now
        self.looks: list[Look] = []
        self._objects = Objects()
        self._lives: dict[str, PodLife] = {}
        """By UID."""
        self._script = Script()
        self._scripted_template = ""
        """The digest of the template whose pods follow the script."""
        self._scripted_pods = 0
        self._node_lost_at: Instant | None = None
        self._wake_at: Instant | None = None

    def apply(self, template: Template, script: Script) -> None:
        """Change the pod template; pods of the new one follow the script."""
        spec = replace(self.guarded.spec, template=template)
        self.guarded = replace(self.guarded, spec=spec, generation=self.guarded.generation + 1)
        self._script, self._scripted_template = script, template.digest
        self._scripted_pods = 0

    def lose_first_node(self, at: Instant) -> None:
        """Let the first of the two nodes stop reporting at a moment to come."""
        self._node_lost_at = at
        for life in self._lives.values():
            life.node_lost_at = self._find_loss(life.number)

    def count_pods(self) -> dict[int, int]:
        """Return how many pods each revision has."""
        return {one.revision: len(one.pods) for one in self._objects.replica_sets.values()}

    def settle(self) -> tuple[Event, ...]:
        """Look until nothing more is decided at this moment; return the events.

        Raises:
            AssertionError: The core does not come to rest.
        """
        events: list[Event] = []
        for _ in range(ROUNDS):
            self._show_pods()
            snapshot = self._snapshot()
            decision = decide(snapshot, self.now)
            self.looks.append(Look(snapshot, decision, self.now))
            self._wake_at = decision.wake_at
            events += decision.events
            answers = _continue_hooks(decision.status)
            self.guarded = replace(self.guarded, status=decision.status, answers=answers)
            for action in decision.actions:
                self._objects = apply_action(self._objects, action, self._surroundings())
            if not decision.actions and decision.status == snapshot.guarded.status:
                return tuple(events)
        raise AssertionError(f"the core does not come to rest at {self.now}")

    def find_next_moment(self) -> Instant | None:
        """Return when something changes next, None if the rollout has ended or nothing ever does."""
        if self.guarded.status.memory.rollout is None:
            return self._wake_at
        if str(self.guarded.status.memory.rollout.status) not in rollout_states.OPEN:
            return None
        changes = [life.next_change(self.now) for life in self._living()]
        ahead = [at for at in (*changes, self._wake_at) if at is not None and at > self.now]
        return min(ahead, default=None)

    def advance(self, to: Instant) -> None:
        """Move the clock. Pods of a lost node are deleted after a while, and made again elsewhere."""
        self.now = to
        evicted = {uid for uid, life in self._lives.items() if life.is_evicted(self.now)}
        self._objects = delete_pods(self._objects, evicted, self._surroundings())

    def _surroundings(self) -> Surroundings:
        return Surroundings(self.guarded.spec.template, self.now, self._make_pod)

    def _living(self) -> list[PodLife]:
        sets = self._objects.replica_sets.values()
        return [self._lives[pod.uid] for one in sets for pod in one.pods]

    def _show_pods(self) -> None:
        """Bring every pod to what its kubelet shows now."""
        shown = {
            name: replace(one, pods=tuple(self._lives[pod.uid].view(self.now) for pod in one.pods))
            for name, one in self._objects.replica_sets.items()
        }
        self._objects = replace(self._objects, replica_sets=shown)

    def _snapshot(self) -> Snapshot:
        events = tuple(life.read_events(self.now) for life in self._living())
        return Snapshot(
            self.guarded,
            tuple(self._objects.replica_sets.values()),
            retained=tuple(self._objects.retained.values()),
            sight=Sight(self.now, None, events=events),
            alarms=AlarmReading(read_at=self.now),  # they can be read, and none fires
        )

    def _make_pod(self, replica_set: ReplicaSetView) -> PodView:
        number = len(self._lives)
        loss = self._find_loss(number)
        if loss is not None and loss <= self.now:  # no pod comes onto a node that is lost
            loss = None
            node = "node-2"
        else:
            node = f"node-{number % 2 + 1}"
        name = f"{replica_set.name}-{number}"
        pod = PodView(name=name, uid=f"uid-of-{name}", resource_version=str(number + 1), node=node)
        line = self._next_line(replica_set)
        moments = play(pod, line, replica_set.template.readiness, self.now)
        life = self._lives[pod.uid] = PodLife(number, moments, loss)
        return life.view(self.now)

    def _next_line(self, replica_set: ReplicaSetView) -> Line:
        if replica_set.template.digest != self._scripted_template:
            return Script().act_of(0)
        number, self._scripted_pods = self._scripted_pods, self._scripted_pods + 1
        return self._script.act_of(number)

    def _find_loss(self, number: int) -> Instant | None:
        """Return when the node of a pod is lost: the first of the two nodes has every other pod."""
        return self._node_lost_at if number % 2 == 0 else None


def _continue_hooks(status: Status) -> str | None:
    """Return the annotation of somebody who lets each hook that waits go on at once (C4)."""
    hooks = status.memory.rollout.hooks if status.memory.rollout is not None else ()
    waiting = [hook.hook_id for hook in hooks if hook.status is HookStatus.AWAITING_ACTION]
    return ",".join(f"{hook}/{HookAction.CONTINUE}" for hook in waiting) or None
