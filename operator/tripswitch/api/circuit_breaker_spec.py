"""``spec`` of a DeploymentCircuitBreaker. Descriptions are what ``kubectl explain`` prints."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tripswitch.api.alarms import AlarmSettings
from tripswitch.api.base import ApiModel
from tripswitch.api.breaker_settings import GRACE_PERIOD, MOST, BreakerSettings
from tripswitch.domain.values.protection import Mode, WorkloadKind

ObjectName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=253,
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    ),
]
"""The name of an object: a DNS subdomain."""


class TargetReference(ApiModel):
    """The workload that is guarded, in the same namespace (rule G1)."""

    api_version: Literal["apps/v1"] = Field(
        default="apps/v1",
        description="API group and version of the workload.",
        json_schema_extra={"enum": ["apps/v1"]},
    )
    kind: WorkloadKind = Field(description="Deployment or StatefulSet.")
    name: ObjectName = Field(description="Name of the workload.")


class CircuitBreakerSpec(BreakerSettings, AlarmSettings):
    """``spec`` of a DeploymentCircuitBreaker."""

    target_ref: TargetReference = Field(
        description="The workload that is guarded. Cannot be changed."
    )
    mode: Mode = Field(
        default=Mode.ENFORCE,
        description=(
            "Enforce: a trip stops the rollout and rolls back. Observe: failures are counted and "
            "reported with what would have been done; nothing but this object's status and events "
            "is written."
        ),
    )
    health_check_grace_period_seconds: int = Field(
        default=0,
        ge=0,
        le=MOST,
        description=GRACE_PERIOD,
    )
    min_ready_seconds: int | None = Field(
        default=None,
        ge=0,
        le=MOST,
        description=(
            "Seconds a pod must be Ready to be healthy. Default: the workload's own minReadySeconds "
            "if that is not 0; else 0 when every container and sidecar has a readiness probe, and 40 "
            "when not: without a probe a crash-looping pod is Ready at every start."
        ),
    )
    progress_deadline_seconds: int | None = Field(
        default=None,
        ge=0,
        le=MOST,
        description=(
            "Seconds without one more healthy pod after which the rollout fails as if the breaker "
            "had tripped; 0 = never. Default: the Deployment's own, else 600. Must be greater than "
            "minReadySeconds."
        ),
    )
