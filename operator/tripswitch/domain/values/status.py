"""The memory of the breaker: what ``status`` holds, and all that survives a restart (rule W2).

The same names in camelCase are the resource's ``status`` (``tripswitch.api.status``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tripswitch.domain.values.failure_cause import FailureCause
from tripswitch.domain.values.inquiry import Evidence
from tripswitch.domain.values.protection import Hold
from tripswitch.domain.values.time import Instant


class RolloutKind(StrEnum):
    """Why a rollout runs."""

    DEPLOY = "DEPLOY"
    ROLLBACK = "ROLLBACK"


class RolloutStatus(StrEnum):
    """ECS ServiceDeployment words; the table is in :mod:`tripswitch.domain.rules.rollout_states`."""

    PENDING = "PENDING"
    IN_PROGRESS = "IN_PROGRESS"
    SUCCESSFUL = "SUCCESSFUL"
    FAILED = "FAILED"
    STOPPED = "STOPPED"
    ROLLBACK_IN_PROGRESS = "ROLLBACK_IN_PROGRESS"
    ROLLBACK_SUCCESSFUL = "ROLLBACK_SUCCESSFUL"
    ROLLBACK_FAILED = "ROLLBACK_FAILED"


class RolloutState(StrEnum):
    """ECS rolloutState of a revision, and STOPPED for one that was cut short."""

    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    STOPPED = "STOPPED"


class Reason(StrEnum):
    """Reasons of conditions; a closed set."""

    ROLLOUT_IN_PROGRESS = "RolloutInProgress"
    ROLLOUT_COMPLETED = "RolloutCompleted"
    CIRCUIT_BREAKER_TRIGGERED = "CircuitBreakerTriggered"
    PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"
    ROLLBACK_IN_PROGRESS = "RollbackInProgress"
    ROLLBACK_COMPLETED = "RollbackCompleted"
    ROLLBACK_FAILED = "RollbackFailed"
    NO_COMPLETED_REVISION = "NoCompletedRevision"
    ROLLOUT_STOPPED = "RolloutStopped"
    PAUSED = "Paused"
    REPLICA_SET_CREATE_ERROR = "ReplicaSetCreateError"
    SCALED_TO_ZERO = "ScaledToZero"
    TARGET_NOT_FOUND = "TargetNotFound"
    TARGET_TAKEN = "TargetTaken"
    NO_ROLLOUT = "NoRollout"
    WAITING_FOR_CONTROLLER = "WaitingForController"
    ROLLBACK_AT_RISK = "RollbackAtRisk"
    CRASH_LOOPING = "CrashLooping"
    MINIMUM_HEALTHY = "MinimumHealthyAvailable"
    BELOW_MINIMUM_HEALTHY = "MinimumHealthyUnavailable"


class BreakerState(StrEnum):
    """ECS deploymentCircuitBreaker.status (rule S3)."""

    DISABLED = "DISABLED"
    MONITORING = "MONITORING"
    TRIGGERED = "TRIGGERED"
    MONITORING_COMPLETE = "MONITORING_COMPLETE"


class Stage(StrEnum):
    """The two stages of ECS (rule S1)."""

    LAUNCH = "LAUNCH"
    HEALTH = "HEALTH"


class Seen(StrEnum):
    """The best a pod has been during this rollout (rules F5 and H2)."""

    NONE = ""
    READY = "READY"
    HEALTHY = "HEALTHY"


@dataclass(frozen=True, slots=True)
class Tally:
    """Failures of one container seen so far (rules F1, F2, F7). High-water marks: they never fall.

    ``since`` is the one remembered time of F2: when it was first seen waiting, None while it is not.
    ``generation`` is the pod's when an end was last put down to an in-place resize; 0 if none was.
    ``base`` is how many of the attempts that its events tell of are not to be counted, because they were
    made before the rollout began or while nothing was counted; negative while that is not known yet.
    """

    container: str
    runs: int = 0
    waits: int = 0
    since: Instant | None = None
    generation: int = 0
    base: int = 0


@dataclass(frozen=True, slots=True)
class Counted:
    """What has been seen of one pod of the target revision, so that nothing counts twice (F7)."""

    pod: str
    """The pod's UID."""
    containers: tuple[Tally, ...] = ()
    failed: bool = False
    """Whether the whole pod was counted as failed (F3)."""
    unhealthy: bool = False
    """Whether it was counted as missing its health deadline (F4)."""
    seen: Seen = Seen.NONE
    before: bool = False
    """It was there before the rollout began: its health does not reset the count."""

    @property
    def blank(self) -> bool:
        """Whether it says nothing, and need not be remembered."""
        marked = self.containers or self.failed or self.unhealthy or self.before
        return not marked and self.seen is Seen.NONE


@dataclass(frozen=True, slots=True)
class FailureRecord:
    """Why: failures of one cause, for people. ``message`` is cut to 1 KiB.

    ``evidence`` is None until something was found (:mod:`tripswitch.domain.rules.evidence`).
    """

    revision: int
    cause: FailureCause
    pod: str
    count: int
    last_seen: Instant
    node: str | None = None
    message: str = ""
    evidence: Evidence | None = None


@dataclass(frozen=True, slots=True)
class Breaker:
    """``status.circuitBreaker``."""

    status: BreakerState = BreakerState.MONITORING
    stage: Stage = Stage.LAUNCH
    failure_count: int = 0
    threshold: int = 3
    counted: tuple[Counted, ...] = ()
    unlisted: int | None = None
    """Healthy pods of the target for whose entries there is no room (F7); None: all have one."""
    uncounted_until: Instant | None = None
    """Pods without an entry that were created until then are left out (F7); None: there are none."""
    failures: tuple[FailureRecord, ...] = ()

    @property
    def summary(self) -> str:
        """The column FAILURES, "2/3"."""
        return f"{self.failure_count}/{self.threshold}"


@dataclass(frozen=True, slots=True)
class Rollout:
    """``status.rollout``: the current or latest one.

    ``healthy_high_water`` and ``progressed_at`` are the clock of rule P1. ``paused_at`` is set while the
    rollout is paused, ``held_at`` while that clock stands still because no pod could become healthy.
    """

    revision: int
    kind: RolloutKind
    status: RolloutStatus
    started_at: Instant
    finished_at: Instant | None = None
    failed_revision: int | None = None
    reason: Reason = Reason.ROLLOUT_IN_PROGRESS
    message: str = ""
    healthy_high_water: int = 0
    progressed_at: Instant = 0.0
    paused_at: Instant | None = None
    held_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class Revision:
    """One entry of ``status.revisions``. ``status`` is ECS's PRIMARY, ACTIVE or INACTIVE."""

    revision: int
    replica_set: str
    digest: str
    created_at: Instant
    rollout_state: RolloutState = RolloutState.IN_PROGRESS
    status: str = "INACTIVE"
    desired: int = 0
    running: int = 0
    healthy: int = 0
    failed_tasks: int = 0
    images: tuple[str, ...] = ()
    finished_at: Instant | None = None
    completed_at: Instant | None = None
    ready_seconds: int | None = None
    """The longest that one of its pods took from started to Ready (F4); None: it is not known."""
    message: str = ""
    """Why it failed or was stopped, in a sentence; ``reason`` in the stored status."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One of ``status.conditions``; ``last_transition_time`` changes only with ``status``."""

    type: str
    status: bool
    reason: Reason
    message: str
    last_transition_time: Instant


@dataclass(frozen=True, slots=True)
class Status:
    """``status`` of a GuardedDeployment. The default is that of an object never looked at."""

    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    selector: str = ""
    rollout_state: RolloutState | None = None
    rollout_state_reason: str = ""
    rollout: Rollout | None = None
    desired_revision: int | None = None
    last_completed_revision: int | None = None
    circuit_breaker: Breaker = Breaker()
    revisions: tuple[Revision, ...] = ()
    conditions: tuple[Condition, ...] = ()
    collision_count: int = 0
    observed_retry: str | None = None
    observed_stop: str | None = None
    hold: Hold | None = None
    """What a trip changed on a guarded Deployment or StatefulSet (G4); None: nothing."""
    target_uid: str = ""
    """UID of the guarded workload that all of this is about (rules G); empty: it was not written down."""
    target_generation: int = 0
    """The generation of that workload of which the revision is known; what is said is about it."""
    resumes: int = 0
    """How often a person or a tool resumed a held workload whose template was the same (G5)."""
