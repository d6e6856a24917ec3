"""``spec`` as users write it. Descriptions are what ``kubectl explain`` prints."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from tripswitch.api.alarms import AlarmSettings
from tripswitch.api.base import ApiModel
from tripswitch.api.breaker_settings import GRACE_PERIOD, MOST, CircuitBreaker, Text
from tripswitch.api.lifecycle import EarlySuccessCriteria, Hooks

LabelKey = Annotated[
    str,
    Field(
        max_length=317,
        pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$",
    ),
]
"""A label's key: a name of at most 63 characters, with a DNS name and a slash before it or not."""

ContainerName = Annotated[str, Field(max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
"""A container's name."""

IntOrPercent = Annotated[
    int | str,
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            "minimum": 0,
            "pattern": "^[0-9]+%$",
        }
    ),
]
"""A number of pods, or a percentage of ``replicas``."""

PodTemplate = Annotated[dict[str, Any], WithJsonSchema({"x-pod-template": True})]
"""A PodTemplateSpec; the CRD generator puts Kubernetes' own schema here."""


class SelectorOperator(StrEnum):
    """How a label selector requirement compares."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class SelectorRequirement(ApiModel):
    """One requirement of a label selector."""

    key: Text = Field(description="The label's key.")
    operator: SelectorOperator = Field(description="How the label is compared with the values.")
    values: list[Annotated[str, Field(max_length=63)]] = Field(
        default_factory=list,
        max_length=64,
        description="Values for In and NotIn; empty for Exists and DoesNotExist.",
        json_schema_extra={"x-kubernetes-list-type": "atomic", "default": None},
    )


class Selector(ApiModel):
    """A label selector."""

    match_labels: dict[str, Annotated[str, Field(max_length=63)]] = Field(
        default_factory=dict,
        max_length=64,
        description="Labels that the pods must have, with these values.",
        json_schema_extra={"default": None},
    )
    match_expressions: list[SelectorRequirement] = Field(
        default_factory=list,
        max_length=32,
        description="Further requirements; all of them must hold.",
        json_schema_extra={"x-kubernetes-list-type": "atomic", "default": None},
    )


class DeploymentConfiguration(AlarmSettings):
    """How revisions are rolled out (ECS deploymentConfiguration)."""

    minimum_healthy_percent: int | None = Field(
        default=None,
        ge=0,
        le=100,
        description=(
            "Lower bound of healthy pods during a rollout, in percent of replicas, rounded up. "
            "Default 100. Not together with strategy."
        ),
    )
    maximum_percent: int | None = Field(
        default=None,
        ge=100,
        le=1000,
        description=(
            "Upper bound of pods during a rollout, in percent of replicas, rounded down. "
            "Default 200. Not together with strategy."
        ),
    )
    deployment_circuit_breaker: CircuitBreaker = Field(
        default_factory=CircuitBreaker,
        description="Detects a rollout that fails, and goes back to the last completed revision.",
    )
    early_success_criteria: EarlySuccessCriteria | None = Field(
        default=None,
        description="Completes a rollout before all of its pods are healthy. Default: it does not.",
    )
    lifecycle_hooks: Hooks


class RollingUpdate(ApiModel):
    """Bounds of a rolling update in a Deployment's words."""

    max_surge: IntOrPercent = Field(
        default="25%",
        description="Pods above replicas during a rollout: a number or percent, rounded up.",
    )
    max_unavailable: IntOrPercent = Field(
        default="25%",
        description="Pods missing during a rollout: a number or percent, rounded down.",
    )


class FailedPodRetention(ApiModel):
    """Failing pods that are kept for inspection when their revision has failed."""

    count: int = Field(
        default=0,
        ge=0,
        le=10,
        description="How many are kept at the same time; the newest. 0: none.",
    )
    ttl_seconds: int = Field(
        default=600, ge=1, le=604800, description="After how many seconds each is deleted."
    )
    drop_labels: list[LabelKey] = Field(
        default=[],
        max_length=32,
        description="Keys of further labels that such a pod loses, for instance those that a Service "
        "selects by. It always loses the labels that spec.selector names, and keeps all others, "
        "so that NetworkPolicies that select by those still apply.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )


class Strategy(ApiModel):
    """A Deployment's strategy."""

    type: Literal["RollingUpdate", "Recreate"] = Field(
        default="RollingUpdate",
        description="RollingUpdate, or Recreate: all old pods are gone before any new one.",
    )
    rolling_update: RollingUpdate | None = Field(
        default=None, description="Bounds of the rolling update; only with type RollingUpdate."
    )


class Spec(ApiModel):
    """``spec`` of a GuardedDeployment."""

    replicas: int = Field(default=1, ge=0, le=MOST, description="Number of pods wanted.")
    selector: Selector = Field(
        description="Labels of the pods; must match the template's. Cannot be changed.",
        json_schema_extra={"x-kubernetes-map-type": "atomic"},
    )
    template: PodTemplate = Field(
        description="The pods, as in a Deployment. A change of it starts a rollout."
    )
    min_ready_seconds: int | None = Field(
        default=None,
        ge=0,
        le=MOST,
        description=(
            "Seconds a pod must be Ready to be healthy. Default 0 when every container and sidecar has "
            "a readiness probe, else 40: without a probe a crash-looping pod is Ready at every start. "
            "By default the first pod of a revision also has to run for 10 s."
        ),
    )
    revision_history_limit: int = Field(
        default=10,
        ge=0,
        le=MOST,
        description="Old ReplicaSets to keep, besides those that are needed.",
    )
    progress_deadline_seconds: int | None = Field(
        default=None,
        ge=0,
        le=MOST,
        description=(
            "Seconds without one more healthy pod after which the rollout fails as if the breaker "
            "had tripped; 0 = never. Default 600, or 60 more than a startup probe and a readiness "
            "probe may take, if that is more. Must be greater than minReadySeconds and its default."
        ),
    )
    paused: bool = Field(
        default=False,
        description="Holds the rollout: nothing launched, removed or counted. Scaling still works.",
    )
    health_check_grace_period_seconds: int = Field(
        default=0,
        ge=0,
        le=MOST,
        description=GRACE_PERIOD,
    )
    failed_pod_retention: FailedPodRetention = Field(
        default_factory=FailedPodRetention,
        description=(
            "Sets failing pods aside when their revision has failed, instead of scaling them away: "
            "out of the ReplicaSet and of Services that select by the same labels, labelled tripswitch.dev/retained-for. The "
            "operator needs the right to patch pods for it."
        ),
    )
    version_consistency: Literal["enabled", "disabled"] = Field(
        default="enabled",
        description=(
            "enabled: the first pod of a revision that runs settles the digest of each image, and all "
            "later pods of the revision run that digest, also after its tag was pushed again. "
            "disabled: each pod runs what the tag means when it starts (ECS versionConsistency)."
        ),
    )
    version_consistency_exclusions: list[ContainerName] = Field(
        default=[],
        max_length=64,
        description="Names of containers whose images are never pinned to a digest.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    deployment_configuration: DeploymentConfiguration = Field(
        default_factory=DeploymentConfiguration,
        description="Bounds of the rolling update and the circuit breaker.",
    )
    strategy: Strategy | None = Field(
        default=None,
        description="Bounds of the rolling update in a Deployment's words, instead of percentages.",
    )
