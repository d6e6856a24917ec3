"""What one look leads to: the next status, then actions, then events (rule W1)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tripswitch.domain.values.alarms import AlarmQuestion
from tripswitch.domain.values.failure import Failure
from tripswitch.domain.values.hold_actions import HoldAction
from tripswitch.domain.values.images import NO_PINNING, Pinning
from tripswitch.domain.values.inquiry import Inquiry
from tripswitch.domain.values.references import ReferenceQuestion
from tripswitch.domain.values.sight import Check
from tripswitch.domain.values.status import Status
from tripswitch.domain.values.time import Instant


@dataclass(frozen=True, slots=True)
class CreateReplicaSet:
    """Create the ReplicaSet of the desired revision from ``spec.template``."""

    name: str
    revision: int
    size: int
    sized_for: int
    """The ``spec.replicas`` that ``size`` was decided for (R7)."""
    pinning: Pinning = NO_PINNING
    """Digests that an earlier ReplicaSet of the revision had settled (D1)."""


@dataclass(frozen=True, slots=True)
class AdoptReplicaSet:
    """Become the controller of an orphaned ReplicaSet that carries our marks."""

    name: str
    uid: str
    resource_version: str


@dataclass(frozen=True, slots=True)
class ReleaseReplicaSet:
    """Stop being the controller of a ReplicaSet whose labels the selector no longer matches (W5)."""

    name: str
    uid: str
    resource_version: str


@dataclass(frozen=True, slots=True)
class ScaleReplicaSet:
    """Set ``spec.replicas``; only on the very version that was looked at.

    ``sized_for`` is the ``replicas`` of the GuardedDeployment that ``size`` was decided for. It is
    written onto the ReplicaSet in the same request, also when only it changes (R7).
    """

    name: str
    uid: str
    resource_version: str
    size: int
    sized_for: int


@dataclass(frozen=True, slots=True)
class MarkCompleted:
    """Write the completion onto the ReplicaSet, so that history survives a lost status (W2)."""

    name: str
    uid: str
    resource_version: str
    completed_at: Instant


@dataclass(frozen=True, slots=True)
class PinImages:
    """Write digests into the template of a ReplicaSet, or take them out; its pods stay (D1, D3, D4)."""

    name: str
    uid: str
    resource_version: str
    pinning: Pinning


@dataclass(frozen=True, slots=True)
class DeleteReplicaSet:
    """Prune history; only on the very version that was looked at."""

    name: str
    uid: str
    resource_version: str


@dataclass(frozen=True, slots=True)
class DeletePod:
    """Replace a pod that missed its health deadline (F4); only the version looked at."""

    name: str
    uid: str
    resource_version: str


@dataclass(frozen=True, slots=True)
class SetAsidePod:
    """Take a failing pod out of its ReplicaSet and of every Service, and keep it for ``ttl`` seconds.

    ``replica_set_uid`` is that of the ReplicaSet, which is lowered after this.
    """

    name: str
    uid: str
    resource_version: str
    replica_set_uid: str
    revision: int
    ttl: int


@dataclass(frozen=True, slots=True)
class DropPod:
    """Delete a pod that was set aside: its time is up, or newer ones are kept instead."""

    name: str
    uid: str
    resource_version: str


Action = (
    CreateReplicaSet
    | AdoptReplicaSet
    | ReleaseReplicaSet
    | ScaleReplicaSet
    | MarkCompleted
    | PinImages
    | DeleteReplicaSet
    | DeletePod
    | SetAsidePod
    | DropPod
    | HoldAction
)


class EventReason(StrEnum):
    """Reasons of the Kubernetes Events on a GuardedDeployment; a closed set."""

    ROLLOUT_STARTED = "RolloutStarted"
    ROLLOUT_COMPLETED = "RolloutCompleted"
    POD_LAUNCH_FAILED = "PodLaunchFailed"
    POD_HEALTH_CHECK_FAILED = "PodHealthCheckFailed"
    CIRCUIT_BREAKER_TRIGGERED = "CircuitBreakerTriggered"
    ROLLBACK_STARTED = "RollbackStarted"
    ROLLBACK_COMPLETED = "RollbackCompleted"
    ROLLBACK_FAILED = "RollbackFailed"
    ROLLOUT_STALLED = "RolloutStalled"
    ROLLOUT_STOPPED = "RolloutStopped"
    ROLLBACK_AT_RISK = "RollbackAtRisk"
    CRASH_LOOPING = "CrashLooping"
    REGISTRY_OUTAGE = "RegistryOutage"
    REPLICA_SET_CREATE_ERROR = "ReplicaSetCreateError"
    POD_STORM = "PodStorm"
    WORKLOAD_RESUMED = "WorkloadResumed"
    WORKLOAD_YIELDED = "WorkloadYielded"
    HOLD_FOUND = "HoldFound"
    WORKLOAD_MADE_ANEW = "WorkloadMadeAnew"
    CIRCUIT_BREAKER_WOULD_TRIGGER = "CircuitBreakerWouldTrigger"
    IMAGE_DIGESTS_DIFFER = "ImageDigestsDiffer"
    IMAGE_DIGEST_UNUSABLE = "ImageDigestUnusable"
    IMAGE_DIGEST_GONE = "ImageDigestGone"
    # The names of ECS's event type "ECS Hook State Change".
    HOOK_AWAITING_ACTION = "HOOK_AWAITING_ACTION"
    HOOK_SUCCEEDED = "HOOK_SUCCEEDED"
    HOOK_FAILED = "HOOK_FAILED"
    HOOK_TIMED_OUT = "HOOK_TIMED_OUT"
    ALARM_TRIGGERED = "AlarmTriggered"
    ALARMS_IGNORED = "AlarmsIgnored"
    ALARM_UNKNOWN = "AlarmUnknown"
    ALARMS_UNAVAILABLE = "AlarmsUnavailable"
    BAKE_STARTED = "BakeStarted"


TRIPS = frozenset({EventReason.CIRCUIT_BREAKER_TRIGGERED, EventReason.ALARM_TRIGGERED})
"""Events that tell that a revision has failed."""


WARNINGS = frozenset(
    {
        EventReason.POD_LAUNCH_FAILED,
        EventReason.POD_HEALTH_CHECK_FAILED,
        EventReason.CIRCUIT_BREAKER_TRIGGERED,
        EventReason.ROLLBACK_FAILED,
        EventReason.ROLLOUT_STALLED,
        EventReason.ROLLBACK_AT_RISK,
        EventReason.CRASH_LOOPING,
        EventReason.REGISTRY_OUTAGE,
        EventReason.REPLICA_SET_CREATE_ERROR,
        EventReason.POD_STORM,
        EventReason.WORKLOAD_RESUMED,
        EventReason.WORKLOAD_YIELDED,
        EventReason.HOLD_FOUND,
        EventReason.CIRCUIT_BREAKER_WOULD_TRIGGER,
        EventReason.IMAGE_DIGESTS_DIFFER,
        EventReason.IMAGE_DIGEST_UNUSABLE,
        EventReason.IMAGE_DIGEST_GONE,
        EventReason.HOOK_FAILED,
        EventReason.HOOK_TIMED_OUT,
        EventReason.ALARM_TRIGGERED,
        EventReason.ALARMS_IGNORED,
        EventReason.ALARM_UNKNOWN,
        EventReason.ALARMS_UNAVAILABLE,
    }
)
"""Events of type Warning; the others are Normal."""


@dataclass(frozen=True, slots=True)
class Event:
    """A Kubernetes Event about the GuardedDeployment.

    ``topic`` is what it has in common with its repeats, where their words differ: empty, the words.
    """

    reason: EventReason
    message: str
    topic: str = ""

    @property
    def warning(self) -> bool:
        """Whether it is of type Warning."""
        return self.reason in WARNINGS


@dataclass(frozen=True, slots=True)
class Decision:
    """The next status, what to do once it is written, and when time alone changes something."""

    status: Status
    actions: tuple[Action, ...] = ()
    events: tuple[Event, ...] = ()
    failures: tuple[Failure, ...] = ()
    """Failures counted by this look (for metrics)."""
    inquiries: tuple[Inquiry, ...] = ()
    """What is still to be found out about failures; asked at every look until it is found."""
    check: Check | None = None
    """What is to be read anew, because a verdict by time is due (rules V)."""
    alarms: AlarmQuestion | None = None
    """The alarms that have to be read as long as every decision asks for them (A1)."""
    references: ReferenceQuestion | None = None
    """The objects that have to be looked up as long as every decision asks for them (B9)."""
    wake_at: Instant | None = None
