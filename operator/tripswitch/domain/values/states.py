"""The words of a status: kinds, states, stages and reasons. Closed sets."""

from __future__ import annotations

from enum import StrEnum


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
    WAITING_FOR_POD = "WaitingForPod"
    ROLLBACK_AT_RISK = "RollbackAtRisk"
    REVISION_INCOMPLETE = "RevisionIncomplete"
    CRASH_LOOPING = "CrashLooping"
    HOOK_TIMED_OUT = "HookTimedOut"
    STOPPED_BY_HOOK = "StoppedByHook"
    POD_STORM = "PodStorm"
    REGISTRY_OUTAGE = "RegistryOutage"
    MINIMUM_HEALTHY = "MinimumHealthyAvailable"
    BELOW_MINIMUM_HEALTHY = "MinimumHealthyUnavailable"
    ALARM_TRIGGERED = "AlarmTriggered"
    ALARMS_IGNORED = "AlarmsIgnored"
    ALARMS_UNAVAILABLE = "AlarmsUnavailable"


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


class BestState(StrEnum):
    """The best a pod has been during this rollout (rules F5 and H2)."""

    NONE = ""
    READY = "READY"
    HEALTHY = "HEALTHY"
