"""``status`` of a DeploymentCircuitBreaker: the fields of a GuardedDeployment's status, and its own."""

from __future__ import annotations

from pydantic import Field

from tripswitch.api.base import ApiModel
from tripswitch.api.status import CommonStatus
from tripswitch.domain.values.protection import HoldState


class Hold(ApiModel):
    """The workload is kept from rolling out a failed revision (rules G4 and G5)."""

    failed: str = Field(description="ReplicaSet or ControllerRevision of the failed revision.")
    state: HoldState = Field(
        default=HoldState.WANTED,
        description=(
            "Wanted: decided, not yet seen on the workload. Placed: seen on the workload. Yielded: a "
            "person has changed it, and the operator leaves it as it is. Releasing: being removed."
        ),
    )


class CircuitBreakerStatus(CommonStatus):
    """``status`` of a DeploymentCircuitBreaker."""

    target: str = Field(default="", description="The workload that is guarded, as Deployment/web.")
    target_uid: str = Field(
        default="",
        alias="targetUID",
        description="UID of that workload; one that is created again under its name starts without history.",
    )
    target_generation: int = Field(
        default=0,
        description="The generation of that workload which the rollout and the conditions are about.",
    )
    hold: Hold | None = Field(
        default=None, description="What a trip has changed on the workload; none: nothing."
    )
    resumes: int = Field(
        default=0,
        ge=0,
        description="How often the workload was resumed by others while it was held (rule G5).",
    )
