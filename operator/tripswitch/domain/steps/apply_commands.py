"""Rules C1 and C2: what a person's annotations ask for."""

from __future__ import annotations

from dataclasses import replace

from tripswitch.domain.rules import rollout_states
from tripswitch.domain.rules.digests import await_anew
from tripswitch.domain.rules.rollout_states import Transition
from tripswitch.domain.steps.announce import announce_rollout, name_revision
from tripswitch.domain.steps.draft import Draft
from tripswitch.domain.steps.roll_back import roll_back
from tripswitch.domain.steps.rollout_moves import finish_rollout, start_rollout
from tripswitch.domain.values.decision import EventReason
from tripswitch.domain.values.states import Reason, RolloutKind, RolloutState
from tripswitch.domain.values.workload import StopKind

STOP_KINDS = frozenset(kind.value for kind in StopKind)


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
        draft = finish_rollout(draft, Transition.STOPPED, Reason.ROLLOUT_STOPPED, message).say(
            EventReason.ROLLOUT_STOPPED,
            f"rollback to {name_revision(draft, running)} {message}; no rollback is possible until a revision "
            "completes",
        )
    return announce_rollout(start_rollout(draft, desired.revision, RolloutKind.DEPLOY))


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
    draft = finish_rollout(
        draft, Transition.STOPPED, Reason.ROLLOUT_STOPPED, "stopped by a person"
    ).say(
        EventReason.ROLLOUT_STOPPED,
        f"{name_revision(draft, rollout)} was stopped by a person ({kind})",
    )
    if kind == StopKind.ROLLBACK and rollout.kind is RolloutKind.DEPLOY:
        return roll_back(draft, "stopped by a person")
    return draft
