"""Frozen views of the world: what ``decide`` may know, and nothing else.

Every time is an :data:`Instant`, every duration a number of seconds. Views are made at the edge
(``tripswitch.cluster.views``) and never change; the memory of the breaker is in
:mod:`tripswitch.domain.status`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from tripswitch.domain.instant import Instant as Instant  # noqa: PLC0414 - exported on purpose
from tripswitch.domain.sight import UNKNOWN, Sight

if TYPE_CHECKING:
    from tripswitch.domain.evidence import Finding
    from tripswitch.domain.status import Status


class ThresholdType(StrEnum):
    """How ``thresholdConfiguration.value`` is read (ECS ThresholdConfiguration; rules T1 to T3)."""

    BOUNDED_PERCENT = "BOUNDED_PERCENT"
    UNBOUNDED_PERCENT = "UNBOUNDED_PERCENT"
    COUNT = "COUNT"


class Verdict(StrEnum):
    """What becomes of a failure (rules F5 and F6)."""

    COUNT = "Count"
    IGNORE = "Ignore"
    FAIL_NOW = "FailNow"


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """One rule of ``failurePolicy`` (F6). Every criterion that is given must hold."""

    action: Verdict
    reasons: frozenset[str] = frozenset()
    container: str | None = None
    exit_codes: frozenset[int] = frozenset()
    exit_codes_negated: bool = False


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


@dataclass(frozen=True, slots=True)
class Retention:
    """``failedPodRetention``: how many failing pods are kept for a look, each for ``ttl`` seconds."""

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
    """Seconds, 0 for never; None: not given, see :mod:`tripswitch.domain.deadline`."""
    revision_history_limit: int = 10
    paused: bool = False
    selector: str = ""
    retention: Retention = Retention()


class StopKind(StrEnum):
    """ECS StopServiceDeployment's stopType (rule C2)."""

    ROLLBACK = "ROLLBACK"
    ABORT = "ABORT"


@dataclass(frozen=True, slots=True)
class Guarded:
    """A GuardedDeployment: the wish (``spec``), the commands, and the memory (``status``)."""

    name: str
    uid: str
    generation: int
    spec: Spec
    status: Status
    retry: str | None = None
    stop: str | None = None


class ContainerRole(StrEnum):
    """How the kubelet treats a container's end."""

    APP = "app"
    SIDECAR = "sidecar"
    """An init container with ``restartPolicy: Always``; counted like an app container."""
    INIT = "init"


@dataclass(frozen=True, slots=True)
class Ended:
    """One ended run of a container (``state.terminated`` or ``lastState.terminated``)."""

    exit_code: int
    reason: str = ""
    signal: int = 0
    message: str = ""
    seconds: float = 0.0
    """How long the run lasted; 0 where the node does not know."""


@dataclass(frozen=True, slots=True)
class ContainerView:
    """One container of a pod; at most one of waiting, running, ended is set.

    ``may_complete``: its own ``restartPolicy`` is ``OnFailure`` or ``Never``, and exit 0 is no failure.
    ``restarts_pod``: it is the only one of its pod whose end can lead to ``RestartAllContainers``.
    ``resize_restarts``: the kubelet restarts it when its resources are changed in place.
    ``device_unhealthy``: a device that it was given is reported as broken.
    """

    name: str
    role: ContainerRole = ContainerRole.APP
    restarts: int = 0
    waiting: str | None = None
    message: str = ""
    running_since: Instant | None = None
    started: bool = False
    started_since: Instant | None = None
    """None: since it runs."""
    ended: Ended | None = None
    last_ended: Ended | None = None
    readiness_budget: float | None = 0.0
    """Seconds, as in :class:`Readiness`; None: the container has no readiness probe."""
    may_complete: bool = False
    restarts_pod: bool = False
    resize_restarts: bool = False
    device_unhealthy: bool = False


class PodPhase(StrEnum):
    """``status.phase``; anything else is read as UNKNOWN."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    UNKNOWN = "Unknown"


OVER = (PodPhase.FAILED, PodPhase.SUCCEEDED)
"""The phases of a pod that has ended for good."""


@dataclass(frozen=True, slots=True)
class PodView:
    """One pod of one of our ReplicaSets.

    ``ready_since`` is set while Ready is True. ``unready_since`` is set while Ready is False on a pod
    that was Ready before. ``unready_by_node`` says that Ready was taken away by the control plane
    because the node stopped reporting, while every container still is ready. ``waiting_for`` is what
    holds up a pod that no container rule explains (the scheduler's or a volume's words). ``scheduled``
    is False as long as no scheduler has looked at the pod. ``generation`` is 1 for a pod as it was made,
    and rises with every change of its spec; 0 if the API server does not say.
    """

    name: str
    uid: str
    resource_version: str = ""
    created_at: Instant = 0.0
    """In whole seconds, by the API server's clock."""
    phase: PodPhase = PodPhase.PENDING
    reason: str = ""
    message: str = ""
    deleting: bool = False
    disrupted: bool = False
    ready_since: Instant | None = None
    unready_since: Instant | None = None
    unready_by_node: bool = False
    waiting_for: str = ""
    gated: bool = False
    """It has ``readinessGates``, of its template or of whatever changed the pod at its admission."""
    node: str = ""
    scheduled: bool = True
    containers: tuple[ContainerView, ...] = ()
    generation: int = 0

    @property
    def live(self) -> bool:
        """Whether its ReplicaSet counts it: not ended, not being deleted (as Kubernetes counts)."""
        return not self.deleting and self.phase not in OVER


@dataclass(frozen=True, slots=True)
class ReplicaSetView:
    """One of our ReplicaSets with its pods; ``size`` is its ``spec.replicas``.

    ``owned`` is False for one that carries our marks and has no controller (it was orphaned).
    """

    name: str
    uid: str
    revision: int
    template: Template
    size: int
    pods: tuple[PodView, ...] = ()
    resource_version: str = ""
    created_at: Instant = 0.0
    completed_at: Instant | None = None
    owned: bool = True
    deleting: bool = False
    create_error: str = ""
    """The ReplicaSet controller's words when it cannot create pods (quota, admission)."""
    observed: bool = True
    """The ReplicaSet controller has looked at the latest size and at every pod that is there."""
    sized_for: int | None = None
    """The ``spec.replicas`` that ``size`` was decided for; None if that was never written down."""


@dataclass(frozen=True, slots=True)
class CreateError:
    """How the latest try to create the ReplicaSet of a template ended, when it failed for good.

    ``name_taken``: another object has that name (a hash collision); otherwise the API server refused
    the ReplicaSet itself, in ``message``'s words.
    """

    digest: str
    replica_set: str
    message: str = ""
    name_taken: bool = False


@dataclass(frozen=True, slots=True)
class RetainedPod:
    """A failing pod that was set aside: no ReplicaSet's any more, kept until a moment."""

    name: str
    uid: str
    resource_version: str
    revision: int
    until: Instant
    deleting: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything one decision is made from."""

    guarded: Guarded
    replica_sets: tuple[ReplicaSetView, ...] = ()
    create_error: CreateError | None = None
    findings: tuple[Finding, ...] = ()
    """Answers to what earlier decisions asked about failures; the order is of no meaning."""
    retained: tuple[RetainedPod, ...] = ()
    retention_refused: bool = False
    """Setting a pod aside was refused a short while ago (no right to patch pods)."""
    sight: Sight = UNKNOWN
    """How current all of this is (rules V)."""
    strays: tuple[ReplicaSetView, ...] = ()
    """Owned ReplicaSets whose labels the selector no longer matches, without pods (W5)."""
