"""Rules B6, C3 and R6: what the spec asks for, and which rollout follows."""

from __future__ import annotations

from dataclasses import replace

from tripswitch.domain.rules import history, rollout_states
from tripswitch.domain.rules.rollout_states import Transition
from tripswitch.domain.steps.announce import announce_rollout, name_revision
from tripswitch.domain.steps.draft import Draft
from tripswitch.domain.steps.rollout_moves import finish_rollout, start_rollout
from tripswitch.domain.values.decision import EventReason
from tripswitch.domain.values.memory import Revision
from tripswitch.domain.values.states import Reason, RolloutKind


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
        return start_rollout(
            draft,
            draft.rollout.revision,
            draft.rollout.kind,
            failed=draft.rollout.failed_revision,
        ).say(
            EventReason.ROLLOUT_STARTED, f"scaled up from 0: {name_revision(draft, draft.rollout)}"
        )
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
            draft = finish_rollout(draft, Transition.STOPPED, Reason.ROLLOUT_STOPPED, message).say(
                EventReason.ROLLOUT_STOPPED, f"{name_revision(draft, running)} {message}"
            )
    return announce_rollout(start_rollout(draft, record.revision, RolloutKind.DEPLOY))
