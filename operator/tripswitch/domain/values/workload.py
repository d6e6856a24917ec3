"""``spec`` of a GuardedDeployment, with its defaults filled in. Durations are in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tripswitch.domain.values.alarms import AlarmSpec
from tripswitch.domain.values.failure import Verdict
from tripswitch.domain.values.hooks import EarlySuccess, HookSpec
from tripswitch.domain.values.images import CONSISTENT, TemplateImage, VersionConsistency
from tripswitch.domain.values.references import NO_REFERENCES, References
from tripswitch.domain.values.registries import PullError


class ThresholdType(StrEnum):
    """How ``thresholdConfiguration.value`` is read (ECS ThresholdConfiguration; rules T1 to T3)."""

    BOUNDED_PERCENT = "BOUNDED_PERCENT"
    UNBOUNDED_PERCENT = "UNBOUNDED_PERCENT"
    COUNT = "COUNT"


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """One rule of ``failurePolicy`` (F6). Every criterion that is given must hold."""

    action: Verdict
    reasons: frozenset[str] = frozenset()
    container: str | None = None
    exit_codes: frozenset[int] = frozenset()
    exit_codes_negated: bool = False
    pull_errors: frozenset[PullError] = frozenset()
    """Only of the operator's own rules (F9): why the pull failed."""


@dataclass(frozen=True, slots=True)
class BreakerSpec:
    """``deploymentCircuitBreaker`` as the user wrote it, defaults filled in."""

    enable: bool = True
    rollback: bool = True
    reset_on_healthy_task: bool = True
    threshold_type: ThresholdType = ThresholdType.BOUNDED_PERCENT
    threshold_value: int = 50
    policy: tuple[PolicyRule, ...] = ()


@dataclass(frozen=True, slots=True)
class Percentages:
    """ECS bounds of a rolling update, in percent of ``replicas`` (rule R1)."""

    minimum_healthy: int = 100
    maximum: int = 200


@dataclass(frozen=True, slots=True)
class Amount:
    """A Kubernetes IntOrString: a number of pods, or a percentage of ``replicas``."""

    value: int
    percent: bool = False


@dataclass(frozen=True, slots=True)
class RollingUpdate:
    """A Deployment's ``strategy.rollingUpdate`` (rule R1)."""

    max_surge: Amount = Amount(25, percent=True)
    max_unavailable: Amount = Amount(25, percent=True)


@dataclass(frozen=True, slots=True)
class Recreate:
    """A Deployment's ``strategy: {type: Recreate}``: all old pods gone before any new one."""


Strategy = Percentages | RollingUpdate | Recreate


@dataclass(frozen=True, slots=True)
class Readiness:
    """What a pod template says about becoming Ready (rules F4 and H1).

    ``all_probed``: every app container and every sidecar has a readiness probe. ``budget`` is in
    seconds: the largest ``initialDelaySeconds + (failureThreshold + successThreshold - 1) x
    max(periodSeconds, timeoutSeconds) + timeoutSeconds`` of its readiness probes, and ``startup`` that
    of its startup probes. ``gated``: it has ``readinessGates``.
    """

    all_probed: bool = False
    budget: float = 0.0
    gated: bool = False
    startup: float = 0.0


@dataclass(frozen=True, slots=True)
class Template:
    """A pod template, as far as the rules look at it. ``digest`` is its full identity."""

    digest: str
    images: tuple[str, ...] = ()
    readiness: Readiness = Readiness()
    containers: tuple[TemplateImage, ...] = ()
    """Every container and init container with an image (rules D)."""
    references: References = NO_REFERENCES
    """What its pods need in their namespace (B9)."""


@dataclass(frozen=True, slots=True)
class Retention:
    """``failedPodRetention``: how many failing pods are kept for inspection, each for ``ttl`` seconds."""

    count: int = 0
    ttl: int = 600


@dataclass(frozen=True, slots=True)
class Spec:
    """``spec`` of a GuardedDeployment, defaults filled in."""

    replicas: int
    template: Template
    strategy: Strategy = Percentages()
    breaker: BreakerSpec = BreakerSpec()
    min_ready_seconds: int | None = None
    health_check_grace_period: int = 0
    progress_deadline: int | None = None
    """Seconds, 0 for never; None: not given, see :mod:`tripswitch.domain.rules.progress_deadline`."""
    revision_history_limit: int = 10
    paused: bool = False
    selector: str = ""
    retention: Retention = Retention()
    alarms: AlarmSpec | None = None
    """Alarms that fail a rollout (A1); None: none are watched."""
    bake_seconds: int = 0
    """The bake time (A3)."""
    early_success: EarlySuccess | None = None
    """When a rollout completes before all of its pods are healthy (E1); None: it does not."""
    hooks: tuple[HookSpec, ...] = ()
    """At which a rollout waits for an answer (K1)."""
    consistency: VersionConsistency = CONSISTENT


class StopKind(StrEnum):
    """ECS StopServiceDeployment's stopType (rule C2)."""

    ROLLBACK = "ROLLBACK"
    ABORT = "ABORT"
