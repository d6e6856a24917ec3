"""Rules K and E: lifecycle hooks and early success, as the user wants them and as they are remembered."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tripswitch.domain.values.time import Instant

PAUSE = "PAUSE"
"""ECS targetType of a hook that waits for a person; the only one there is here."""


class LifecycleStage(StrEnum):
    """ECS ServiceDeployment.lifecycleStage, as far as a rolling deployment passes them."""

    PRE_SCALE_UP = "PRE_SCALE_UP"
    SCALE_UP = "SCALE_UP"
    POST_SCALE_UP = "POST_SCALE_UP"
    BAKE_TIME = "BAKE_TIME"
    CLEAN_UP = "CLEAN_UP"


class HookAction(StrEnum):
    """ECS's two answers to a hook, and what its time-out does."""

    CONTINUE = "CONTINUE"
    ROLLBACK = "ROLLBACK"


class HookStatus(StrEnum):
    """ECS lifecycleHookDetails.status; IN_PROGRESS is for hooks that call a function."""

    AWAITING_ACTION = "AWAITING_ACTION"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"


@dataclass(frozen=True, slots=True)
class HookSpec:
    """One of ``lifecycleHooks``: the rollout waits at each of ``stages`` for an answer.

    ``timeout_seconds`` after which ``timeout_action`` is taken.
    """

    stages: tuple[LifecycleStage, ...]
    timeout_seconds: int = 86_400
    timeout_action: HookAction = HookAction.ROLLBACK


@dataclass(frozen=True, slots=True)
class Hook:
    """One execution of a hook at one stage of one rollout (ECS lifecycleHookDetails).

    ``started_at`` and ``expires_at`` move by the length of each pause, which stops the clock (R7).
    """

    hook_id: str
    lifecycle_stage: LifecycleStage
    started_at: Instant
    expires_at: Instant
    timeout_action: HookAction = HookAction.ROLLBACK
    status: HookStatus = HookStatus.AWAITING_ACTION
    target_type: str = PAUSE


@dataclass(frozen=True, slots=True)
class EarlySuccess:
    """``earlySuccessCriteria``, where it is enabled (E1).

    ``healthy_percent`` of ``replicas`` that are to be healthy. ``blocking``: the pods of older revisions
    have to be gone, too.
    """

    healthy_percent: int
    blocking: bool = True
