"""``status.circuitBreaker`` as it is stored: the count, what is in it, and why (rules F)."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from pydantic import (
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from tripswitch.api.base import ApiModel, Compact
from tripswitch.api.times import Time
from tripswitch.domain.values import memory
from tripswitch.domain.values import states as domain
from tripswitch.domain.values.failure_cause import FailureCause, FailureKind

CAUSE = tuple(field.name for field in fields(FailureCause))
"""The fields of a failure that make it the same as another one."""


class Tally(Compact):
    """Failures of one container seen so far."""

    container: str = Field(description="The container's name.")
    runs: int = Field(default=0, description="Runs of it that ended and were counted (rule F1).")
    waits: int = Field(default=0, description="Failures to start that were counted (rule F2).")
    since: Time | None = Field(default=None, description="Since when it has been unable to start.")
    generation: int = Field(
        default=0, description="The pod's generation when a resize last restarted it (rule F1)."
    )
    base: int = Field(
        default=0, description="Attempts in its events that do not count; negative: not known yet."
    )


class Counted(Compact):
    """What has been seen of one pod, so that nothing counts twice (rule F7)."""

    pod: str = Field(description="UID of the pod.")
    containers: tuple[Tally, ...] = Field(
        default=(), description="What was counted of each of its containers."
    )
    failed: bool = Field(
        default=False, description="Whether it was counted as failed as a whole (rule F3)."
    )
    unhealthy: bool = Field(
        default=False,
        description="Whether it was counted because it was not Ready in time (rule F4).",
    )
    best_state: domain.BestState = Field(
        default=domain.BestState.NONE,
        alias="seen",
        description="The furthest stage that it reached.",
    )
    existed_before: bool = Field(
        default=False, alias="before", description="Whether it existed before the rollout began."
    )


class Evidence(Compact):
    """What else one failing pod had to say."""

    pod: str = Field(description="The pod.")
    event: str = Field(
        default="",
        description="The latest Warning event of the pod, for instance of a probe or a volume.",
    )
    log_tail: str = Field(default="", description="The last lines of the failing container's log.")


class FailureRecord(ApiModel):
    """Failures of one cause."""

    revision: int = Field(description="Revision whose pods failed.")
    kind: FailureKind = Field(description="LAUNCH if the pod never was Ready, HEALTH otherwise.")
    reason: str = Field(
        description="Reason of the failure, for instance OOMKilled or ErrImagePull."
    )
    container: str | None = Field(default=None, description="The container that failed.")
    exit_code: int | None = Field(default=None, description="Its exit code.")
    signal: int | None = Field(default=None, description="The signal that ended it.")
    pod: str = Field(description="The latest pod that failed like this.")
    node: str | None = Field(default=None, description="The node it was on.")
    count: int = Field(description="How many failures of this cause were counted.")
    last_seen: Time = Field(description="When the latest one was counted.")
    message: str = Field(default="", description="Message of the kubelet, at most 1 KiB.")
    evidence: Evidence | None = Field(
        default=None,
        description="Warning event and log lines of one of those pods, once they have been read.",
    )

    @model_validator(mode="before")
    @classmethod
    def _spread_cause(cls, value: Any) -> Any:
        """Put the fields of the core's cause beside the others, as the resource shows them."""
        if not isinstance(value, memory.FailureRecord):
            return value
        spread = {field.name: getattr(value, field.name) for field in fields(value)}
        cause = spread.pop("cause")
        return spread | {name: getattr(cause, name) for name in CAUSE}

    @model_serializer(mode="wrap")
    def _gather_cause(
        self, handler: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        """Give the core one cause; JSON keeps the fields beside the others."""
        dumped: dict[str, Any] = handler(self)
        if info.mode == "python":
            dumped["cause"] = {name: dumped.pop(name) for name in CAUSE}
        return dumped


class Breaker(ApiModel):
    """The circuit breaker."""

    status: domain.BreakerState = Field(
        default=domain.BreakerState.MONITORING,
        description="MONITORING, TRIGGERED or MONITORING_COMPLETE (ECS words), or DISABLED.",
    )
    stage: domain.Stage = Field(
        default=domain.Stage.LAUNCH,
        description="LAUNCH until one pod has been running, then HEALTH.",
    )
    failure_count: int = Field(
        default=0, ge=0, description="Number of failures counted in the current rollout."
    )
    threshold: int = Field(default=3, description="Number of failures at which the breaker trips.")
    summary: str = Field(default="", description="Count and threshold, for instance 2/3.")
    counted: tuple[Counted, ...] = Field(
        default=(),
        description="Pods whose failures are already in the count.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["pod"]},
    )
    unlisted: int | None = Field(
        default=None,
        description="Healthy pods that are not in countedPods because that list is full.",
    )
    uncounted_until: Time | None = Field(
        default=None,
        description="Pods created up to this time that are not in the list are not counted.",
    )
    failures: tuple[FailureRecord, ...] = Field(
        default=(), description="Causes of the failures, newest first, at most 10."
    )
