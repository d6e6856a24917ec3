"""What a restart must not lose (rule W2): the half of ``status`` that decisions are made from.

The same names in camelCase are fields of the resource's ``status`` (``tripswitch.api.status``). The other
half is :mod:`tripswitch.domain.values.report`.

A change of a field is written at once (rule W3). A field whose value pods show again at the next look is
declared with ``PROGRESS`` or ``FAILURES``: its changes may be written a little later.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tripswitch.domain.values.alarms import Alarms
from tripswitch.domain.values.bake import Bake
from tripswitch.domain.values.failure_cause import FailureCause
from tripswitch.domain.values.hooks import Hook, LifecycleStage
from tripswitch.domain.values.images import ContainerImage
from tripswitch.domain.values.inquiry import Evidence
from tripswitch.domain.values.protection import Hold
from tripswitch.domain.values.references import MissingReferences
from tripswitch.domain.values.states import (
    BestState,
    BreakerState,
    Reason,
    RolloutKind,
    RolloutState,
    RolloutStatus,
    Stage,
)
from tripswitch.domain.values.storm import Storm
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.write_delay import FAILURES, PROGRESS


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
    best_state: BestState = field(default=BestState.NONE, metadata=PROGRESS)
    existed_before: bool = False
    """It was there before the rollout began: its health does not reset the count."""

    @property
    def marked(self) -> bool:
        """Whether the entry tells more than what its pod was at best."""
        return bool(self.containers or self.failed or self.unhealthy or self.existed_before)

    @property
    def blank(self) -> bool:
        """Whether the entry tells nothing, and need not be stored."""
        return not self.marked and self.best_state is BestState.NONE


@dataclass(frozen=True, slots=True)
class FailureRecord:
    """Failures of one cause, for people. ``message`` is cut to 1 KiB.

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
    stage: Stage = field(default=Stage.LAUNCH, metadata=PROGRESS)
    failure_count: int = field(default=0, metadata=FAILURES)
    threshold: int = 3
    counted: tuple[Counted, ...] = field(default=(), metadata=FAILURES)
    unlisted: int | None = field(default=None, metadata=PROGRESS)
    """Healthy pods of the target for whose entries there is no room (F7); None: all have one."""
    uncounted_until: Instant | None = None
    """Pods without an entry that were created until then are left out (F7); None: there are none."""
    failures: tuple[FailureRecord, ...] = field(default=(), metadata=FAILURES)

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
    healthy_high_water: int = field(default=0, metadata=PROGRESS)
    progressed_at: Instant = field(default=0.0, metadata=PROGRESS)
    paused_at: Instant | None = None
    held_at: Instant | None = field(default=None, metadata=PROGRESS)
    lifecycle_stage: LifecycleStage | None = None
    """The stage that it is in (K1); None once it has ended."""
    hooks: tuple[Hook, ...] = ()
    """The hooks that have begun, in that order (K1)."""
    bake: Bake | None = None
    """The time in which a whole rollout is watched on (A3); None: it has not begun."""

    @property
    def bake_ends_at(self) -> Instant | None:
        """When the bake is over; None if there is none, or its clock stands still."""
        return None if self.bake is None else self.bake.ends_at


@dataclass(frozen=True, slots=True)
class Revision:
    """One entry of ``status.revisions``."""

    revision: int
    replica_set: str
    digest: str
    created_at: Instant
    rollout_state: RolloutState = RolloutState.IN_PROGRESS
    failed_tasks: int = field(default=0, metadata=FAILURES)
    images: tuple[str, ...] = ()
    finished_at: Instant | None = None
    completed_at: Instant | None = None
    ready_seconds: int | None = field(default=None, metadata=PROGRESS)
    """The longest that one of its pods took from started to Ready (F4); None: it is not known."""
    message: str = ""
    """Why it failed or was stopped, in a sentence; ``reason`` in the stored status."""
    container_images: tuple[ContainerImage, ...] = field(default=(), metadata=PROGRESS)
    """The digests of its containers' images (D5)."""


@dataclass(frozen=True, slots=True)
class ConditionState:
    """What was told of a condition, without its message. ``last_transition_time``: when ``status`` changed."""

    type: str
    status: bool
    reason: Reason
    last_transition_time: Instant


@dataclass(frozen=True, slots=True)
class ShortRuns:
    """A container of a completed revision that ended within 10 minutes of its start, until it runs for so long."""

    pod: str
    """The pod's UID."""
    container: str
    restarts_before: int = 0
    """Its restarts before the first of these runs."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What a restart must not lose. The default is that of an object never looked at."""

    observed_generation: int = 0
    """The generation that the latest decision answers."""
    rollout: Rollout | None = None
    desired_revision: int | None = None
    last_completed_revision: int | None = None
    circuit_breaker: Breaker = Breaker()
    alarms: Alarms | None = None
    """The alarms of the latest deployment (A1); None: none are watched."""
    revisions: tuple[Revision, ...] = ()
    conditions: tuple[ConditionState, ...] = ()
    missing_references: MissingReferences | None = None
    """What new pods of the revision for a rollback need and is not there (B9); None: nothing is known to be missing."""
    short_runs: tuple[ShortRuns, ...] = field(default=(), metadata=PROGRESS)
    """What the condition CrashLooping is found from."""
    storms: tuple[Storm, ...] = ()
    """ReplicaSets that are held at a size because their pods fail as soon as they are made (R8)."""
    collision_count: int = 0
    observed_retry: str | None = None
    observed_stop: str | None = None
    hold: Hold | None = None
    """What a trip changed on a guarded Deployment or StatefulSet (G4); None: nothing."""
    target_uid: str = ""
    """UID of the guarded workload that all of this is about (rules G); empty: it was not written down."""
    target_generation: int = field(default=0, metadata=PROGRESS)
    """The generation of that workload of which the revision is known; what is said is about it."""
    resumes: int = 0
    """How often a person or a tool resumed a held workload whose template was the same (G5)."""
