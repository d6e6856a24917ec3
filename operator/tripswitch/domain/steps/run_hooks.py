"""Rules K1 and C4: let a rollout wait at its hooks, and go on or back as they are answered.

PRE_SCALE_UP is before anything of the revision is launched, so that nothing is counted there and no clock
runs, as in a pause. At POST_SCALE_UP its pods are up and watched: failures count and can trip, and only the
clock of P1 stands still.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tripswitch.domain.rules import hooks as rules
from tripswitch.domain.rules import rollout_states
from tripswitch.domain.rules.breaker import take_base_line
from tripswitch.domain.rules.rollout_states import Transition
from tripswitch.domain.steps.announce import name_revision
from tripswitch.domain.steps.draft import Draft
from tripswitch.domain.steps.progress_clock import progress
from tripswitch.domain.steps.roll_back import roll_back
from tripswitch.domain.steps.rollout_moves import finish_rollout
from tripswitch.domain.values.decision import EventReason
from tripswitch.domain.values.hooks import Hook, HookAction, HookStatus, LifecycleStage
from tripswitch.domain.values.states import Reason, RolloutKind

_EVENTS = {
    HookStatus.SUCCEEDED: EventReason.HOOK_SUCCEEDED,
    HookStatus.FAILED: EventReason.HOOK_FAILED,
    HookStatus.TIMED_OUT: EventReason.HOOK_TIMED_OUT,
}
_TAKEN = {HookAction.CONTINUE: "the rollout goes on", HookAction.ROLLBACK: "the rollout is stopped"}


def apply_answers(draft: Draft) -> Draft:
    """C4: a person's answers, also in a pause; those to hooks that do not wait do nothing."""
    if draft.rollout.status not in rollout_states.RUNNING:
        return draft
    answers = rules.read_answers(draft.snapshot.guarded.answers)
    return _take(draft, rules.answer_hooks(draft.rollout.hooks, answers))


def time_out_hooks(draft: Draft) -> Draft:
    """K1: what happens to hooks that nobody answered in time."""
    standstills = draft.sight.standstills
    draft = _take(draft, rules.time_out_hooks(draft.rollout.hooks, draft.now, standstills))
    for hook in rules.find_waiting(draft.rollout.hooks):
        draft = draft.wake(rules.compute_timeout(hook, standstills))
    return draft


def begin_hooks(draft: Draft, stage: LifecycleStage) -> Draft:
    """K1: enter a stage that the rollout has not reached before, and begin the hooks that name it.

    Not in a rollback, as in ECS, and not without replicas: then the rollout that follows when it is scaled
    up begins them (R6).
    """
    rollout = draft.rollout
    owner = draft.snapshot.guarded.uid
    asked = rollout.kind is RolloutKind.DEPLOY and draft.spec.replicas > 0
    begun = rules.begin_hooks(
        draft.spec.hooks if asked else (),
        stage,
        f"{owner}/{rollout.revision}/{rollout.started_at}",
        draft.now,
    )
    hooks = (*rollout.hooks, *begun)
    draft = draft.with_memory(rollout=replace(rollout, lifecycle_stage=stage, hooks=hooks))
    for hook in begun:
        words = rules.describe_hook(hook)
        draft = draft.wake(rules.compute_timeout(hook, draft.sight.standstills)).say(
            EventReason.HOOK_AWAITING_ACTION,
            f"revision {rollout.revision}: {words}; to go on: kubectl tripswitch continue "
            f"{draft.snapshot.guarded.name}; to stop it, add --rollback",
            topic=hook.hook_id,
        )
    return draft


def pass_pre_scale_up(draft: Draft) -> Draft:
    """Begin the hooks before the first pod, and launch when none waits any more.

    What the pods of an earlier try did meanwhile is taken as seen, and the clock of P1 begins.
    """
    rollout = draft.rollout
    if rollout.lifecycle_stage is not LifecycleStage.PRE_SCALE_UP:
        return draft
    if not rollout.hooks:
        draft = begin_hooks(draft, LifecycleStage.PRE_SCALE_UP)
    if rules.find_waiting(draft.rollout.hooks):
        return draft
    waited = bool(draft.rollout.hooks)
    launched = replace(draft.rollout, lifecycle_stage=LifecycleStage.SCALE_UP)
    if not waited:
        return draft.with_memory(rollout=launched)
    breaker = draft.memory.circuit_breaker
    if draft.spec.breaker.enable:
        breaker = take_base_line(
            breaker, draft.target, draft.spec, draft.now, draft.experience, existed_before=True
        )
    launched = replace(progress(launched, draft.now), held_at=None)
    return draft.with_memory(rollout=launched, breaker=breaker)


def _take(draft: Draft, hooks: Sequence[Hook]) -> Draft:
    """Remember what hooks have become, say so, and stop the rollout if one of them asks for it."""
    before = draft.rollout.hooks
    ended = [new for old, new in zip(before, hooks, strict=True) if old != new]
    draft = draft.with_memory(rollout=replace(draft.rollout, hooks=tuple(hooks)))
    for hook in ended:
        draft = draft.say(_EVENTS[hook.status], _tell(draft, hook), topic=hook.hook_id)
    stopping = next((hook for hook in ended if rules.asks_for_rollback(hook)), None)
    return draft if stopping is None else _stop(draft, stopping)


def _tell(draft: Draft, hook: Hook) -> str:
    stops = rules.asks_for_rollback(hook)
    action = HookAction.ROLLBACK if stops else HookAction.CONTINUE
    how = "was not answered in time" if hook.status is HookStatus.TIMED_OUT else "was answered"
    return (
        f"revision {draft.rollout.revision}: hook {hook.hook_id} at {hook.lifecycle_stage} {how} "
        f"({action}): {_TAKEN[action]}"
    )


def _stop(draft: Draft, hook: Hook) -> Draft:
    """End the rollout at a hook and go back, also where the breaker's own ``rollback`` is false."""
    stopped = draft.rollout
    timed_out = hook.status is HookStatus.TIMED_OUT
    reason = Reason.HOOK_TIMED_OUT if timed_out else Reason.STOPPED_BY_HOOK
    who = "its hook was not answered in time" if timed_out else "a person answered its hook"
    why = f"stopped at {hook.lifecycle_stage}: {who} (ROLLBACK)"
    draft = finish_rollout(draft, Transition.STOPPED, reason, why).say(
        EventReason.ROLLOUT_STOPPED, f"{name_revision(draft, stopped)} was {why}"
    )
    return roll_back(draft, why)
