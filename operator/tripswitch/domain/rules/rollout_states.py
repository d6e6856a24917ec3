"""Rules B and C: the states of a rollout, and every way between them.

Theory. A rollout is one attempt to make a revision the running one. It moves only by ``TABLE``. A
finished rollout never moves again, with one exception: a failed rollback completes if its pods become
healthy later (F10). Every later attempt (a new template, a retry, a rollback, scaling up
from zero) is a *new* rollout, so the table has no cycle (a test walks it) and "once per rollout" (T5)
needs no flag. What follows from a status (does it launch pods? is it watched?) is asked of the sets
below and nowhere else.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from types import MappingProxyType

from tripswitch.domain.values.hooks import HookStatus, LifecycleStage
from tripswitch.domain.values.memory import Rollout
from tripswitch.domain.values.states import Reason, RolloutKind, RolloutState, RolloutStatus
from tripswitch.domain.values.time import Instant

_S = RolloutStatus


class Transition(StrEnum):
    """What can happen to a rollout."""

    LAUNCHED = "launched"
    COMPLETED = "completed"
    TRIPPED = "tripped"
    STOPPED = "stopped"


TABLE = MappingProxyType(
    {
        (_S.PENDING, Transition.LAUNCHED): _S.IN_PROGRESS,
        (_S.PENDING, Transition.STOPPED): _S.STOPPED,
        (_S.IN_PROGRESS, Transition.COMPLETED): _S.SUCCESSFUL,
        (_S.IN_PROGRESS, Transition.TRIPPED): _S.FAILED,
        (_S.IN_PROGRESS, Transition.STOPPED): _S.STOPPED,
        (_S.ROLLBACK_IN_PROGRESS, Transition.COMPLETED): _S.ROLLBACK_SUCCESSFUL,
        (_S.ROLLBACK_IN_PROGRESS, Transition.TRIPPED): _S.ROLLBACK_FAILED,
        (_S.ROLLBACK_IN_PROGRESS, Transition.STOPPED): _S.STOPPED,
        (_S.ROLLBACK_FAILED, Transition.COMPLETED): _S.ROLLBACK_SUCCESSFUL,
    }
)
"""(status, cause) -> status. What is not here cannot happen."""

RUNNING = frozenset({_S.IN_PROGRESS, _S.ROLLBACK_IN_PROGRESS})
"""Pods are launched and watched (S3)."""
OPEN = RUNNING | {_S.PENDING}
"""Not finished: PENDING waits for the end of a pause (R7)."""
SUCCEEDED = frozenset({_S.SUCCESSFUL, _S.ROLLBACK_SUCCESSFUL})
"""The revision runs and is kept at its size, unwatched."""
STALLED = frozenset({_S.FAILED, _S.ROLLBACK_FAILED, _S.STOPPED})
"""As the latest rollout: nothing is launched any more (B3, B4, B5)."""

STATE = MappingProxyType(
    {
        _S.PENDING: RolloutState.IN_PROGRESS,
        _S.IN_PROGRESS: RolloutState.IN_PROGRESS,
        _S.ROLLBACK_IN_PROGRESS: RolloutState.IN_PROGRESS,
        _S.SUCCESSFUL: RolloutState.COMPLETED,
        _S.ROLLBACK_SUCCESSFUL: RolloutState.COMPLETED,
        _S.FAILED: RolloutState.FAILED,
        _S.ROLLBACK_FAILED: RolloutState.FAILED,
        _S.STOPPED: RolloutState.STOPPED,
    }
)
"""The rolloutState that a rollout gives its revision."""


class IllegalTransitionError(AssertionError):
    """A move that is not in ``TABLE``: a bug in the caller, and nothing was changed."""


def begin(
    revision: int,
    kind: RolloutKind,
    now: Instant,
    *,
    pending: bool = False,
    failed_revision: int | None = None,
    healthy: int = 0,
) -> Rollout:
    """Return a new rollout. ``healthy`` pods of the revision are there already (P1)."""
    status = _S.IN_PROGRESS if kind is RolloutKind.DEPLOY else _S.ROLLBACK_IN_PROGRESS
    if pending:
        status = _S.PENDING
    return Rollout(
        revision=revision,
        kind=kind,
        status=status,
        started_at=now,
        failed_revision=failed_revision,
        reason=(
            Reason.ROLLOUT_IN_PROGRESS
            if kind is RolloutKind.DEPLOY
            else Reason.ROLLBACK_IN_PROGRESS
        ),
        healthy_high_water=healthy,
        progressed_at=now,
        paused_at=now if pending else None,
        lifecycle_stage=(
            LifecycleStage.PRE_SCALE_UP
            if kind is RolloutKind.DEPLOY
            else LifecycleStage.SCALE_UP  # K1: a rollback has no hooks
        ),
    )


def move(
    rollout: Rollout, cause: Transition, reason: Reason, message: str, now: Instant
) -> Rollout:
    """Return the rollout after ``cause``; the only way a status ever changes.

    Raises:
        IllegalTransitionError: ``TABLE`` has no such move.
    """
    try:
        status = TABLE[rollout.status, cause]
    except KeyError:
        msg = f"a rollout that is {rollout.status} cannot be {cause}"
        raise IllegalTransitionError(msg) from None
    moved = replace(rollout, status=status, reason=reason, message=message)
    if status in OPEN:
        return replace(moved, finished_at=None)
    ended = tuple(one for one in rollout.hooks if one.status is not HookStatus.AWAITING_ACTION)
    return replace(moved, finished_at=now, lifecycle_stage=None, hooks=ended)


def awaits_launch(rollout: Rollout) -> bool:
    """Return whether nothing of the revision may be launched yet (R7, K1)."""
    return (
        rollout.status in OPEN and rollout.lifecycle_stage is LifecycleStage.PRE_SCALE_UP
    ) or rollout.status is _S.PENDING
