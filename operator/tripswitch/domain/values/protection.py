"""Rules G: what a DeploymentCircuitBreaker asks for, and what the cluster shows of its workload.

A workload is an existing Deployment or StatefulSet. Its own controller rolls it out; the breaker
watches, and changes the workload only at a trip. A :class:`Hold` is the breaker's memory of that change.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from tripswitch.domain.values.alarms import AlarmSpec
from tripswitch.domain.values.workload import BreakerSpec, Strategy, Template


class WorkloadKind(StrEnum):
    """The kinds of workload that a DeploymentCircuitBreaker can name (G1)."""

    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"


class Mode(StrEnum):
    """``spec.mode``: whether a trip changes the workload, or is only reported (G7)."""

    ENFORCE = "Enforce"
    OBSERVE = "Observe"


@dataclass(frozen=True, slots=True)
class Protection:
    """``spec`` of a DeploymentCircuitBreaker, defaults filled in.

    ``kind`` and ``target`` are ``targetRef``. ``min_ready_seconds`` None: the workload's own if that is
    above 0, else rule H1. ``progress_deadline`` in seconds, 0 for never; None: the Deployment's own if
    that is set, else rule P1's default. ``breaker.enable`` is always True.
    """

    kind: WorkloadKind
    target: str
    mode: Mode = Mode.ENFORCE
    breaker: BreakerSpec = field(default_factory=BreakerSpec)
    min_ready_seconds: int | None = None
    health_check_grace_period: int = 0
    progress_deadline: int | None = None
    alarms: AlarmSpec | None = None
    bake_seconds: int = 0


HOLD_PARTITION = 1_000_000
"""The partition of a StatefulSet that is held: above every ordinal there can be (G4)."""

MOST_RESUMES = 3
"""A workload that was resumed so often while its template was the failed one is not held again (G5)."""


class HoldState(StrEnum):
    """How far a hold has come.

    ``WANTED``: decided at the trip, not yet seen on the workload. ``PLACED``: seen on the workload.
    ``YIELDED``: a person made the pause or the partition their own (G6). ``RELEASING``: it is being taken
    back (G5); then the hold is gone.
    """

    WANTED = "Wanted"
    PLACED = "Placed"
    YIELDED = "Yielded"
    RELEASING = "Releasing"


@dataclass(frozen=True, slots=True)
class Hold:
    """``status.hold``: the workload is kept from rolling out a failed revision (G4, G5).

    ``failed`` is the name of the failed revision's ReplicaSet or ControllerRevision.
    """

    failed: str
    state: HoldState = HoldState.WANTED


@dataclass(frozen=True, slots=True)
class Mark:
    """The annotations on a workload that is held: what was changed, and by which breaker (G4).

    ``failed`` is as in :class:`Hold`. ``breaker`` is the UID of the DeploymentCircuitBreaker.
    ``partition`` is a StatefulSet's partition before the trip; None: it had none, or it is a Deployment.
    ``completed`` names the revision that the trip goes back to; empty: it does not go back.
    """

    failed: str
    breaker: str = ""
    partition: int | None = None
    completed: str = ""


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment or StatefulSet as the API server shows it, without its revisions and pods.

    ``template.digest`` leaves ``pod-template-hash`` out, so that it equals that of the Deployment's
    ReplicaSet. ``update_revision`` and ``current_revision`` are of a StatefulSet's status; its controller
    makes no pod of any other revision. ``complete``: by the
    status that its own controller wrote for this generation, every replica is updated and available
    (G3). ``partition`` is a StatefulSet's ``rollingUpdate.partition``. ``on_delete``: a StatefulSet with
    ``updateStrategy: OnDelete``, which has no rollout. ``stalled`` and ``deadline_exceeded``: it has the
    conditions that a trip writes (Stalled=True of ours, Progressing=False). ``holder`` is the field
    manager that last wrote ``spec.paused`` or the partition; empty if that is not known.
    ``paused_by_others``: it is a paused Deployment, and by its managed fields the pause is not ours.
    ``owned`` is the index in its managed fields of an entry of ours that has nothing but the partition of a
    StatefulSet, which is so after a hold; None if there is none.
    ``ordered``: a StatefulSet whose controller changes no pod while one with a lower ordinal is not Ready
    (``podManagementPolicy: OrderedReady``).
    """

    kind: WorkloadKind
    name: str
    uid: str
    resource_version: str
    generation: int
    observed_generation: int
    replicas: int
    template: Template
    strategy: Strategy
    min_ready_seconds: int = 0
    progress_deadline: int | None = None
    revision_history_limit: int = 10
    complete: bool = False
    paused: bool = False
    update_revision: str = ""
    current_revision: str = ""
    partition: int | None = None
    on_delete: bool = False
    mark: Mark | None = None
    stalled: bool = False
    deadline_exceeded: bool = False
    holder: str = ""
    paused_by_others: bool = False
    ordered: bool = False
    owned: int | None = None


@dataclass(frozen=True, slots=True)
class Protected:
    """What a decision about a guarded workload knows besides revisions and pods.

    ``workload`` None: the target does not exist. ``rival`` is the name of the DeploymentCircuitBreaker
    for the same target that acts instead (G1); empty if there is none.
    ``current`` is the name of the ReplicaSet or ControllerRevision of the workload's template; empty
    while its controller has not made it. ``made_anew``: the memory was of another workload by that name,
    which was deleted; it has been dropped.
    """

    protection: Protection
    workload: Workload | None = None
    rival: str = ""
    current: str = ""
    made_anew: bool = False
