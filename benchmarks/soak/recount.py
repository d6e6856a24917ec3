"""What the operator should have done with GuardedDeployments, from the audit log: the soak's second opinion.

Every object here has at most six replicas, so that the threshold is 3 for every size (rule T1), and
bad pods never become healthy, so that nothing resets the count (rule H2). Counted are ended runs (F1)
and one failure for each pod that cannot start (F2, without its back-offs): never more than the breaker
counts. An object that reaches the threshold here must therefore have tripped.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from benchmarks.api import Object
from benchmarks.fleet import VERSION
from benchmarks.pods import cannot_start, failures, owner
from benchmarks.soak.subjects import Ledger
from tools.cluster.behaviours import BEHAVIOUR

THRESHOLD = 3
OPEN = frozenset({"PENDING", "IN_PROGRESS", "ROLLBACK_IN_PROGRESS"})


@dataclass
class Revision:
    """One ReplicaSet over its whole life."""

    guard: str
    name: str
    bad: bool
    version: str = ""
    born: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
    reached: float | None = None
    lowered: float | None = None
    size: int = 0
    there: bool = True


@dataclass
class Guard:
    """One GuardedDeployment over its whole life."""

    name: str
    raw: Object
    states: dict[str, str] = field(default_factory=dict)
    """The last rolloutState of each ReplicaSet."""
    completed: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    changed: list[float] = field(default_factory=list)
    """When its template was changed."""
    there: bool = True

    @property
    def status(self) -> str:
        """Status of the rollout, empty before the first look."""
        rollout = self.raw.get("status", {}).get("rollout", {})
        seen = self.raw.get("status", {}).get("observedGeneration")
        return str(rollout.get("status", "")) if seen == self.raw["metadata"]["generation"] else ""


class Recount:
    """Everything that was ever seen."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.guards: dict[str, Guard] = {}
        self.revisions: dict[str, Revision] = {}
        self.pods: dict[str, str] = {}
        """UID of the ReplicaSet of each pod that is there."""
        self._early: dict[str, dict[str, int]] = {}

    def see_guard(self, event: str, raw: Object, at: float) -> None:
        """Take a version of a GuardedDeployment."""
        guard = self.guards.setdefault(raw["metadata"]["uid"], Guard(raw["metadata"]["name"], raw))
        if _version(raw) != _version(guard.raw) or not guard.changed:
            guard.changed.append(at)
        guard.raw = raw
        guard.there = event != "DELETED"
        for one in raw.get("status", {}).get("revisions", []):
            name, state = one["replicaSet"], one["rolloutState"]
            guard.states[name] = state
            if state == "COMPLETED":
                guard.completed.add(name)
            if state == "FAILED":
                guard.failed.add(name)

    def see_replica_set(self, event: str, raw: Object, at: float) -> None:
        """Take a version of a ReplicaSet."""
        uid, name = raw["metadata"]["uid"], raw["metadata"]["name"]
        annotations = raw["spec"]["template"]["metadata"].get("annotations", {})
        known = uid in self.revisions
        revision = self.revisions.setdefault(
            uid,
            Revision(owner(raw), name, BEHAVIOUR in annotations, annotations.get(VERSION, ""), at),
        )
        if not known:
            revision.counts |= self._early.pop(uid, {})
            self._judge(revision, at)
        size = raw["spec"]["replicas"]
        if size < revision.size and revision.reached is not None and revision.lowered is None:
            revision.lowered = at
        revision.size, revision.there = size, event != "DELETED"

    def see_pod(self, event: str, raw: Object, at: float) -> None:
        """Take a version of a pod."""
        uid, parent = raw["metadata"]["uid"], owner(raw)
        if event == "DELETED":
            self.pods.pop(uid, None)
            return
        self.pods[uid] = parent
        if raw["metadata"].get("deletionTimestamp"):
            return  # never counts (F5)
        revision = self.revisions.get(parent)
        counts = self._early.setdefault(parent, {}) if revision is None else revision.counts
        counts[uid] = max(counts.get(uid, 0), failures(raw), int(cannot_start(raw)))
        if revision is not None:
            self._judge(revision, at)

    def _judge(self, revision: Revision, at: float) -> None:
        if revision.reached is None and sum(revision.counts.values()) >= THRESHOLD:
            revision.reached = at

    def latencies(self) -> list[float]:
        """Seconds from the threshold to the scale-down of all that was scaled down, sorted."""
        return sorted(
            one.lowered - one.reached
            for one in self.revisions.values()
            if one.lowered is not None and one.reached is not None
        )

    def find_faults(self, patience: float) -> list[str]:
        """Everything that should not be, once the world is quiet; ``patience`` in seconds."""
        return [*self._wrong_ends(patience), *self._leaks()]

    def is_open(self) -> bool:
        """Return whether a rollout goes on."""
        return any(
            guard.there and (not guard.status or guard.status in OPEN)
            for guard in self.guards.values()
        )

    def statuses(self) -> dict[str, str]:
        """Return what the operator says of each object that is there."""
        return {guard.name: guard.status for guard in self.guards.values() if guard.there}

    def _wrong_ends(self, patience: float) -> list[str]:
        faults = []
        for one in self.revisions.values():
            guard = self.guards.get(one.guard)
            if guard is None:
                continue
            words = f"{guard.name}: revision {one.name}"
            if one.bad and one.name in guard.completed:
                faults.append(f"{words} is bad and was COMPLETED")
            if not one.bad and one.name in guard.failed and not self._may_fail(guard, one):
                faults.append(f"{words} is good and was FAILED")
            after = [at for at in guard.changed if at > one.born]
            left_alone = not after or one.reached is None or after[0] > one.reached + patience
            if (
                one.reached is not None
                and guard.there
                and left_alone
                and one.name not in guard.failed
            ):
                faults.append(f"{words} reached the threshold and never tripped")
        return faults

    def _may_fail(self, guard: Guard, revision: Revision) -> bool:
        """Whether a revision whose pods are good was failed by its alarm."""
        asked = self._ledger[guard.name].find(revision.version)
        return asked is not None and bool(asked.fired)

    def _leaks(self) -> list[str]:
        faults = []
        alive = {uid for uid, guard in self.guards.items() if guard.there}
        number: Counter[str] = Counter()
        for uid, one in self.revisions.items():
            if not one.there:
                continue
            number[one.guard] += 1
            if one.guard not in alive:
                faults.append(f"ReplicaSet {one.name} outlived its owner")
            pods = sum(parent == uid for parent in self.pods.values())
            if pods != one.size:
                faults.append(f"ReplicaSet {one.name} of size {one.size} has {pods} pods")
        for uid in alive:
            guard = self.guards[uid]
            most = guard.raw["spec"].get("revisionHistoryLimit", 10) + 2
            if number[uid] > most:
                faults.append(f"{guard.name} has {number[uid]} ReplicaSets")
            sizes = sum(
                one.size for one in self.revisions.values() if one.there and one.guard == uid
            )
            whole = guard.status in ("SUCCESSFUL", "ROLLBACK_SUCCESSFUL")
            if whole and sizes != guard.raw["spec"]["replicas"]:
                faults.append(f"{guard.name} has {sizes} pods in place of its replicas")
        known = {uid for uid, one in self.revisions.items() if one.there}
        faults += [f"a pod of nobody: {uid}" for uid, of in self.pods.items() if of not in known]
        return faults


def _version(raw: Object) -> str:
    annotations = raw["spec"]["template"]["metadata"].get("annotations", {})
    return str(annotations.get(VERSION))
