"""Early success and lifecycle hooks in ``spec`` and ``status`` (rules E and K; ECS names)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tripswitch.api.base import ApiModel
from tripswitch.api.times import Time
from tripswitch.domain.values import hooks as domain

Stage = Literal["PRE_SCALE_UP", "POST_SCALE_UP"]
"""The stages at which a rollout can wait; the traffic stages of ECS have no meaning here."""


class EarlySuccessCriteria(ApiModel):
    """When a rollout is COMPLETED before all of its pods are healthy (ECS earlySuccessCriteria; E1)."""

    enable: bool = Field(default=True, description="Whether a rollout may complete early.")
    healthy_percent: int | None = Field(
        default=None,
        ge=0,
        le=100,
        description=(
            "Healthy pods of the new revision that are enough, in percent of replicas, rounded up, and "
            "at least one. Not less than minimumHealthyPercent, which is 100 by default."
        ),
    )
    source_service_revision_cleanup: Literal["BLOCKING", "DEFERRED"] | None = Field(
        default=None,
        description=(
            "BLOCKING: the rollout completes when the pods of older revisions are gone, too. DEFERRED: they "
            "are removed afterwards. The circuit breaker does not watch pods launched after COMPLETED."
        ),
    )


class TimeoutConfiguration(ApiModel):
    """What happens to a hook that nobody answers (ECS timeoutConfiguration)."""

    timeout_in_minutes: int = Field(
        default=1440,
        ge=1,
        le=20160,
        description="Minutes that a hook waits; a pause and an outage of the API server do not count.",
    )
    action: domain.HookAction = Field(
        default=domain.HookAction.ROLLBACK,
        description="ROLLBACK: back to the last completed revision. CONTINUE: the rollout goes on.",
    )


class LifecycleHook(ApiModel):
    """A point at which a rollout waits for a person (ECS lifecycleHooks; rule K1)."""

    target_type: Literal["PAUSE"] = Field(
        default="PAUSE",
        description="PAUSE: the rollout waits for an answer.",
        json_schema_extra={"enum": ["PAUSE"]},
    )
    lifecycle_stages: list[Stage] = Field(
        min_length=1,
        max_length=2,
        description=(
            "Where it waits. PRE_SCALE_UP: before the first pod of a new revision is launched. "
            "POST_SCALE_UP: when its pods are healthy, before the rollout completes. Not in a rollback."
        ),
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    timeout_configuration: TimeoutConfiguration = Field(
        default_factory=TimeoutConfiguration,
        description="What happens to a hook that nobody answers; by default ROLLBACK after a day.",
    )


Hooks = Annotated[
    list[LifecycleHook],
    Field(
        default_factory=list,
        max_length=10,
        description=(
            "Points at which a rollout waits until a person answers, with kubectl tripswitch continue or "
            "the annotation tripswitch.dev/continue. Several at one stage wait at the same time."
        ),
        json_schema_extra={"x-kubernetes-list-type": "atomic", "default": None},
    ),
]
"""``lifecycleHooks``."""


class Hook(ApiModel):
    """One execution of a hook (ECS lifecycleHookDetails)."""

    hook_id: str = Field(
        description="Its name in the annotation tripswitch.dev/continue: <hookId>/CONTINUE or <hookId>/ROLLBACK."
    )
    target_type: str = Field(default=domain.PAUSE, description="PAUSE.")
    lifecycle_stage: domain.LifecycleStage = Field(description="The stage at which it waits.")
    status: domain.HookStatus = Field(
        default=domain.HookStatus.AWAITING_ACTION,
        description="AWAITING_ACTION, then SUCCEEDED, FAILED (a rollback was asked for) or TIMED_OUT.",
    )
    started_at: Time = Field(description="When it began to wait; moved by the length of a pause.")
    expires_at: Time = Field(description="When it times out.")
    timeout_action: domain.HookAction = Field(
        default=domain.HookAction.ROLLBACK, description="What happens at the time-out."
    )


def read_hooks(hooks: list[LifecycleHook]) -> tuple[domain.HookSpec, ...]:
    """Return the hooks as the rules see them."""
    return tuple(
        domain.HookSpec(
            stages=tuple(domain.LifecycleStage(stage) for stage in hook.lifecycle_stages),
            timeout_seconds=hook.timeout_configuration.timeout_in_minutes * 60,
            timeout_action=hook.timeout_configuration.action,
        )
        for hook in hooks
    )


def read_early_success(given: EarlySuccessCriteria | None) -> domain.EarlySuccess | None:
    """Return the criteria as the rules see them; None where a rollout does not complete early.

    >>> read_early_success(EarlySuccessCriteria(healthy_percent=90))
    EarlySuccess(healthy_percent=90, blocking=True)
    """
    if given is None or not given.enable or given.healthy_percent is None:
        return None
    blocking = given.source_service_revision_cleanup != "DEFERRED"
    return domain.EarlySuccess(given.healthy_percent, blocking)
