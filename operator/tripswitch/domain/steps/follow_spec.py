"""Rules B6, C and R6: what the spec and a person's commands ask for, and which rollout follows."""

from __future__ import annotations

from dataclasses import replace

from tripswitch.domain.rules import breaker as breakers
from tripswitch.domain.rules import history, rollout_states
from tripswitch.domain.rules.digests import await_anew
from tripswitch.domain.rules.rollout_states import Transition
from tripswitch.domain.steps.draft import Draft
from tripswitch.domain.values.decision import EventReason
from tripswitch.domain.values.memory import Revision, Rollout
from tripswitch.domain.values.protection import Mode
from tripswitch.domain.values.states import Reason, RolloutKind, RolloutState, RolloutStatus, Stage
from tripswitch.domain.values.workload import StopKind

STOP_KINDS = frozenset(kind.value for kind in StopKind)


def restore_history(draft: Draft) -> Draft:
    """W2: an object whose status was lost finds its history on its ReplicaSets.

    Also one that began anew before its orphans could be seen: they are history, too.
    """
    revisions = history.restore(draft.memory.revisions, draft.snapshot.replica_sets)
    if draft.memory.rollout is None:
        return _restore_lost_status(draft, revisions)
    return _add_late_orphans(draft, revisions)


def _add_late_orphans(draft: Draft, revisions: tuple[Revision, ...]) -> Draft:
    """Add revisions found after a rollout had begun, and what it may roll back to."""
    known = draft.memory.revisions
    draft = draft.with_memory(revisions=revisions)
    proved_before = any(record.completed_at is not None for record in known)
    if draft.rollout.kind is RolloutKind.ROLLBACK or proved_before:
        return draft
    found = history.select_last_completed(r for r in revisions if r not in known)
    if found is None or found.revision == draft.rollout.revision:
        return draft
    return replace(draft, memory=replace(draft.memory, last_completed_revision=found.revision))


def _restore_lost_status(draft: Draft, revisions: tuple[Revision, ...]) -> Draft:
    """Begin from the ReplicaSets alone; if the wanted revision completed, it is what runs."""
    last = history.select_last_completed(revisions)
    memory = replace(
        draft.memory,
        revisions=revisions,
        last_completed_revision=None if last is None else last.revision,
    )
    if last is not None and last.digest == draft.spec.template.digest:
        finished = history.restored_at(last)
        running = Rollout(
            revision=last.revision,
            kind=RolloutKind.DEPLOY,
            status=RolloutStatus.SUCCESSFUL,
            started_at=finished,
            finished_at=finished,
            reason=Reason.ROLLOUT_COMPLETED,
            message="history was found again on the ReplicaSets",
            progressed_at=finished,
        )
        # S1: it ran before, also if that part of the status was lost.
        breaker = replace(memory.circuit_breaker, stage=Stage.HEALTH)
        memory = replace(
            memory,
            rollout=running,
            desired_revision=last.revision,
            circuit_breaker=breaker,
        )
    return replace(draft, memory=memory)


def rename_on_collision(draft: Draft) -> Draft:
    """Give the desired revision another name where something else already has it."""
    error = draft.snapshot.create_error
    record = history.find_wanted(
        draft.memory.revisions, draft.spec.template.digest, draft.memory.desired_revision
    )
    if (
        error is None
        or not error.name_taken
        or record is None
        or error.replica_set != record.replica_set
    ):
        return draft
    taken = {other.replica_set for other in draft.memory.revisions}
    collisions, name = draft.memory.collision_count, record.replica_set
    while name in taken:
        collisions += 1
        name = history.compute_replica_set_name(
            draft.snapshot.guarded.name, record.digest, collisions
        )
    memory = replace(draft.memory, collision_count=collisions)
    return replace(draft, memory=memory).with_record(replace(record, replica_set=name))


def follow_spec(draft: Draft) -> Draft:
    """C3 and B6: a template that differs from the desired revision's starts a rollout of its own."""
    digest = draft.spec.template.digest
    record = _find_followed(draft)
    if record is None:
        record = _new_revision(draft, digest)
        draft = draft.with_record(record)
    if draft.memory.desired_revision != record.revision:
        return _deploy(draft, record)
    if (
        draft.rollout.status in rollout_states.SUCCEEDED
        and draft.memory.last_completed_revision != draft.rollout.revision
        and draft.spec.replicas > 0
        and (draft.target is not None or draft.rollout.revision == record.revision)
    ):
        # R6: it was scaled to zero and proved nothing; now it has to.
        return draft.start(
            draft.rollout.revision,
            draft.rollout.kind,
            failed=draft.rollout.failed_revision,
        ).say(EventReason.ROLLOUT_STARTED, f"scaled up from 0: {_names(draft, draft.rollout)}")
    return draft


def _find_followed(draft: Draft) -> Revision | None:
    """Return the revision of the template; of a guarded workload the one that its controller takes.

    A Deployment can have two ReplicaSets with one template (G2).
    """
    revisions, protected = draft.memory.revisions, draft.snapshot.protected
    if protected is not None and protected.current:
        named = (one for one in revisions if one.replica_set == protected.current)
        return next(named, None)
    return history.find_wanted(revisions, draft.spec.template.digest, draft.memory.desired_revision)


def apply_commands(draft: Draft) -> Draft:
    """C1 and C2: each value of a command acts once, and only on what it was meant for.

    A retry annotation that is removed leaves the last value seen: put back, it is no new one.
    """
    guarded, seen = draft.snapshot.guarded, draft.memory
    retry = seen.observed_retry if guarded.retry is None else guarded.retry
    draft = replace(draft, memory=replace(seen, observed_retry=retry, observed_stop=guarded.stop))
    if draft.rollout.started_at == draft.now:
        return draft  # a rollout that starts with this very look is not what they were meant for
    if guarded.stop is not None and guarded.stop != seen.observed_stop:
        draft = _stop(draft, guarded.stop)
    if retry != seen.observed_retry:
        draft = retry_desired(draft)
    return draft


def resume(draft: Draft) -> Draft:
    """R7: the end of a pause. What happened meanwhile is taken as seen; the clock of P goes on."""
    rollout = draft.rollout
    if draft.spec.paused or rollout.status not in rollout_states.OPEN or rollout.paused_at is None:
        return draft
    if rollout.status is RolloutStatus.PENDING:
        rollout = rollout_states.move(
            rollout, Transition.LAUNCHED, Reason.ROLLOUT_IN_PROGRESS, rollout.message, draft.now
        )
    stood_still = max(0.0, draft.now - (rollout.paused_at or draft.now))
    rollout = replace(
        rollout, paused_at=None, progressed_at=round(rollout.progressed_at + stood_still, 3)
    )
    breaker = draft.memory.circuit_breaker
    if draft.spec.breaker.enable:
        breaker = breakers.rebase(breaker, draft.target, draft.spec, draft.now, draft.experience)
    return draft.with_memory(rollout=rollout, breaker=breaker)


def _new_revision(draft: Draft, digest: str) -> Revision:
    return Revision(
        revision=history.compute_next_number(draft.memory.revisions, draft.snapshot.replica_sets),
        replica_set=history.compute_replica_set_name(
            draft.snapshot.guarded.name, digest, draft.memory.collision_count
        ),
        digest=digest,
        created_at=draft.now,
        images=draft.spec.template.images,
    )


def _deploy(draft: Draft, record: Revision) -> Draft:
    """C3: a rollout of the desired revision, unless it is what runs (B6)."""
    running = draft.memory.rollout
    memory = replace(draft.memory, desired_revision=record.revision)
    draft = replace(draft, memory=memory)
    if running is not None:
        if running.revision == record.revision and running.status not in rollout_states.STALLED:
            return draft  # B6: the old template was put back; what runs is what is wanted
        if running.status in rollout_states.OPEN:
            message = f"stopped: revision {record.revision} was applied"
            draft = draft.finish(Transition.STOPPED, Reason.ROLLOUT_STOPPED, message).say(
                EventReason.ROLLOUT_STOPPED, f"{_names(draft, running)} {message}"
            )
    return _announce(draft.start(record.revision, RolloutKind.DEPLOY))


def _announce(draft: Draft) -> Draft:
    spec, rollout = draft.spec, draft.rollout
    held = ", paused" if rollout.status is RolloutStatus.PENDING else ""
    threshold = draft.memory.circuit_breaker.threshold
    breaker = f"trips at {threshold} failures" if spec.breaker.enable else "disabled"
    return draft.say(
        EventReason.ROLLOUT_STARTED,
        f"rollout of {_names(draft, rollout)} to {spec.replicas} replicas started{held}; "
        f"circuit breaker {breaker}",
    )


def retry_desired(draft: Draft) -> Draft:
    """C1: the desired revision once more, if it failed or was stopped."""
    desired = draft.record(draft.memory.desired_revision)
    if desired is None or desired.rollout_state not in (RolloutState.FAILED, RolloutState.STOPPED):
        return draft
    if desired.completed_at is None:  # D4
        images = await_anew(desired.container_images)
        draft = draft.with_record(replace(desired, container_images=images))
    if draft.rollout.status in rollout_states.OPEN:
        running = draft.rollout
        message = f"stopped: a retry of revision {desired.revision} was asked for"
        draft = draft.finish(Transition.STOPPED, Reason.ROLLOUT_STOPPED, message).say(
            EventReason.ROLLOUT_STOPPED,
            f"rollback to {_names(draft, running)} {message}; until a revision completes there is none to go "
            "back to",
        )
    return _announce(draft.start(desired.revision, RolloutKind.DEPLOY))


def _stop(draft: Draft, command: str) -> Draft:
    """C2: of the very rollout that is named, and only while it is going on."""
    revision, _, kind = command.partition("/")
    rollout = draft.rollout
    if (
        rollout.status not in rollout_states.OPEN
        or revision != str(rollout.revision)
        or kind not in STOP_KINDS
    ):
        return draft
    draft = draft.finish(Transition.STOPPED, Reason.ROLLOUT_STOPPED, "stopped by a person").say(
        EventReason.ROLLOUT_STOPPED, f"{_names(draft, rollout)} was stopped by a person ({kind})"
    )
    if kind == StopKind.ROLLBACK and rollout.kind is RolloutKind.DEPLOY:
        return roll_back(draft, "stopped by a person")
    return draft


def roll_back(draft: Draft, why: str) -> Draft:
    """B1: go back to the last completed revision; B3: stall where there is none (B8)."""
    failed = draft.rollout.revision
    candidate = draft.memory.last_completed_revision
    if candidate is None or draft.replica_set(candidate) is None:
        message = f"{why}; no completed revision to roll back to, {_tell_stall(draft)}"
        return draft.with_memory(
            rollout=replace(draft.rollout, reason=Reason.NO_COMPLETED_REVISION, message=message)
        ).say(EventReason.ROLLOUT_STALLED, f"revision {failed} stalled: {message}")
    if draft.only_reports:
        message = f"{why}; it would be rolled back to revision {candidate}, {_tell_stall(draft)}"
        return draft.with_memory(rollout=replace(draft.rollout, message=message))
    draft = draft.start(candidate, RolloutKind.ROLLBACK, failed=failed)
    return draft.with_memory(rollout=replace(draft.rollout, message=why)).say(
        EventReason.ROLLBACK_STARTED,
        f"rolling back from revision {failed} to {_names(draft, draft.rollout)}",
    )


def _tell_stall(draft: Draft) -> str:
    """Return what a trip without a rollback means: a guarded workload's own controller goes on (G1)."""
    if draft.snapshot.protected is None:
        return "nothing more is launched"
    observes = draft.snapshot.protected.protection.mode is Mode.OBSERVE
    return "nothing was changed" + (" (mode Observe)" if observes else "")


def _names(draft: Draft, rollout: Rollout) -> str:
    records = (r for r in draft.memory.revisions if r.revision == rollout.revision)
    images = ", ".join(image for record in records for image in record.images)
    return f"revision {rollout.revision}" + (f" ({images})" if images else "")
