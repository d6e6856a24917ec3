"""Settings of the circuit breaker, the same for GuardedDeployment and DeploymentCircuitBreaker.

Names and meaning are those of ECS ``deploymentCircuitBreaker``; ``failurePolicy`` is an addition.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tripswitch.api.base import ApiModel
from tripswitch.domain.values.failure import Verdict
from tripswitch.domain.values.workload import ThresholdType

Text = Annotated[str, Field(max_length=253)]

MOST = 2147483647
"""The largest value of an integer field of a Deployment; the schema refuses more."""

GRACE_PERIOD = (
    "Seconds a started pod is given to become Ready, on top of the largest of its readiness "
    "probe's budget, 60 s, and 3 times what the last completed revision took (300 s where "
    "none has completed)."
)
"""Description of ``healthCheckGracePeriodSeconds`` (rule F4), which both kinds have."""


class ThresholdConfiguration(ApiModel):
    """How many failures trip the breaker (rules T1 to T4)."""

    type: ThresholdType = Field(
        default=ThresholdType.BOUNDED_PERCENT,
        description=(
            "How value is read. BOUNDED_PERCENT: percent of replicas, rounded up, at least 3 and at "
            "most 200. UNBOUNDED_PERCENT: the same without the bounds, at least 1. COUNT: a number "
            "of failures. Computed from the latest replicas at every look."
        ),
    )
    value: int = Field(
        default=50,
        ge=1,
        le=1000,
        description="Percent (1 to 100), or a number of failures (1 to 1000) with COUNT.",
    )


class ExitCodes(ApiModel):
    """Exit codes of containers that a rule of the failure policy looks at."""

    container_name: Text | None = Field(
        default=None, description="Only exits of this container; any container if left out."
    )
    operator: Literal["In", "NotIn"] = Field(
        default="In", description="Whether the exit code must be one of values, or none of them."
    )
    values: list[Annotated[int, Field(ge=0, le=255)]] = Field(
        min_length=1,
        max_length=255,
        description="Exit codes.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )


class PolicyRule(ApiModel):
    """One rule of the failure policy. All criteria that are given must hold."""

    action: Verdict = Field(
        description=(
            "Count: the failure counts, as by default. Ignore: it does not. FailNow: the breaker "
            "trips at once."
        )
    )
    on_reasons: list[Text] = Field(
        default_factory=list,
        max_length=32,
        description=(
            "Reasons of the failure, such as ErrImagePull, ImagePullBackOff, OOMKilled, Error, "
            "Completed, Evicted, NotReadyInTime. One of them must be the failure's."
        ),
        json_schema_extra={"x-kubernetes-list-type": "set", "default": None},
    )
    on_exit_codes: ExitCodes | None = Field(
        default=None, description="Exit codes of the container that failed."
    )
    container_name: Text | None = Field(
        default=None, description="Only failures of this container."
    )


class FailurePolicy(ApiModel):
    """What counts as a failure, where the default is not right (rule F6)."""

    rules: list[PolicyRule] = Field(
        default_factory=list,
        max_length=32,
        description="Rules in order; the first that matches a failure decides.",
        json_schema_extra={"x-kubernetes-list-type": "atomic", "default": None},
    )


class BreakerSettings(ApiModel):
    """The settings of the breaker that GuardedDeployment and DeploymentCircuitBreaker share."""

    rollback: bool = Field(
        default=True,
        description=(
            "Whether a trip goes back to the last completed revision. With false, or with no such "
            "revision, the rollout stalls: nothing more is launched."
        ),
    )
    reset_on_healthy_task: bool = Field(
        default=True,
        description="Whether the count goes back to 0 when another pod becomes healthy.",
    )
    threshold_configuration: ThresholdConfiguration = Field(
        default_factory=ThresholdConfiguration,
        description="How many failures trip the breaker; by default half of replicas, 3 to 200.",
    )
    failure_policy: FailurePolicy = Field(
        default_factory=FailurePolicy,
        description="Failures to ignore, or to trip on at once.",
    )


class CircuitBreaker(BreakerSettings):
    """``deploymentCircuitBreaker`` of a GuardedDeployment (the ECS field of that name)."""

    enable: bool = Field(
        default=True,
        description="Whether failures are counted and can trip. Default true (ECS: false).",
    )
