"""``status`` as it is stored: the core's memory and report as one object, in camelCase, times as RFC 3339.

Each field has the name of a field of :class:`tripswitch.domain.values.memory.Memory` or of
:class:`tripswitch.domain.values.report.Report`, so that :mod:`tripswitch.api.codec` names none of them.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from tripswitch.api.alarms import AlarmsStatus, Bake
from tripswitch.api.base import ApiModel, Compact
from tripswitch.api.counted_failures import Breaker
from tripswitch.api.lifecycle import Hook
from tripswitch.api.times import Time
from tripswitch.domain.values import states as domain
from tripswitch.domain.values.hooks import LifecycleStage
from tripswitch.domain.values.images import DigestNote

Truth = Annotated[
    bool,
    BeforeValidator(lambda value: value == "True" if isinstance(value, str) else value),
    PlainSerializer(str, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "enum": ["True", "False", "Unknown"]}),
]
"""A condition's status."""


class Rollout(ApiModel):
    """The current or latest rollout."""

    revision: int = Field(description="Revision that the rollout deploys.")
    kind: domain.RolloutKind = Field(description="DEPLOY or ROLLBACK.")
    status: domain.RolloutStatus = Field(
        description="Its status, in ECS ServiceDeployment's words."
    )
    started_at: Time = Field(description="When it began.")
    finished_at: Time | None = Field(default=None, description="When it ended.")
    failed_revision: int | None = Field(
        default=None, description="The revision that a rollback came from."
    )
    reason: domain.Reason = Field(
        default=domain.Reason.ROLLOUT_IN_PROGRESS,
        description="Reason for the status, in one word.",
    )
    message: str = Field(default="", description="Reason for the status, in one sentence.")
    healthy_high_water: int = Field(
        default=0, description="The most healthy pods of the revision so far (rule P1)."
    )
    progressed_at: Time = Field(default=0.0, description="When healthyHighWater last rose.")
    paused_at: Time | None = Field(default=None, description="Since when it is paused.")
    held_at: Time | None = Field(
        default=None,
        description="Since when no pod could become healthy; the progress deadline does not run meanwhile.",
    )
    lifecycle_stage: LifecycleStage | None = Field(
        default=None, description="The stage that it is in (ECS words); none once it has ended."
    )
    hooks: tuple[Hook, ...] = Field(
        default=(),
        description="Its hooks that have begun; the rollout waits for those that are AWAITING_ACTION.",
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["hookId"],
        },
    )
    bake: Bake | None = Field(default=None, description="The bake, its start and end (rule A3).")
    bake_ends_at: Time | None = Field(
        default=None, description="When the bake ends; none during an interruption."
    )


class ContainerImage(ApiModel):
    """The digest that stands for one container's image in a revision (ECS containerImages)."""

    container: str = Field(alias="containerName", description="The container.")
    image: str = Field(description="Its image, as the pod template has it.")
    digest: str | None = Field(
        default=None,
        alias="imageDigest",
        description="The digest that the revision's pods run; none: new pods use the tag.",
    )
    note: DigestNote | None = Field(
        default=None, alias="reason", description="What is special about the digest, in one word."
    )


class Revision(ApiModel):
    """One pod template and its ReplicaSet."""

    revision: int = Field(description="Its number.")
    replica_set: str = Field(description="Its ReplicaSet.")
    digest: str = Field(alias="templateHash", description="Identity of the pod template.")
    status: str = Field(default="INACTIVE", description="PRIMARY, ACTIVE or INACTIVE, as in ECS.")
    rollout_state: domain.RolloutState = Field(
        default=domain.RolloutState.IN_PROGRESS, description="Status of its latest rollout."
    )
    desired: int = Field(default=0, description="Size of its ReplicaSet.")
    running: int = Field(default=0, description="Its running pods.")
    healthy: int = Field(default=0, description="Its healthy pods.")
    failed_tasks: int = Field(
        default=0, description="Failures counted for it in all of its rollouts."
    )
    images: tuple[str, ...] = Field(default=(), description="Its containers' images.")
    created_at: Time = Field(description="When it was created.")
    finished_at: Time | None = Field(default=None, description="When its latest rollout ended.")
    completed_at: Time | None = Field(default=None, description="When it last COMPLETED.")
    ready_seconds: int | None = Field(
        default=None,
        description="Seconds that the slowest of its pods took from its start until it was Ready (rule F4).",
    )
    message: str = Field(default="", alias="reason", description="Why it failed or was stopped.")
    container_images: tuple[ContainerImage, ...] = Field(
        default=(), description="The digests of its containers' images (rules D)."
    )


class MissingReferences(Compact):
    """What new pods of a completed revision need and its namespace does not have (rule B9)."""

    revision: int = Field(description="The revision that a rollback goes back to.")
    config_maps: tuple[str, ...] = Field(
        default=(), description="ConfigMaps that its template names, and that do not exist."
    )
    service_accounts: tuple[str, ...] = Field(
        default=(), description="ServiceAccounts that its template names, and that do not exist."
    )


class ShortRuns(ApiModel):
    """A container of the completed revision whose latest runs each ended within 10 minutes."""

    pod: str = Field(description="UID of its pod.")
    container: str = Field(description="The container.")
    restarts_before: int = Field(
        default=0, description="Its restarts before the first of these runs."
    )


class Storm(ApiModel):
    """A ReplicaSet that is held because its pods fail as soon as they are created (rule R8)."""

    replica_set: str = Field(description="The ReplicaSet.")
    began_at: Time = Field(description="Since when.")
    tried_at: Time = Field(description="When it was last held or last allowed to create pods.")
    size: int = Field(description="The size it has without the brake.")
    allowed: int = Field(default=0, description="The size up to which it may create pods.")
    batch: int = Field(default=0, description="How many pods it may create at once.")
    tries: int = Field(default=0, description="Tries in a row in which no pod stayed.")
    message: str = Field(default="", description="Why the latest pod failed.")
    sized_for: int | None = Field(
        default=None, description="The replicas that the size was decided for."
    )


class Condition(ApiModel):
    """One condition, as kstatus reads it."""

    type: str = Field(
        description="Available, Progressing, Ready, Stalled, Reconciling, or a problem such as CrashLooping."
        " AlarmsIgnored and AlarmsUnavailable are about alarms (rule A2)."
    )
    status: Truth = Field(description="True, False or Unknown.")
    reason: domain.Reason = Field(description="Why, in one word.")
    message: str = Field(description="Reason for the condition, in one sentence.")
    last_transition_time: Time = Field(description="When status last changed.")
    observed_generation: int | None = Field(
        default=None, description="The generation this condition is about."
    )


class CommonStatus(ApiModel):
    """The status fields that GuardedDeployment and DeploymentCircuitBreaker share."""

    observed_generation: int = Field(default=0, description="The generation this status is about.")
    replicas: int = Field(default=0, description="Pods of all revisions.")
    updated_replicas: int = Field(default=0, description="Pods of the desired revision.")
    ready_replicas: int = Field(default=0, description="Ready pods of all revisions.")
    available_replicas: int = Field(default=0, description="Healthy pods of all revisions.")
    rollout_state: domain.RolloutState | None = Field(
        default=None,
        description="State of the rollout that runs, else of the desired revision (ECS words).",
    )
    rollout_state_reason: str = Field(
        default="", description="Reason for the rollout state, in one sentence."
    )
    rollout: Rollout | None = Field(default=None, description="The current or latest rollout.")
    desired_revision: int | None = Field(
        default=None, description="The revision of the template that is wanted now."
    )
    last_completed_revision: int | None = Field(
        default=None,
        description="Revision that a rollback would deploy; empty while a rollback runs.",
    )
    circuit_breaker: Breaker = Field(default=Breaker(), description="The circuit breaker.")
    alarms: AlarmsStatus | None = Field(
        default=None, description="The alarms of the latest deployment; none if none are watched."
    )
    missing_references: MissingReferences | None = Field(
        default=None,
        description="What a rollback would need and does not exist; none if nothing is known to be missing.",
    )
    revisions: tuple[Revision, ...] = Field(
        default=(),
        description="History, newest first.",
    )
    conditions: tuple[Condition, ...] = Field(
        default=(),
        description="Available, Progressing, Ready, Stalled, Reconciling.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    short_runs: tuple[ShortRuns, ...] = Field(
        default=(),
        description="Containers of the completed revision that ended soon after their start; CrashLooping follows.",
    )
    observed_retry: str | None = Field(
        default=None, description="The last value seen of the retry annotation (rule C1)."
    )
    observed_stop: str | None = Field(
        default=None, description="The stop annotation as last seen (rule C2)."
    )


class Status(CommonStatus):
    """``status`` of a GuardedDeployment."""

    selector: str = Field(default="", description="The label selector, for the scale subresource.")
    storms: tuple[Storm, ...] = Field(
        default=(),
        description="ReplicaSets whose pods fail as soon as they are created (rule R8).",
    )
    collision_count: int = Field(default=0, description="Name collisions of ReplicaSets so far.")
