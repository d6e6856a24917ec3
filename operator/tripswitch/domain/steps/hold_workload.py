"""Rules G4 to G6: keep a workload from rolling out a failed revision, and let it go again.

A hold is decided with the trip and remembered in ``status.hold`` before anything is written on the
workload. What is written on the workload carries a mark. Every look compares the two and does what is
still missing, so an operator that was killed after any write goes on from there::

    WANTED -> PLACED -> RELEASING -> gone
              PLACED -> YIELDED -> RELEASING

RELEASING becomes PLACED again only where the failed template is put back before the release is written.
PLACED becomes YIELDED where a person takes the mark away and keeps the pause; with the mark put back it is
PLACED again.
A workload that was marked and runs again without us was resumed by hand: that is a retry.
"""

from __future__ import annotations

from dataclasses import replace

from tripswitch.domain.rules.workloads import is_held, is_stopped
from tripswitch.domain.steps.apply_commands import retry_desired
from tripswitch.domain.steps.draft import Draft
from tripswitch.domain.steps.take_over import take_over
from tripswitch.domain.values.decision import EventReason
from tripswitch.domain.values.memory import Revision
from tripswitch.domain.values.protection import (
    MOST_RESUMES,
    Hold,
    HoldState,
    Mode,
    WorkloadKind,
)
from tripswitch.domain.values.states import Reason, RolloutKind, RolloutStatus

ENDED_BADLY = frozenset({RolloutStatus.FAILED, RolloutStatus.STOPPED})


def heed_workload(draft: Draft) -> Draft:
    """Compare the hold with the workload: it is placed, it was resumed by hand, or it was dropped."""
    workload, hold, breaker = draft.workload, draft.memory.hold, draft.snapshot.guarded.uid
    mark = workload.mark
    marked = mark is not None and mark.breaker == breaker
    if hold is None:
        if mark is None:
            return draft
        if marked and draft.snapshot.guarded.status.memory.rollout is not None:
            # What a lost answer did turns up late.
            return _with_hold(draft, Hold(mark.failed, HoldState.RELEASING))
        return take_over(draft, mark)
    if hold.state is HoldState.RELEASING:
        return _heed_release(draft, hold)
    if is_held(workload, breaker):
        return _with_hold(draft, replace(hold, state=HoldState.PLACED))
    if is_stopped(workload):
        return _yield(draft, hold) if hold.state is HoldState.PLACED else draft
    if hold.state is HoldState.WANTED and not marked:
        return draft
    return _take_resumption(draft, hold)


def _yield(draft: Draft, hold: Hold) -> Draft:
    """G6: somebody took the mark away, or chose another partition. The pause is theirs from now on."""
    draft = _with_hold(draft, replace(hold, state=HoldState.YIELDED))
    return draft.say(
        EventReason.WORKLOAD_YIELDED,
        f"the hold of a trip on {draft.workload.kind} {draft.workload.name} was changed by hand, so the operator "
        f"leaves it as it is; resuming the {draft.workload.kind} retries the failed {hold.failed}",
    )


def _heed_release(draft: Draft, hold: Hold) -> Draft:
    """Go back where the failed template was put back before any revision of the next one was seen.

    The rollout has ended, and nobody would watch the revision that rolls out again: it stays held, or
    is retried where the workload has been let go by then.
    """
    if not _should_hold(draft):
        return draft
    if is_held(draft.workload, draft.snapshot.guarded.uid):
        return _with_hold(draft, replace(hold, state=HoldState.PLACED))
    return draft if draft.only_reports else retry_desired(draft)


def _take_resumption(draft: Draft, hold: Hold) -> Draft:
    """G5: to resume a held workload is to ask for a retry."""
    workload, resumes = draft.workload, draft.memory.resumes + 1
    draft = _with_hold(draft, replace(hold, state=HoldState.RELEASING))
    draft = replace(draft, memory=replace(draft.memory, resumes=resumes))
    by = f" by {workload.holder}" if workload.holder else ""
    limit = (
        "the next trip of this template is only reported"
        if resumes >= MOST_RESUMES
        else f"after {MOST_RESUMES} such retries a trip of this template is only reported"
    )
    return retry_desired(
        draft.say(
            EventReason.WORKLOAD_RESUMED,
            f"{workload.kind} {workload.name} was resumed{by} while a trip held it, so its template "
            f"is retried; {limit}",
        )
    )


def settle_hold(draft: Draft) -> Draft:
    """Decide with the trip that the workload is to be held, and at its end that it is let go."""
    hold, before = draft.memory.hold, draft.snapshot.guarded.status.memory
    if draft.memory.desired_revision != before.desired_revision:
        draft = replace(draft, memory=replace(draft.memory, resumes=0))
    if _should_hold(draft):
        if (hold is None or hold.state is HoldState.RELEASING) and _is_news(draft):
            return _with_hold(draft, _begin_hold(draft))
    elif hold is not None:
        hold = replace(hold, state=HoldState.RELEASING)
    if hold is not None and hold.state is HoldState.RELEASING:
        return _with_hold(draft, hold if _is_anything_left(draft) else None)
    return draft


def _should_hold(draft: Draft) -> bool:
    """Whether the rollout has failed, and the workload's template still is the failed one (G5).

    Without a completed revision to go back to a trip is only reported: the pods of the failed revision
    may be all that serves (B3).
    """
    rollout, desired = draft.rollout, draft.record(draft.memory.desired_revision)
    if desired is None or not _is_wanted(draft, desired):
        return False
    if rollout.kind is RolloutKind.ROLLBACK:
        # A workload that was deleted and made again has no ReplicaSet of the completed revision.
        can_go_back = draft.target is not None or is_held(
            draft.workload, draft.snapshot.guarded.uid
        )
        return can_go_back and rollout.failed_revision == desired.revision
    return rollout.status in ENDED_BADLY and rollout.reason is not Reason.NO_COMPLETED_REVISION


def _is_news(draft: Draft) -> bool:
    """Whether this look ended the rollout, and a hold is allowed."""
    rollout, before = draft.rollout, draft.snapshot.guarded.status.memory.rollout
    same = before is not None and (rollout.started_at, rollout.status) == (
        before.started_at,
        before.status,
    )
    return not same and not draft.only_reports


def _begin_hold(draft: Draft) -> Hold:
    record = draft.record(draft.memory.desired_revision)
    assert record is not None, "a failed revision that history does not know"
    return Hold(record.replica_set)


def _is_wanted(draft: Draft, record: Revision) -> bool:
    """Whether the workload's template is a revision's, also where its ReplicaSet was deleted."""
    current, workload = _find_current(draft), draft.workload
    if current:
        return current == record.replica_set
    if workload.kind is WorkloadKind.DEPLOYMENT:
        return workload.template.digest == record.digest
    return workload.update_revision == record.replica_set


def _find_current(draft: Draft) -> str:
    """Return the name of the revision of the workload's template; empty while there is none."""
    return "" if draft.snapshot.protected is None else draft.snapshot.protected.current


def _is_anything_left(draft: Draft) -> bool:
    one, protected = draft.workload, draft.snapshot.protected
    enforces = protected is not None and protected.protection.mode is Mode.ENFORCE
    owned = enforces and one.owned is not None
    return one.mark is not None or one.stalled or owned


def _with_hold(draft: Draft, hold: Hold | None) -> Draft:
    return replace(draft, memory=replace(draft.memory, hold=hold))
