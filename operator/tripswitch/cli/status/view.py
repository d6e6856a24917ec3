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
from tripswitch.cli.status.pod_lines import PodLine, Tone, describe_pod
from tripswitch.cluster.pods import see_pod
from tripswitch.cluster.replicasets import find_guard
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
class ReplicaSetLine:
    """A ReplicaSet with its pods, the failing ones first."""

    name: str
    desired: int
    pods: tuple[PodLine, ...] = ()
    problem: str = ""

    @property
    def ready(self) -> int:
        """How many of its pods are Ready."""
        return sum(pod.tone is Tone.GOOD for pod in self.pods)


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
    replicas: int
    healthy: int
    paused: bool
    current: bool
    """Whether the status is about the latest spec and the latest command."""
    outcome: Outcome
    rollout: RolloutLine
    breaker: BreakerLine
    desired_revision: int
    last_completed: int
    reason: str
    problem: str = ""
    """What a condition says that the rollout does not (a refused ReplicaSet)."""
    revisions: tuple[RevisionLine, ...] = field(default=())


def build_view(
    guarded: Raw, replica_sets: Iterable[Raw], pods: Iterable[Raw], now: Instant
) -> View:
    """Return the view of a GuardedDeployment.

    Args:
        guarded: The object.
        replica_sets: ReplicaSets that may be its own; strangers are left out.
        pods: Pods that may belong to those.
        now: For the ages in it.
    """
    metadata, spec = mapping(guarded.get("metadata")), mapping(guarded.get("spec"))
    status = mapping(guarded.get("status"))
    rollout = _read_rollout(mapping(status.get("rollout")))
    sets = _read_replica_sets(text(metadata.get("uid")), replica_sets, pods, now)
    current, desired = is_current(guarded), whole(status.get("desiredRevision"))
    return View(
        namespace=text(metadata.get("namespace")),
        name=text(metadata.get("name")),
        replicas=whole(spec.get("replicas")) if "replicas" in spec else 1,
        healthy=whole(status.get("availableReplicas")),
        paused=spec.get("paused") is True,
        current=current,
        outcome=judge(rollout, desired) if current else Outcome.RUNNING,
        rollout=rollout,
        breaker=_read_breaker(mapping(status.get("circuitBreaker"))),
        desired_revision=desired,
        last_completed=whole(status.get("lastCompletedRevision")),
        reason=text(status.get("rolloutStateReason")),
        problem=_find_problem(status),
        revisions=tuple(
            _read_revision(one, sets.get(text(one.get("replicaSet"))))
            for one in objects(status.get("revisions"))
        ),
    )


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


_ORDER = (Tone.BAD, Tone.WAITING, Tone.GOOD, Tone.GONE)


def _read_replica_sets(
    owner: str, replica_sets: Iterable[Raw], pods: Iterable[Raw], now: Instant
) -> dict[str, ReplicaSetLine]:
    by_owner: dict[str, list[PodLine]] = {}
    for raw in pods:
        seen = see_pod(raw, None, now)
        by_owner.setdefault(seen.owner, []).append(describe_pod(seen.view, now))
    found = {}
    for raw in replica_sets:
        if find_guard(raw) != owner:
            continue
        name, uid = text(at(raw, "metadata", "name")), text(at(raw, "metadata", "uid"))
        lines = sorted(by_owner.get(uid, ()), key=lambda pod: (_ORDER.index(pod.tone), pod.name))
        failure = next(
            (
                text(one.get("message"))
                for one in objects(at(raw, "status", "conditions"))
                if one.get("type") == "ReplicaFailure" and one.get("status") == "True"
            ),
            "",
        )
        found[name] = ReplicaSetLine(
            name, whole(at(raw, "spec", "replicas")), tuple(lines), failure
        )
    return found


def _find_problem(status: Raw) -> str:
    for one in objects(status.get("conditions")):
        if one.get("type") == "Progressing" and one.get("reason") == "ReplicaSetCreateError":
            return text(one.get("message"))
    return ""
