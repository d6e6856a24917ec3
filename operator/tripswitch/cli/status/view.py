"""Raw objects -> one frozen view of a GuardedDeployment with all that belongs to it. Pure.

Reading is tolerant: the status may be of an older or newer operator, or not there yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from tripswitch.api.identity import RETRY, STOP
from tripswitch.api.tolerant import field as at
from tripswitch.api.tolerant import mapping, objects, read_int, read_text
from tripswitch.cli.references import refer_to
from tripswitch.cli.status.alarms import AlarmsLine, read_alarms
from tripswitch.cli.status.entries import (
    BreakerLine,
    Raw,
    RevisionLine,
    RolloutLine,
    read_breaker,
    read_revision,
    read_rollout,
)
from tripswitch.cli.status.holders import read_controller_revisions, read_replica_sets
from tripswitch.domain.rules import rollout_states
from tripswitch.domain.values.time import Instant


class Outcome(StrEnum):
    """How the latest rollout ended, or that it has not."""

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


_OPEN = rollout_states.OPEN | {""}
"""A rollout that the operator has not written yet is open, too."""


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
    risk: str = ""
    """What would keep a trip from rolling back, said before there is one."""
    mode: str = ""
    """``Enforce`` or ``Observe``; empty for a GuardedDeployment."""
    held: bool = False
    """A trip keeps the guarded workload from rolling out (G4)."""
    alarms: AlarmsLine | None = None
    """None: no alarms are watched."""
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
    sized = mapping(at(workload, "spec")) if target else spec
    rollout = read_rollout(mapping(status.get("rollout")))
    current, desired = is_current(guarded, workload), read_int(status.get("desiredRevision"))
    held = bool(status.get("hold"))
    return View(
        namespace=read_text(metadata.get("namespace")),
        name=read_text(metadata.get("name")),
        label=str(refer_to(guarded)),
        replicas=_read_replicas(sized, status, known=workload is not None or not target),
        healthy=read_int(status.get("availableReplicas")),
        paused=sized.get("paused") is True and not held,
        current=current,
        outcome=judge(rollout, desired) if current else Outcome.RUNNING,
        rollout=rollout,
        breaker=read_breaker(mapping(status.get("circuitBreaker"))),
        desired_revision=desired,
        last_completed=read_int(status.get("lastCompletedRevision")),
        reason=read_text(status.get("rolloutStateReason")),
        problem=_find_message(status, lambda one: one.get("reason") in PROBLEMS),
        risk=_find_message(status, lambda one: one.get("type") == "RollbackAtRisk"),
        mode=read_text(spec.get("mode")),
        held=held,
        alarms=read_alarms(mapping(status.get("alarms"))),
        revisions=_read_revisions(guarded, workload, replica_sets, pods, now),
    )


def _read_revisions(
    guarded: Raw,
    workload: Raw | None,
    replica_sets: Iterable[Raw],
    pods: Iterable[Raw],
    now: Instant,
) -> tuple[RevisionLine, ...]:
    """Return the revisions of the status, each with what holds its pods if that was read."""
    target = mapping(at(guarded, "spec", "targetRef"))
    if target.get("kind") == "StatefulSet":
        holders = read_controller_revisions(workload or {}, pods, now)
    else:
        owner = (workload or {}) if target else None
        holders = read_replica_sets(guarded, owner, replica_sets, pods, now)
    return tuple(
        read_revision(one, holders.get(read_text(one.get("replicaSet"))))
        for one in objects(at(guarded, "status", "revisions"))
    )


def _read_replicas(spec: Raw, status: Raw, *, known: bool) -> int:
    if not known:
        return read_int(status.get("replicas"))
    return read_int(spec.get("replicas")) if "replicas" in spec else 1


def judge(rollout: RolloutLine, desired_revision: int) -> Outcome:
    """Return how a rollout ended. A rollback is a success only for who wants what it brought back."""
    if rollout.status in _OPEN:
        return Outcome.RUNNING
    wanted = rollout.revision == desired_revision
    return (
        Outcome.COMPLETED
        if rollout.status in rollout_states.SUCCEEDED and wanted
        else Outcome.FAILED
    )


def is_current(guarded: Raw, workload: Raw | None = None) -> bool:
    """Return whether the operator has seen the latest spec and the latest commands.

    Of a guarded workload the spec is the workload's own; an operator of version 0.1.0 does not tell.
    """
    status = mapping(guarded.get("status"))
    told = status.get("targetGeneration")
    if told is not None and read_int(told) < read_int(at(workload, "metadata", "generation")):
        return False
    annotations = mapping(at(guarded, "metadata", "annotations"))
    return (
        read_int(status.get("observedGeneration"))
        >= read_int(at(guarded, "metadata", "generation"))
        and status.get("rollout") is not None
        and status.get("observedRetry") == annotations.get(RETRY)
        and status.get("observedStop") == annotations.get(STOP)
    )


PROBLEMS = frozenset({"ReplicaSetCreateError", "TargetNotFound", "TargetTaken", "NoRollout"})
"""Reasons of conditions whose message says what the rollout does not."""


def _find_message(status: Raw, holds: Callable[[Raw], bool]) -> str:
    found = (
        read_text(one.get("message")) for one in objects(status.get("conditions")) if holds(one)
    )
    return next(found, "")
