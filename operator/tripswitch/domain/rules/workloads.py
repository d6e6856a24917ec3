"""Rules G2, G3: a guarded workload as the revisions and the spec that all other rules look at (ADR 16).

A Deployment's revisions are its ReplicaSets. A StatefulSet's revisions are its ControllerRevisions, each
given as a ReplicaSetView with the pods that carry its name. Nothing in here depends on what was decided
before, except that a workload whose newest template has no revision yet still counts as the one before, and
that the memory of a workload that was deleted and made again is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from tripswitch.domain.rules import history
from tripswitch.domain.rules.health import effective_min_ready_seconds
from tripswitch.domain.values.circuit_breaker import CircuitBreaker
from tripswitch.domain.values.memory import Memory
from tripswitch.domain.values.protection import (
    HOLD_PARTITION,
    Mark,
    Mode,
    Protected,
    Protection,
    Workload,
    WorkloadKind,
)
from tripswitch.domain.values.replica_sets import ReplicaSetView
from tripswitch.domain.values.report import Report
from tripswitch.domain.values.snapshot import Guarded, Snapshot
from tripswitch.domain.values.status import Status
from tripswitch.domain.values.workload import Spec, Template


def adapt(
    breaker: CircuitBreaker,
    workload: Workload | None,
    revisions: Sequence[ReplicaSetView],
    rival: str = "",
) -> Snapshot:
    """Return the snapshot of a guarded workload, still without findings and sight.

    Args:
        breaker: The DeploymentCircuitBreaker.
        workload: Its target; None: it does not exist.
        revisions: The workload's revisions with their pods.
        rival: Name of the breaker for the same target that acts instead, empty if there is none.
    """
    protected = Protected(breaker.protection, workload, rival)
    if workload is None:
        return Snapshot(_guard(breaker, Spec(0, Template(""))), protected=protected)
    views = tuple(_see(one, workload) for one in revisions if one.revision > 0)
    current = find_current(workload, views)
    name, stored = "" if current is None else current.name, breaker.status
    breaker = replace(breaker, status=remember_target(stored, workload, name))
    template = _find_template(breaker.status.memory, views) if current is None else current.template
    guarded = _guard(breaker, build_spec(breaker, workload, template))
    made_anew = _is_of_another(stored.memory, workload)
    return Snapshot(
        replace(guarded, status=stored),
        views,
        protected=replace(protected, current=name, made_anew=made_anew),
    )


def remember_target(status: Status, workload: Workload, current: str) -> Status:
    """Return the memory with the workload that it is about, and which generation of it (G2).

    A generation is known when the workload's controller has looked at it and its revision, ``current``, is
    there. The memory of a workload that was deleted and made again is dropped.
    """
    if _is_of_another(status.memory, workload):
        status = forget_workload(status)
    known = current and workload.observed_generation >= workload.generation
    generation = workload.generation if known else status.memory.target_generation
    memory = replace(status.memory, target_uid=workload.uid, target_generation=generation)
    return replace(status, memory=memory)


def forget_workload(status: Status) -> Status:
    """Return what outlives a workload which was deleted: the commands that were seen.

    Counts, history and hold were of its revisions. Conditions keep the times of their changes.
    """
    return Status(
        Memory(
            observed_generation=status.memory.observed_generation,
            conditions=status.memory.conditions,
            observed_retry=status.memory.observed_retry,
            observed_stop=status.memory.observed_stop,
        ),
        Report(conditions=status.report.conditions),
    )


def find_current(workload: Workload, revisions: Iterable[ReplicaSetView]) -> ReplicaSetView | None:
    """Return the revision of the workload's template, if its controller has made it (G2).

    Of two ReplicaSets with the same template a Deployment takes the older one.
    """
    if workload.kind is WorkloadKind.STATEFUL_SET:
        return next((one for one in revisions if one.name == workload.update_revision), None)
    same = [
        one
        for one in revisions
        if one.template.digest == workload.template.digest and not one.deleting
    ]
    return min(same, key=lambda one: (one.created_at, one.name), default=None)


def build_spec(breaker: CircuitBreaker, workload: Workload, template: Template) -> Spec:
    """Return the spec that the other rules see: the breaker's settings with the workload's template and size."""
    asked = breaker.protection
    return Spec(
        replicas=workload.replicas,
        template=template,
        strategy=workload.strategy,
        breaker=asked.breaker,
        min_ready_seconds=_find_min_ready(asked, workload),
        health_check_grace_period=asked.health_check_grace_period,
        progress_deadline=_find_deadline(asked, workload, template),
        revision_history_limit=workload.revision_history_limit,
        paused=is_paused_by_others(breaker, workload),
        alarms=asked.alarms,
        bake_seconds=asked.bake_seconds,
    )


def is_stopped(workload: Workload) -> bool:
    """Return whether a workload's controller is stopped and rolls nothing out."""
    if workload.kind is WorkloadKind.DEPLOYMENT:
        return workload.paused
    return bool(workload.partition)


def is_held(workload: Workload, breaker: str) -> bool:
    """Return whether a workload is as a hold of this breaker (a UID) left it."""
    return bears_hold(workload) and workload.mark is not None and workload.mark.breaker == breaker


def bears_hold(workload: Workload) -> bool:
    """Return whether a workload is as a hold of any breaker left it.

    A mark alone says little: a Deployment's controller copies annotations onto the ReplicaSet of the
    template, and ``kubectl rollout undo`` copies them back much later. A pause beside such a mark that
    somebody else set is theirs (G6).
    """
    if workload.mark is None:
        return False
    if workload.kind is WorkloadKind.DEPLOYMENT:
        return workload.paused and not workload.paused_by_others
    return workload.partition == HOLD_PARTITION


def is_paused_by_others(breaker: CircuitBreaker, workload: Workload) -> bool:
    """G6: a pause or a partition that is no hold is a pause (R7).

    A breaker that enforces takes over a hold of another one or one that it does not remember; one that
    observes knows its own only (G7).
    """
    enforces = breaker.protection.mode is Mode.ENFORCE
    known = breaker.status.memory.hold is not None and is_held(workload, breaker.uid)
    return is_stopped(workload) and not (known or (enforces and bears_hold(workload)))


def build_mark(workload: Workload, failed: str, breaker: str, completed: str) -> Mark:
    """Return what is written onto a workload that is held; a hold that is taken over keeps its partition."""
    before = workload.mark if bears_hold(workload) else None
    partition = workload.partition if before is None else before.partition
    return Mark(failed, breaker, partition, completed)


def find_risk(workload: Workload, spec: Spec, newer: int) -> str:
    """Return why a rollback may come too late or not at all, empty if nothing speaks for it.

    It is told at once, not at the trip. ``newer``: how many old ReplicaSets are newer than the one that a rollback
    needs. The Deployment controller keeps ``revisionHistoryLimit`` of the old ones, the newest.
    """
    limit = workload.revision_history_limit
    if workload.kind is WorkloadKind.DEPLOYMENT and limit <= newer:
        plural = "" if newer == 1 else "s"
        later = f", and {newer} later revision{plural} did not complete" if newer else ""
        return (
            f"revisionHistoryLimit is {limit}{later}: the Deployment controller deletes the ReplicaSet that a "
            "rollback needs as soon as it counts a rollout as complete; raise the limit (its default is 10)"
        )
    if not spec.template.readiness.all_probed and workload.min_ready_seconds == 0:
        return (
            f"a container has no readiness probe and minReadySeconds is 0: the {workload.kind} replaces old pods "
            "within seconds, before a crash loop is seen; add a readiness probe or set minReadySeconds"
        )
    if spec.progress_deadline == 0:
        return (
            "there is no progress deadline: pods that never become Ready count once each, and may never "
            "be enough for a trip; set progressDeadlineSeconds"
        )
    return ""


def _is_of_another(memory: Memory, workload: Workload) -> bool:
    """Return whether a memory is of a workload that was deleted; an earlier version did not tell."""
    return memory.target_uid not in ("", workload.uid)


def _guard(breaker: CircuitBreaker, spec: Spec) -> Guarded:
    return Guarded(
        name=breaker.name,
        uid=breaker.uid,
        generation=breaker.generation,
        spec=spec,
        status=breaker.status,
        retry=breaker.retry,
        stop=breaker.stop,
    )


def _see(one: ReplicaSetView, workload: Workload) -> ReplicaSetView:
    """A StatefulSet gives a revision no size: the pods that are there are what it is to have.

    A revision that its controller makes no pods of counts as deleted: it cannot be rolled back to.
    """
    if workload.kind is WorkloadKind.DEPLOYMENT:
        return one
    made = one.name in (workload.update_revision, workload.current_revision)
    return replace(one, size=sum(pod.live for pod in one.pods), deleting=not made)


def _find_template(memory: Memory, revisions: Iterable[ReplicaSetView]) -> Template:
    """Return the template of the desired revision; an empty one if there never was any."""
    record = history.find_by_number(memory.revisions, memory.desired_revision)
    found = history.find_replica_set(revisions, record)
    if found is not None:
        return found.template
    return Template("" if record is None else record.digest)


def _find_deadline(asked: Protection, workload: Workload, template: Template) -> int | None:
    """Return the breaker's deadline, else the Deployment's own and the time that a Ready pod has to stay so (P1).

    For a Deployment a pod that becomes Ready is progress, too: it may take all of the deadline for that and
    ``minReadySeconds`` after it.
    """
    own = workload.progress_deadline
    if asked.progress_deadline is not None or not own:
        return own if asked.progress_deadline is None else asked.progress_deadline
    min_ready, all_probed = _find_min_ready(asked, workload), template.readiness.all_probed
    return own + effective_min_ready_seconds(min_ready, all_probed=all_probed)


def _find_min_ready(asked: Protection, workload: Workload) -> int | None:
    if asked.min_ready_seconds is not None:
        return asked.min_ready_seconds
    return workload.min_ready_seconds or None
