"""What the breakers of guarded Deployments and StatefulSets should have done, from the audit log.

A revision is what the pods' own controller says it is (the labels ``pod-template-hash`` and
``controller-revision-hash``). Ended runs are counted as in :mod:`benchmarks.soak.recount`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks.api import Object
from benchmarks.fleet import VERSION
from benchmarks.pods import cannot_start, failures
from benchmarks.soak.recount import OPEN, THRESHOLD
from benchmarks.soak.subjects import MARK, Asked, Ledger, Role
from tools.cluster.behaviours import BEHAVIOUR

COUNTED_EXACTLY = frozenset({"crash", "oom", "start-error"})
"""Each of their failures is an ended run, which the pod shows (F1). Attempts to pull an image are told by events."""
NEVER_READY = "never-ready"
"""Ends by the progress deadline (P1), not by the count."""


@dataclass
class Revision:
    """One revision of a workload."""

    name: str
    version: str
    behaviour: str
    born: float
    runs: dict[str, int] = field(default_factory=dict)
    """Ended runs of each pod, by UID; 1 for one that cannot start."""
    reached: float | None = None
    failed: float | None = None
    """When the operator called it FAILED for the first time."""
    counted: int = 0
    """What the operator says that it counted, at most."""


@dataclass
class Workload:
    """One guarded workload and its breaker."""

    raw: Object = field(default_factory=dict)
    breaker: Object = field(default_factory=dict)
    known: float | None = None
    """When its breaker had a status for the first time."""
    there: bool = True
    changed: list[float] = field(default_factory=list)
    revisions: dict[str, Revision] = field(default_factory=dict)
    states: dict[str, set[str]] = field(default_factory=dict)
    """All that the breaker ever said of each revision."""
    held: set[str] = field(default_factory=set)
    early: list[str] = field(default_factory=list)
    """Revisions that were FAILED before their pods had failed often enough."""

    @property
    def status(self) -> str:
        """Status of the rollout; empty while the operator has not seen the workload as it is."""
        status = self.breaker.get("status", {})
        fresh = status.get("targetGeneration") == self.raw.get("metadata", {}).get("generation")
        return str(status.get("rollout", {}).get("status", "")) if fresh else ""


class GuardedRecount:
    """Everything that was ever seen of guarded workloads, by name."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.workloads: dict[str, Workload] = {}

    def see_workload(self, event: str, raw: Object, at: float) -> None:
        """Take a version of a Deployment or a StatefulSet."""
        workload = self._of(raw["metadata"]["name"])
        if not workload.raw or _version(workload.raw) != _version(raw):
            workload.changed.append(at)
        workload.raw, workload.there = raw, event != "DELETED"

    def see_breaker(self, event: str, raw: Object, at: float) -> None:
        """Take a version of a DeploymentCircuitBreaker."""
        workload = self._of(raw["spec"]["targetRef"]["name"])
        workload.breaker = raw
        status = raw.get("status", {})
        if not status.get("revisions") or event == "DELETED":
            return
        workload.known = workload.known or at
        if hold := status.get("hold"):
            workload.held.add(hold["failed"])
        for one in status["revisions"]:
            name, state = one["replicaSet"], one["rolloutState"]
            known = workload.states.setdefault(name, set())
            revision = workload.revisions.get(name)
            if revision is not None:
                revision.counted = max(revision.counted, one.get("failedTasks", 0))
                if state == "FAILED" and revision.failed is None:
                    revision.failed = at
                    workload.early += [name] if _is_early(revision) else []
            known.add(state)

    def see_pod(self, event: str, raw: Object, at: float) -> None:
        """Take a version of a pod."""
        metadata = raw["metadata"]
        labels, annotations = metadata["labels"], metadata["annotations"]
        workload = self._of(labels["app"])
        name = labels.get("controller-revision-hash") or (
            f"{labels['app']}-{labels['pod-template-hash']}"
        )
        revision = workload.revisions.setdefault(
            name, Revision(name, annotations[VERSION], annotations.get(BEHAVIOUR, ""), at)
        )
        if event == "DELETED" or metadata.get("deletionTimestamp"):
            return  # never counts (F5)
        runs = revision.runs
        uid = metadata["uid"]
        runs[uid] = max(runs.get(uid, 0), failures(raw), int(cannot_start(raw)))
        if revision.reached is None and sum(runs.values()) >= THRESHOLD:
            revision.reached = at

    def _of(self, name: str) -> Workload:
        return self.workloads.setdefault(name, Workload())

    def is_open(self) -> bool:
        """Return whether a rollout goes on."""
        return any(
            one.there and (not one.status or one.status in OPEN) for one in self.workloads.values()
        )

    def statuses(self) -> dict[str, str]:
        """Return what the operator says of each workload that is there."""
        return {name: one.status for name, one in self.workloads.items() if one.there}

    def find_faults(self, patience: float) -> list[str]:
        """Return what should not be, once the world is quiet; ``patience`` in seconds."""
        faults = []
        for name, workload in self.workloads.items():
            for revision in workload.revisions.values():
                faults += [
                    f"{name}: revision {revision.name} ({revision.behaviour or 'good'}) {words}"
                    for words in self._judge(name, workload, revision, patience)
                ]
            if workload.there and workload.status == "SUCCESSFUL":
                faults += [
                    f"{name} was not given back: {left}" for left in find_traces(workload.raw)
                ]
        return faults

    def _judge(
        self, name: str, workload: Workload, revision: Revision, patience: float
    ) -> list[str]:
        asked = self._ledger[name].find(revision.version)
        states = workload.states.get(revision.name, set())
        if asked is None:
            return ["was never asked for"]
        found = []
        if revision.behaviour and "COMPLETED" in states:
            found.append("was COMPLETED")
        if _may_not_fail(asked) and ("FAILED" in states or revision.name in workload.held):
            found.append("was FAILED")
        if not revision.behaviour and revision.counted:
            found.append(f"has {revision.counted} failures and none of its pods failed")
        runs = sum(revision.runs.values())
        if revision.behaviour in COUNTED_EXACTLY and revision.counted > runs:
            found.append(f"was counted {revision.counted} times and failed {runs} times")
        if revision.name in workload.early:
            found.append("was FAILED before the threshold")
        if "FAILED" not in states and _was_left_alone(workload, revision, patience):
            found.append("reached the threshold and never tripped")
        if _was_late(workload, revision, patience):
            found.append("reached the threshold and tripped too late")
        return found


def find_traces(raw: Object) -> list[str]:
    """Return what a trip has left on a workload."""
    spec = raw["spec"]
    rolling = spec.get("updateStrategy", {}).get("rollingUpdate", {})
    left = [
        key for key in raw["metadata"].get("annotations", {}) if key.startswith("tripswitch.dev/")
    ]
    if spec.get("paused"):
        left.append("paused")
    if rolling.get("partition"):
        left.append(f"partition {rolling['partition']}")
    conditions = raw.get("status", {}).get("conditions", [])
    left += [one["type"] for one in conditions if one["type"] == "Stalled"]
    return left


def is_guarded(raw: Object) -> bool:
    """Return whether a pod belongs to a guarded Deployment or StatefulSet."""
    return raw["metadata"].get("labels", {}).get(MARK) in (
        Role.DEPLOYMENT,
        Role.DEPLOYMENT_ALARMS,
        Role.STATEFUL_SET,
    )


def _may_not_fail(asked: Asked) -> bool:
    return asked.behaviour is None and not asked.fired


def _is_early(revision: Revision) -> bool:
    exactly = revision.behaviour in COUNTED_EXACTLY
    return exactly and sum(revision.runs.values()) < THRESHOLD


def _was_late(workload: Workload, revision: Revision, patience: float) -> bool:
    if revision.failed is None or revision.reached is None:
        return False
    return _was_guarded(workload, revision) and revision.failed > revision.reached + patience


def _was_guarded(workload: Workload, revision: Revision) -> bool:
    """Whether its workload had a breaker before its first pod was made."""
    return workload.known is not None and workload.known <= revision.born


def _was_left_alone(workload: Workload, revision: Revision, patience: float) -> bool:
    """Whether it had to trip: guarded before it came, threshold reached, and then time enough."""
    reached = revision.reached
    if reached is None or not workload.there or not _was_guarded(workload, revision):
        return False
    after = [at for at in workload.changed if at > revision.born]
    return not after or after[0] > reached + patience


def _version(raw: Object) -> str:
    return str(raw["spec"]["template"]["metadata"].get("annotations", {}).get(VERSION))
