"""Rules G5 and G9: a hold without memory is recognised by its marks on the workload.

A DeploymentCircuitBreaker that is deleted during a trip leaves the workload held. One that is made for the same
workload later, or that lost its status, takes the hold over: the mark names the failed revision and the one
that the trip went back to. Mode Observe takes nothing over (G7).
"""

from __future__ import annotations

from dataclasses import replace

from tripswitch.domain.rules import rollout_states
from tripswitch.domain.rules.rollout_states import Transition
from tripswitch.domain.rules.workloads import bears_hold
from tripswitch.domain.steps.draft import Draft
from tripswitch.domain.steps.roll_back import roll_back
from tripswitch.domain.steps.rollout_moves import finish_rollout
from tripswitch.domain.values.decision import EventReason
from tripswitch.domain.values.protection import Hold, HoldState, Mark, Mode
from tripswitch.domain.values.states import Reason, RolloutState, RolloutStatus

CAUSE = "its trip was found on the workload (annotation tripswitch.dev/tripped)"


def take_over(draft: Draft, mark: Mark) -> Draft:
    """Remember a hold that only the workload remembers; one of another template is let go (G5)."""
    protected = draft.snapshot.protected
    assert protected is not None, "asked for the hold of a GuardedDeployment"
    if protected.protection.mode is Mode.OBSERVE or not bears_hold(draft.workload):
        return draft
    if protected.current != mark.failed:
        return _tell(_with_hold(draft, Hold(mark.failed, HoldState.RELEASING)), mark)
    draft = _fail(draft)
    desired = draft.record(draft.memory.desired_revision)
    if desired is None or desired.rollout_state not in (RolloutState.FAILED, RolloutState.STOPPED):
        return draft  # it has completed since: a person holds it
    ours = mark.breaker == draft.snapshot.guarded.uid
    hold = Hold(mark.failed, HoldState.PLACED if ours else HoldState.WANTED)
    return _go_back(_tell(_with_hold(draft, hold), mark), mark)


def _fail(draft: Draft) -> Draft:
    """End the rollout that this look or an earlier one began for the failed revision."""
    rollout = draft.rollout
    if (
        rollout.revision != draft.memory.desired_revision
        or rollout.status not in rollout_states.OPEN
    ):
        return draft
    if rollout.status is RolloutStatus.PENDING:
        begun = rollout_states.move(
            rollout, Transition.LAUNCHED, Reason.ROLLOUT_IN_PROGRESS, "", draft.now
        )
        draft = draft.with_memory(rollout=begun)
    return finish_rollout(draft, Transition.TRIPPED, Reason.CIRCUIT_BREAKER_TRIGGERED, CAUSE)


def _go_back(draft: Draft, mark: Mark) -> Draft:
    """Go on with the rollback, where the mark says that there was one."""
    good = next((r for r in draft.memory.revisions if r.replica_set == mark.completed), None)
    if good is None or draft.rollout.status is not RolloutStatus.FAILED:
        return draft
    memory = replace(draft.memory, last_completed_revision=good.revision)
    return roll_back(replace(draft, memory=memory), CAUSE)


def _tell(draft: Draft, mark: Mark) -> Draft:
    one = draft.workload
    kept = draft.memory.hold is not None and draft.memory.hold.state is not HoldState.RELEASING
    next_ = "it stays held" if kept else "it is released, because its template has changed since"
    return draft.say(
        EventReason.HOLD_FOUND,
        f"{one.kind} {one.name} is held by a trip of {mark.failed} that this DeploymentCircuitBreaker does "
        f"not know: {next_}",
    )


def _with_hold(draft: Draft, hold: Hold) -> Draft:
    return replace(draft, memory=replace(draft.memory, hold=hold))
