"""Raw objects -> one frozen view of a GuardedDeployment with all that belongs to it. Pure.

Reading is tolerant: the status may be of an older or newer operator, or not there yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tripswitch.api.tolerant import field as at
from tripswitch.api.tolerant import mapping, objects, parse_instant, text, whole
from tripswitch.cli.references import refer_to
from tripswitch.cli.status.holders import (
    ReplicaSetLine,
    read_controller_revisions,
    read_replica_sets,
)
from tripswitch.domain.values.time import Instant

RETRY = "tripswitch.dev/retry"
STOP = "tripswitch.dev/stop"
Raw = Mapping[str, Any]


class Outcome(StrEnum):
    """How the latest rollout ended, or that it has not."""

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


_OPEN = frozenset({"", "PENDING", "IN_PROGRESS", "ROLLBACK_IN_PROGRESS"})
_SUCCEEDED = frozenset({"SUCCESSFUL", "ROLLBACK_SUCCESSFUL"})


@dataclass(frozen=True, slots=True)
class RolloutLine:
    """``status.rollout``."""

    status: str = ""
    kind: str = ""
    revision: int = 0
    failed_revision: int = 0
    message: str = ""
    started_at: Instant | None = None
    finished_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class BreakerLine:
    """``status.circuitBreaker``. ``failures`` are raw: they show every field that there is."""

    status: str = ""
    stage: str = ""
    count: int = 0
    threshold: int = 0
    failures: tuple[Raw, ...] = ()


@dataclass(frozen=True, slots=True)
class RevisionLine:
    """One entry of ``status.revisions``; ``replica_set`` only where it still exists."""

    number: int
    state: str
    status: str
    images: tuple[str, ...]
    desired: int
    running: int
    healthy: int
    failures: int
    reason: str
    created_at: Instant | None
    finished_at: Instant | None
    completed_at: Instant | None
    replica_set_name: str
    replica_set: ReplicaSetLine | None = None


@dataclass(frozen=True, slots=True)
class View:
    """Everything ``status`` shows."""

    namespace: str
    name: str
    label: str
    """How messages name it, as kubectl takes it: ``gdeploy/web``, ``deploy/web``, ``sts/db``."""
    replicas: int
    """Pods wanted; where the guarded workload was not read, the pods there are."""
    healthy: int
    paused: bool
    """A person has paused it."""
    current: bool
    """Whether the status is about the latest spec and the latest command."""
    outcome: Outcome
    rollout: RolloutLine
    breaker: BreakerLine
    desired_revision: int
    last_completed: int
    reason: str
    problem: str = ""
    """What a condition says that the rollout does not (a refused ReplicaSet, no target)."""
    mode: str = ""
    """``Enforce`` or ``Observe``; empty for a GuardedDeployment."""
    held: bool = False
    """A trip keeps the guarded workload from rolling out (G4)."""
    revisions: tuple[RevisionLine, ...] = field(default=())

    @property
    def stateful(self) -> bool:
        """Whether it is about a StatefulSet, whose revisions are ControllerRevisions."""
        return self.label.startswith("sts/")


def build_view(
    guarded: Raw,
    replica_sets: Iterable[Raw],
    pods: Iterable[Raw],
    now: Instant,
    workload: Raw | None = None,
) -> View:
    """Return the view of a GuardedDeployment, or of a DeploymentCircuitBreaker and its workload.

    Args:
        guarded: The object with the breaker's status.
        replica_sets: ReplicaSets that may belong to it; strangers are left out.
        pods: Pods that may belong to those.
        now: For the ages in it.
        workload: The guarded Deployment or StatefulSet; None for a GuardedDeployment, and where it was
            not read or does not exist.
    """
    metadata, spec = mapping(guarded.get("metadata")), mapping(guarded.get("spec"))
    status, target = mapping(guarded.get("status")), mapping(spec.get("targetRef"))
    rollout = _read_rollout(mapping(status.get("rollout")))
    if target.get("kind") == "StatefulSet":
        holders = read_controller_revisions(workload or {}, pods, now)
    else:
        seen = (workload or {}) if target else None
        holders = read_replica_sets(guarded, seen, replica_sets, pods, now)
    current, desired = is_current(guarded), whole(status.get("desiredRevision"))
    held = bool(status.get("hold"))
    sized = mapping(at(workload, "spec")) if target else spec
    return View(
        namespace=text(metadata.get("namespace")),
        name=text(metadata.get("name")),
        label=str(refer_to(guarded)),
        replicas=_read_replicas(sized, status, known=workload is not None or not target),
        healthy=whole(status.get("availableReplicas")),
        paused=sized.get("paused") is True and not held,
        current=current,
        outcome=judge(rollout, desired) if current else Outcome.RUNNING,
        rollout=rollout,
        breaker=_read_breaker(mapping(status.get("circuitBreaker"))),
        desired_revision=desired,
        last_completed=whole(status.get("lastCompletedRevision")),
        reason=text(status.get("rolloutStateReason")),
        problem=_find_problem(status),
        mode=text(spec.get("mode")),
        held=held,
        revisions=tuple(
            _read_revision(one, holders.get(text(one.get("replicaSet"))))
            for one in objects(status.get("revisions"))
        ),
    )


def _read_replicas(spec: Raw, status: Raw, *, known: bool) -> int:
    if not known:
        return whole(status.get("replicas"))
    return whole(spec.get("replicas")) if "replicas" in spec else 1


def judge(rollout: RolloutLine, desired_revision: int) -> Outcome:
    """Return how a rollout ended. A rollback is a success only for who wants what it brought back."""
    if rollout.status in _OPEN:
        return Outcome.RUNNING
    wanted = rollout.revision == desired_revision
    return Outcome.COMPLETED if rollout.status in _SUCCEEDED and wanted else Outcome.FAILED


def is_current(guarded: Raw) -> bool:
    """Return whether the operator has seen the latest spec and the latest commands."""
    status = mapping(guarded.get("status"))
    annotations = mapping(at(guarded, "metadata", "annotations"))
    return (
        whole(status.get("observedGeneration")) >= whole(at(guarded, "metadata", "generation"))
        and status.get("rollout") is not None
        and status.get("observedRetry") == annotations.get(RETRY)
        and status.get("observedStop") == annotations.get(STOP)
    )


def _read_rollout(raw: Raw) -> RolloutLine:
    return RolloutLine(
        status=text(raw.get("status")),
        kind=text(raw.get("kind")),
        revision=whole(raw.get("revision")),
        failed_revision=whole(raw.get("failedRevision")),
        message=text(raw.get("message")),
        started_at=parse_instant(raw.get("startedAt")),
        finished_at=parse_instant(raw.get("finishedAt")),
    )


def _read_breaker(raw: Raw) -> BreakerLine:
    return BreakerLine(
        status=text(raw.get("status")),
        stage=text(raw.get("stage")),
        count=whole(raw.get("failureCount")),
        threshold=whole(raw.get("threshold")),
        failures=tuple(objects(raw.get("failures"))),
    )


def _read_revision(raw: Raw, replica_set: ReplicaSetLine | None) -> RevisionLine:
    images = raw.get("images")
    return RevisionLine(
        number=whole(raw.get("revision")),
        state=text(raw.get("rolloutState")),
        status=text(raw.get("status")),
        images=tuple(text(one) for one in images) if isinstance(images, list) else (),
        desired=whole(raw.get("desired")),
        running=whole(raw.get("running")),
        healthy=whole(raw.get("healthy")),
        failures=whole(raw.get("failedTasks")),
        reason=text(raw.get("reason")),
        created_at=parse_instant(raw.get("createdAt")),
        finished_at=parse_instant(raw.get("finishedAt")),
        completed_at=parse_instant(raw.get("completedAt")),
        replica_set_name=text(raw.get("replicaSet")),
        replica_set=replica_set,
    )


PROBLEMS = frozenset({"ReplicaSetCreateError", "TargetNotFound", "TargetTaken", "NoRollout"})
"""Reasons of conditions whose message says what the rollout does not."""


def _find_problem(status: Raw) -> str:
    for one in objects(status.get("conditions")):
        if one.get("reason") in PROBLEMS or one.get("type") == "RollbackAtRisk":
            return text(one.get("message"))
    return ""
